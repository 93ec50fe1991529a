"""A job's way, moment by moment: from its row, its attempts and the processing log, each of which knows a part.

    received ─ checked ─ queued ─ claimed ─ attempt_begun ─ attempt_ended ─ finished, failed or expired ─ sent

The log has a line for every change of state (and for each poll of a provider's queue, which parks the job anew); an
attempt has its own row and writes no line beside it. Lines live for 30 days; what the rows know is told after that.
No driver and no runner writes a key into any of the three.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import attempts, logs
from photochanger.attempts import Attempt
from photochanger.job import Status
from photochanger.tables import job, processing_log

ENDS = {Status.DONE: "finished", Status.FAILED: "failed", Status.TIMEOUT: "expired"}
"""The event that ends a job, by the state it comes to."""
BEFORE = ("received", "checked", "queued", "claimed", "attempt_begun", "attempt_ended")
"""Of what happened in the same moment, in this order, these come first."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One thing that happened, or, after now, that will: `deadline`, `result_expires`."""

    at: datetime
    event: str
    runner: str | None = None
    actor: str | None = None
    """The administrator who did it."""
    details: Mapping[str, Any] | None = None


_JOB = select(
    job.c.created_at,
    job.c.expires_at,
    job.c.finished_at,
    job.c.status,
    job.c.failure_reason,
    job.c.result_expires_at,
)
_LINES = select(*(processing_log.c[name] for name in Moment.__dataclass_fields__))


async def timeline(conn: AsyncConnection, job_id: str) -> list[Moment]:
    """In order; empty when there is no such job."""
    row = (await conn.execute(_JOB.where(job.c.job_id == job_id))).one_or_none()
    if row is None:
        return []
    logged = await conn.execute(_LINES.where(processing_log.c.job_id == job_id))
    lines = [_clean(Moment(**line._mapping)) for line in logged]  # noqa: SLF001
    tried = [moment for attempt in await attempts.of_job(conn, job_id) for moment in _of(attempt, row.finished_at)]
    return sorted([*_of_job(row, lines), *lines, *tried], key=_order)


def _of_job(row: Any, lines: Iterable[Moment]) -> list[Moment]:
    moments = [Moment(at=row.created_at, event="received"), Moment(at=row.expires_at, event="deadline")]
    moments += _checked(row, lines)
    end = ENDS.get(row.status)
    if end is not None and end not in {line.event for line in lines}:
        reason = None if row.failure_reason is None else {"failure_reason": row.failure_reason}
        moments.append(Moment(at=row.finished_at, event=end, details=reason))
    if row.result_expires_at is not None:
        moments.append(Moment(at=row.result_expires_at, event="result_expires"))
    return moments


def _checked(row: Any, lines: Iterable[Moment]) -> Iterator[Moment]:
    """When all of the photo was there and found good: so long after its arrival, as the line of its queueing says."""
    for line in lines:
        seconds = (line.details or {}).get("received_seconds")
        if line.event == "queued" and isinstance(seconds, int | float):
            at = min(row.created_at + timedelta(seconds=seconds), line.at)
            yield Moment(at=at, event="checked")


def _of(attempt: Attempt, job_finished_at: datetime | None) -> list[Moment]:
    call = {"number": attempt.number, "provider": attempt.provider, "model": attempt.model}
    moments = [Moment(at=attempt.started_at, event="attempt_begun", details=call)]
    if attempt.finished_at is None:
        return moments
    seconds = (attempt.finished_at - attempt.started_at).total_seconds()
    ended = {
        **call,
        "seconds": round(seconds, 3),
        "outcome": attempt.outcome,
        "http_status": attempt.http_status,
        "cost_usd": None if attempt.cost_usd is None else float(attempt.cost_usd),
        "reason": attempt.reason,
    }
    # A good attempt is closed in the transaction that finishes its job, a moment after the job.
    good = attempt.outcome == "ok" and job_finished_at is not None
    at = min(attempt.finished_at, job_finished_at) if good and job_finished_at is not None else attempt.finished_at
    return [*moments, _clean(Moment(at=at, event="attempt_ended", details=ended))]


def _clean(moment: Moment) -> Moment:
    """Once more through the logs' redactor: whatever looks like a key goes no further."""
    if moment.details is None:
        return moment
    cleaned = logs.redact(None, "", dict(moment.details))
    return Moment(at=moment.at, event=moment.event, runner=moment.runner, actor=moment.actor, details=cleaned)


def _order(moment: Moment) -> tuple[datetime, int]:
    rank = BEFORE.index(moment.event) if moment.event in BEFORE else len(BEFORE)
    return moment.at, rank
