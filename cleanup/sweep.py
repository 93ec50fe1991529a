"""The sweeps: all of them in turn, one process at a time. Each is idempotent and may be cut off between any two steps.

One that fails stops no other: what it leaves is met again by the next one.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from sqlalchemy import func, select

from cleanup.media_objects import expired_media
from cleanup.open_jobs import finished_photos, overdue_jobs
from cleanup.orphans import orphaned_files
from cleanup.results import expired_results, results_without_file
from cleanup.retention import ended_sessions, old_jobs, old_log_lines, old_login_failures, old_purges
from cleanup.scope import Scope, Swept
from cleanup.storage import storage_figures
from photochanger import hourly, metrics, sweep_runs
from photochanger.db import UNAVAILABLE, Database
from photochanger.errors import Refusal

log = structlog.get_logger()

LOCK = 41_002
Sweep = Callable[[Scope], Awaitable[Swept]]


async def rolled_hours(scope: Scope) -> Swept:
    """Closed hours into the hourly figures, from which alone old jobs are known later. A dry run leaves them."""
    return Swept() if scope.dry_run else Swept(count=await hourly.roll_up(scope.db))


SWEEPS: Mapping[str, Sweep] = {
    "overdue_jobs": overdue_jobs,
    "finished_photos": finished_photos,
    "expired_results": expired_results,
    "expired_media": expired_media,
    "orphaned_files": orphaned_files,
    "results_without_file": results_without_file,
    "rolled_hours": rolled_hours,
    "storage_figures": storage_figures,
    "old_jobs": old_jobs,
    "old_log_lines": old_log_lines,
    "ended_sessions": ended_sessions,
    "old_login_failures": old_login_failures,
    "old_purges": old_purges,
}
RETENTION = ("old_jobs", "old_log_lines", "ended_sessions", "old_login_failures", "old_purges")
"""Rows that are kept for days or months: an hour more does not matter. The index on the log's time is a coarse one, and
once space is used again a look for old lines may read all of them.
"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one sweep. `swept` is None when it failed."""

    sweep: str
    swept: Swept | None
    seconds: float


async def sweep_all(scope: Scope, *, without: Collection[str] = ()) -> list[Outcome] | None:
    """Every sweep once, unless another process is at it: None then. `without`: the names of those left out."""
    async with only_one(scope.db, lock=LOCK) as ours:
        if not ours:
            log.info("sweep_skipped", why="another process sweeps")
            return None
        outcomes = [await run(name, sweep, scope) for name, sweep in SWEEPS.items() if name not in without]
        await _noted(scope, {one.sweep: one.swept.count for one in outcomes if one.swept is not None})
        return outcomes


async def run(name: str, sweep: Sweep, scope: Scope, *, quiet: bool = False) -> Outcome:
    """One sweep and its line in the log; `quiet`: only when something went."""
    started = time.monotonic()
    swept: Swept | None = None
    try:
        swept = await sweep(scope)
    except Refusal as refusal:
        log.error("sweep_failed", sweep=name, why=refusal.details)
    except UNAVAILABLE as error:
        log.warning("sweep_postponed", sweep=name, error=type(error).__name__)
    except Exception as error:
        log.error("sweep_failed", sweep=name, exc_info=error)
    seconds = round(time.monotonic() - started, 3)
    if not (quiet or scope.dry_run):
        metrics.SWEEPS.labels(name, "failed" if swept is None else "ok").inc()
    if swept is not None and not (quiet and swept == Swept()):
        facts: dict[str, object] = {"slot": scope.slot_id} if scope.slot_id else {}
        facts |= {"dry_run": True} if scope.dry_run else {}
        log.info("sweep_finished", sweep=name, **vars(swept), seconds=seconds, **facts)
    return Outcome(sweep=name, swept=swept, seconds=seconds)


async def _noted(scope: Scope, counts: Mapping[str, int]) -> None:
    """By this others see that they were through. All at once at the end: thirteen commits were a third of a sweep that
    finds nothing.
    """
    if scope.dry_run or not counts:
        return
    try:
        async with scope.db.at_once() as conn:
            await sweep_runs.finish(conn, counts)
    except UNAVAILABLE as error:
        log.warning("sweeps_not_noted", error=type(error).__name__)


@asynccontextmanager
async def only_one(db: Database, *, lock: int) -> AsyncIterator[bool]:
    """Whether this is the only process inside; a process that dies leaves no lock."""
    async with db.at_once() as conn:
        if not (await conn.execute(select(func.pg_try_advisory_lock(lock)))).scalar_one():
            yield False
            return
        try:
            yield True
        finally:
            await conn.execute(select(func.pg_advisory_unlock(lock)))
