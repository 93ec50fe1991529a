"""What the sweeps came to, for a person at a console."""

from collections.abc import Sequence

from cleanup.scope import Swept
from cleanup.sweep import Outcome

WHAT = {
    "overdue_jobs": "overdue jobs closed",
    "finished_photos": "photos of final jobs",
    "expired_results": "expired results",
    "expired_media": "expired links and uploads",
    "orphaned_files": "files without a row",
    "results_without_file": "results whose file is lost",
    "rolled_hours": "hours rolled into figures",
    "storage_figures": "storage figures measured",
    "old_jobs": "old jobs",
    "old_log_lines": "old log lines",
    "ended_sessions": "ended sessions",
    "old_login_failures": "old failed logins",
    "old_purges": "old purges",
}
"""By the sweep's name."""
NOT_IN_A_DRY_RUN = {"rolled_hours", "storage_figures"}
"""Nothing goes by them, so there is nothing to announce."""


def table(outcomes: Sequence[Outcome], *, dry_run: bool) -> str:
    """A line per sweep and one for all of them together."""
    shown = [outcome for outcome in outcomes if not (dry_run and outcome.sweep in NOT_IN_A_DRY_RUN)]
    head = ("would go" if dry_run else "went", "count", "files", "MB", "seconds")
    rows = [head, *(_cells(WHAT[outcome.sweep], outcome.swept, outcome.seconds) for outcome in shown)]
    total = sum((outcome.swept for outcome in shown if outcome.swept is not None), Swept())
    seconds = sum(outcome.seconds for outcome in shown)
    rows.append(("all files", "", f"{total.files:,}", _megabytes(total), f"{seconds:.1f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _cells(what: str, swept: Swept | None, seconds: float) -> tuple[str, str, str, str, str]:
    if swept is None:
        return what, "FAILED: see the log", "", "", f"{seconds:.1f}"
    files = (f"{swept.files:,}", _megabytes(swept)) if swept.files else ("", "")
    return what, f"{swept.count:,}", *files, f"{seconds:.1f}"


def _megabytes(swept: Swept) -> str:
    return f"{swept.bytes / 1e6:,.1f}"
