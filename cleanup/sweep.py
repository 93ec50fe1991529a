"""The sweeps. Each is idempotent and safe to be cut off between any two of its steps; one that fails stops no other.

A result's row keeps saying 410 after its file has gone, so the file goes first and the row is told afterwards.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import jobs
from photochanger.db import Database
from photochanger.jobs import OPEN, Status, status_is
from photochanger.media import Media
from photochanger.tables import job

log = structlog.get_logger()

LOCK = 41_002
BATCH = 500
OVERDUE_GRACE_SECONDS = 5.0
ORPHAN_AGE_SECONDS = 3600.0


async def sweep_all(db: Database, media: Media) -> bool:
    """Every sweep once, unless another process is at it. False when one was."""
    async with db.at_once() as conn:
        if not (await conn.execute(select(func.pg_try_advisory_lock(LOCK)))).scalar_one():
            log.info("sweep_skipped", why="another process sweeps")
            return False
        try:
            for name, sweep in SWEEPS.items():
                await _run(name, sweep, db, media)
        finally:
            await conn.execute(select(func.pg_advisory_unlock(LOCK)))
    return True


async def _run(name: str, sweep: "Sweep", db: Database, media: Media) -> None:
    started = time.monotonic()
    try:
        count = await sweep(db, media)
    except Exception as error:
        log.error("sweep_failed", sweep=name, exc_info=error)
        return
    log.info("sweep_finished", sweep=name, count=count, seconds=round(time.monotonic() - started, 3))


async def overdue_jobs(db: Database, media: Media) -> int:
    """Open jobs whose deadline has passed and whom nobody has closed: their API process is gone."""
    del media
    async with db.at_once() as conn:
        return await jobs.expire_overdue(conn, grace_seconds=OVERDUE_GRACE_SECONDS)


async def expired_results(db: Database, media: Media) -> int:
    """Results past their time: file and preview go, then the paths in the row."""
    swept = 0
    while True:
        async with db.at_once() as conn:
            rows = list(await conn.execute(_EXPIRED_BATCH))
        for row in rows:
            await asyncio.to_thread(media.discard, row.result_path, row.preview_path)
        async with db.at_once() as conn:
            await _forget_paths(conn, [row.job_id for row in rows])
        swept += len(rows)
        if len(rows) < BATCH:
            return swept


async def orphaned_files(db: Database, media: Media) -> int:
    """Files older than an hour without a row that still needs them: a process died between file and row."""
    removed = 0
    for folder in ("ingest", "work", "work/previews", "results", "previews"):
        old = await asyncio.to_thread(_old_files, media.folder(folder))
        for start in range(0, len(old), BATCH):
            batch = old[start : start + BATCH]
            needed = await _needed(db, folder, {path.name[:32] for path in batch})
            for path in batch:
                if path.name[:32] not in needed:
                    path.unlink(missing_ok=True)
                    removed += 1
    return removed


async def results_without_file(db: Database, media: Media) -> int:
    """Rows whose file is gone though its time is not up: told in the log, and the row no longer promises it."""
    lost: list[str] = []
    async with db.at_once() as conn:
        kept = select(job.c.job_id, job.c.result_path).where(job.c.result_path.is_not(None))
        rows = list(await conn.execute(kept))
    for row in rows:
        if await asyncio.to_thread(media.regular_file, row.result_path) is None:
            log.error("result_lost", job=row.job_id)
            lost.append(row.job_id)
    async with db.at_once() as conn:
        await _forget_paths(conn, lost)
    return len(lost)


Sweep = Callable[[Database, Media], Awaitable[int]]
SWEEPS: dict[str, Sweep] = {
    "overdue_jobs": overdue_jobs,
    "expired_results": expired_results,
    "orphaned_files": orphaned_files,
    "results_without_file": results_without_file,
}


_EXPIRED_BATCH = (
    select(job.c.job_id, job.c.result_path, job.c.preview_path)
    .where(job.c.result_path.is_not(None), job.c.result_expires_at <= func.now())
    .limit(BATCH)
)


async def _forget_paths(conn: AsyncConnection, job_ids: list[str]) -> None:
    if job_ids:
        await conn.execute(update(job).where(job.c.job_id.in_(job_ids)).values(result_path=None, preview_path=None))


def _old_files(folder: Path) -> list[Path]:
    before = time.time() - ORPHAN_AGE_SECONDS
    return [path for path in folder.iterdir() if path.is_file() and path.stat().st_mtime < before]


async def _needed(db: Database, folder: str, names: set[str]) -> set[str]:
    """Which of these jobs still need their files of this folder."""
    known = [name for name in names if len(name) == 32 and set(name) <= set("0123456789abcdef")]
    if folder.startswith("work"):
        condition = status_is(Status.RUNNING)
    elif folder == "ingest":
        condition = status_is(*OPEN)
    else:
        condition = job.c.result_path.is_not(None)
    async with db.at_once() as conn:
        rows = await conn.execute(select(job.c.job_id).where(job.c.job_id.in_(known), condition))
        return {row.job_id for row in rows}
