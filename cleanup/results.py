"""Results past their time, and rows that promise a result whose file is gone.

A result's row keeps saying 410 after its file has gone, so the file goes first and the row is told afterwards.
"""

import asyncio

import structlog
from sqlalchemy import func, select, update

from cleanup.files import id_of, names_in, remove
from cleanup.scope import BATCH, Scope, Swept, batches, ids_at_once, is_one_of
from photochanger.tables import job

log = structlog.get_logger()

PROMISED = job.c.result_path.is_not(None)
CURRENT = (PROMISED, job.c.result_expires_at > func.now())


async def expired_results(scope: Scope) -> Swept:
    """Results past their time: file and preview go, then the paths in the row."""
    expired = [PROMISED, job.c.result_expires_at <= func.now()]
    if scope.slot_id is not None:
        expired.append(job.c.slot_id == scope.slot_id)
    swept = Swept()
    async for ids in batches(scope.db, select(job.c.job_id).where(*expired)):
        query = select(job.c.job_id, job.c.result_path, job.c.preview_path).where(is_one_of(job.c.job_id, ids))
        async with scope.db.at_once() as conn:
            rows = (await conn.execute(query.where(*expired))).all()
        removed = await remove(scope, [path for row in rows for path in row[1:] if path is not None])
        gone = [row.job_id for row in rows if not removed.kept.intersection(row[1:])]
        await _forget_paths(scope, gone)
        swept += removed.swept(len(gone))
    return swept


async def results_without_file(scope: Scope) -> Swept:
    """Rows whose file is gone though its time is not up: told in the log, and the row no longer promises it.

    The folder is listed once. Only what is not among its names is looked at, and its row once more.
    """
    promised = await ids_at_once(scope.db, job.c.job_id, *CURRENT)
    there = {id_of(name) for name in await names_in(scope, "results")}
    missing = [job_id for job_id in promised if job_id not in there]
    swept = Swept()
    for start in range(0, len(missing), BATCH):
        ids = missing[start : start + BATCH]
        lost = await _lost(scope, ids)
        for job_id in [] if scope.dry_run else lost:
            log.error("result_lost", job=job_id)
        await _forget_paths(scope, lost)
        swept += Swept(count=len(lost))
    return swept


async def _lost(scope: Scope, ids: list[str]) -> list[str]:
    """Those of these jobs whose row promises, now, a result that is not there."""
    async with scope.db.at_once() as conn:
        rows = await conn.execute(select(job.c.job_id, job.c.result_path).where(is_one_of(job.c.job_id, ids), *CURRENT))
    lost = [row.job_id for row in rows if await asyncio.to_thread(scope.media.regular_file, row.result_path) is None]
    await asyncio.to_thread(scope.media.check_root)
    return lost


async def _forget_paths(scope: Scope, job_ids: list[str]) -> None:
    if job_ids and not scope.dry_run:
        # Locked in one order: a purge and a sweep may tell the same rows at the same time.
        ordered = select(job.c.job_id).where(is_one_of(job.c.job_id, job_ids), PROMISED).order_by(job.c.job_id)
        locked = ordered.with_for_update().cte("locked")
        async with scope.db.at_once() as conn:
            nothing = {"result_path": None, "preview_path": None}
            await conn.execute(update(job).where(job.c.job_id == locked.c.job_id).values(**nothing))
