"""Rows that have been kept long enough. Their figures live on in the hourly tables."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Table, delete, exists, func, literal_column, or_, select
from sqlalchemy.sql.elements import ColumnElement

from cleanup.scope import Scope, Swept, batches, count_of, is_one_of
from photochanger.jobs import FINAL, status_is
from photochanger.sessions import IDLE_SECONDS, LONGEST_SECONDS
from photochanger.tables import (
    hourly_watermark,
    job,
    job_input,
    login_failure,
    media_object,
    processing_log,
    purge,
    session,
)

LOG_DAYS = 30
PURGE_DAYS = 30
LOGIN_DAYS = 1
ROWS_AT_ONCE = 5_000
JOBS_AT_ONCE = 20_000


async def old_jobs(scope: Scope) -> Swept:
    """Final jobs past JOB_RETENTION_DAYS, with their inputs, attempts and log lines.

    Not before their hour stands in the figures, and not while a file of theirs is still there.
    """
    if scope.dry_run:
        async with scope.db.at_once() as conn:
            counted = select(func.count()).select_from(_old_jobs(scope).subquery())
            return Swept(count=(await conn.execute(counted)).scalar_one())
    swept = Swept()
    while True:
        found = 0
        async for ids in batches(scope.db, _old_jobs(scope).limit(JOBS_AT_ONCE)):
            found += len(ids)
            async with scope.db.begin() as conn:
                await conn.execute(delete(processing_log).where(is_one_of(processing_log.c.job_id, ids)))
                gone = await conn.execute(delete(job).where(is_one_of(job.c.job_id, ids), status_is(*FINAL)))
            swept += Swept(count=gone.rowcount)
        if found < JOBS_AT_ONCE:
            return swept


def _old_jobs(scope: Scope) -> Any:
    """Found by the moment in `job_input`, which has an index; without any old job that costs nothing."""
    has_file = exists().where(media_object.c.job_id == job.c.job_id, media_object.c.path.is_not(None))
    rolled_until = select(hourly_watermark.c.rolled_until).scalar_subquery()
    return (
        select(job.c.job_id)
        .join_from(job_input, job, job_input.c.job_id == job.c.job_id)
        .where(
            job_input.c.created_at < func.now() - timedelta(days=scope.job_retention_days),
            job_input.c.created_at < rolled_until,
            status_is(*FINAL),
            job.c.result_path.is_(None),
            ~has_file,
        )
        .order_by(job_input.c.created_at)
    )


async def old_log_lines(scope: Scope) -> Swept:
    """The processing log past a month."""
    return await _deleted(scope, processing_log, processing_log.c.at < func.now() - timedelta(days=LOG_DAYS))


async def ended_sessions(scope: Scope) -> Swept:
    """Sessions that have not counted for a day."""
    day = timedelta(days=LOGIN_DAYS)
    ended = or_(
        session.c.revoked_at < func.now() - day,
        session.c.last_seen_at < func.now() - timedelta(seconds=IDLE_SECONDS) - day,
        session.c.created_at < func.now() - timedelta(seconds=LONGEST_SECONDS) - day,
    )
    return await _deleted(scope, session, ended)


async def old_login_failures(scope: Scope) -> Swept:
    """Failed logins of more than a day ago: they lock nobody out any more."""
    return await _deleted(scope, login_failure, login_failure.c.at < func.now() - timedelta(days=LOGIN_DAYS))


async def old_purges(scope: Scope) -> Swept:
    """Purges that were done more than a month ago."""
    return await _deleted(scope, purge, purge.c.finished_at < func.now() - timedelta(days=PURGE_DAYS))


async def _deleted(scope: Scope, table: Table, where: ColumnElement[bool]) -> Swept:
    """Delete in short transactions, by the rows' places: these tables need no key for it."""
    if scope.dry_run:
        return Swept(count=await count_of(scope.db, table, where))
    place: ColumnElement[Any] = literal_column(f"{table.name}.ctid")
    some = func.array(select(place).where(where).limit(ROWS_AT_ONCE).scalar_subquery())
    total = 0
    while True:
        async with scope.db.at_once() as conn:
            gone = (await conn.execute(delete(table).where(place == func.any(some)))).rowcount
        total += gone
        if gone < ROWS_AT_ONCE:
            return Swept(count=total)
