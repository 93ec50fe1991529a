"""The sweeps. Each is idempotent and safe to be cut off between any two of its steps; one that fails stops no other.

A result's row keeps saying 410 after its file has gone, so the file goes first and the row is told afterwards.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Column, Row, Select, func, select, update

from photochanger import jobs, metrics, sweep_runs
from photochanger.db import Database
from photochanger.jobs import OPEN, Status, status_is
from photochanger.media import FOLDERS, Media
from photochanger.tables import job, media_object

log = structlog.get_logger()

LOCK = 41_002
BATCH = 500
OVERDUE_GRACE_SECONDS = 2.0
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
        async with db.at_once() as conn:
            await sweep_runs.finish(conn, name, count=count)
    except Exception as error:
        metrics.SWEEPS.labels(name, "failed").inc()
        log.error("sweep_failed", sweep=name, exc_info=error)
        return
    metrics.SWEEPS.labels(name, "ok").inc()
    log.info("sweep_finished", sweep=name, count=count, seconds=round(time.monotonic() - started, 3))


async def overdue_jobs(db: Database, media: Media) -> int:
    """Open jobs whose deadline has passed and whom nobody has closed: their API process is gone."""
    del media
    async with db.at_once() as conn:
        return await jobs.expire_overdue(conn, grace_seconds=OVERDUE_GRACE_SECONDS)


async def expired_results(db: Database, media: Media) -> int:
    """Results past their time: file and preview go, then the paths in the row."""
    expired = select(job.c.job_id, job.c.result_path, job.c.preview_path).where(
        job.c.result_path.is_not(None), job.c.result_expires_at <= func.now()
    )
    swept = 0
    async for rows in _batches(db, expired, key=job.c.job_id):
        gone = [row.job_id for row in rows if await _removed(media, row.result_path, row.preview_path)]
        await _forget_paths(db, gone)
        swept += len(gone)
    return swept


async def expired_media(db: Database, media: Media) -> int:
    """Provider media and uploads past their time: the file goes, then the row is told (`cleaned_at`)."""
    key = media_object.c.media_object_id
    expired = select(key, media_object.c.path).where(
        media_object.c.cleaned_at.is_(None), media_object.c.expires_at <= func.now()
    )
    swept = 0
    async for rows in _batches(db, expired, key=key):
        gone = [row.media_object_id for row in rows if await _removed(media, row.path)]
        async with db.at_once() as conn:
            await conn.execute(update(media_object).where(key.in_(gone)).values(path=None, cleaned_at=func.now()))
        swept += len(gone)
    return swept


async def orphaned_files(db: Database, media: Media) -> int:
    """Files older than an hour without a row that still needs them: a process died between file and row."""
    removed = 0
    for folder in FOLDERS:
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
    promised = select(job.c.job_id, job.c.result_path).where(job.c.result_path.is_not(None))
    lost = 0
    async for rows in _batches(db, promised, key=job.c.job_id):
        missing = [row.job_id for row in rows if await asyncio.to_thread(media.regular_file, row.result_path) is None]
        if missing and not media.folder("results").is_dir():
            raise FileNotFoundError(media.folder("results"))  # nothing is known of the files while the disk is away
        for job_id in missing:
            log.error("result_lost", job=job_id)
        await _forget_paths(db, missing)
        lost += len(missing)
    return lost


Sweep = Callable[[Database, Media], Awaitable[int]]
SWEEPS: dict[str, Sweep] = {
    "overdue_jobs": overdue_jobs,
    "expired_results": expired_results,
    "expired_media": expired_media,
    "orphaned_files": orphaned_files,
    "results_without_file": results_without_file,
}


async def _batches(db: Database, query: Select[Any], *, key: Column[str]) -> AsyncIterator[Sequence[Row[Any]]]:
    """The query's rows in the order of their key, some hundred at a time: what cannot be swept is not met twice."""
    last = "0" * 32
    while True:
        async with db.at_once() as conn:
            rows = (await conn.execute(query.where(key > last).order_by(key).limit(BATCH))).all()
        if rows:
            yield rows
        if len(rows) < BATCH:
            return
        last = rows[-1][0]


async def _removed(media: Media, *relatives: str | None) -> bool:
    """Whether these files are gone now. One that cannot be removed is told, and tried again at the next sweep."""
    try:
        await asyncio.to_thread(media.discard, *relatives)
    except OSError as error:
        log.error("file_not_removed", paths=relatives, error=type(error).__name__)
        return False
    return True


async def _forget_paths(db: Database, job_ids: list[str]) -> None:
    if job_ids:
        async with db.at_once() as conn:
            paths = {"result_path": None, "preview_path": None}
            await conn.execute(update(job).where(job.c.job_id.in_(job_ids)).values(**paths))


def _old_files(folder: Path) -> list[Path]:
    before = time.time() - ORPHAN_AGE_SECONDS
    return [path for path in folder.iterdir() if path.is_file() and path.stat().st_mtime < before]


async def _needed(db: Database, folder: str, names: set[str]) -> set[str]:
    """Which of these jobs, or media objects, still need their files of this folder."""
    known = [name for name in names if len(name) == 32 and set(name) <= set("0123456789abcdef")]
    if folder in {"provider", "templates"}:
        async with db.at_once() as conn:
            ids = media_object.c.media_object_id
            rows = await conn.execute(select(ids).where(ids.in_(known), media_object.c.path.is_not(None)))
            return {row.media_object_id for row in rows}
    if folder.startswith("work"):
        condition = status_is(Status.RUNNING)
    elif folder == "ingest":
        condition = status_is(*OPEN)
    else:
        condition = job.c.result_path.is_not(None)
    async with db.at_once() as conn:
        rows = await conn.execute(select(job.c.job_id).where(job.c.job_id.in_(known), condition))
        return {row.job_id for row in rows}
