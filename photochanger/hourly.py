"""Hourly figures: what closed hours came to, for when their jobs are gone.

A job belongs to the hour (UTC) in which its photo came. An hour is closed when it has been over for five minutes and
none of its jobs is open; then nothing in it changes any more. Everything before `hourly_watermark.rolled_until` stands
in `hourly_figure` and `hourly_attempts`, and nothing later does: each hour and the step of the watermark are one
transaction, so that no job is ever counted twice or not at all.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CTE, Insert, and_, case, cast, func, literal, literal_column, select, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, array, insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import Integer

from photochanger import histogram
from photochanger.db import Database
from photochanger.errors import PROVIDER_ERRORS
from photochanger.jobs import OPEN, Status, status_is
from photochanger.tables import hourly_attempts, hourly_figure, hourly_watermark, job, job_attempt, job_input

HOUR = timedelta(hours=1)
CLOSED_AFTER = timedelta(minutes=5)
"""The longest upload and the longest deadline are over by then."""


async def roll_up(db: Database) -> int:
    """Roll every closed hour that is not rolled yet, each in a transaction of its own; how many had jobs."""
    rolled = 0
    while True:
        async with db.begin() as conn:
            hour, until = await _next_hour(conn)
            if hour is not None:
                await conn.execute(_figures(hour))
                await conn.execute(_attempts(hour))
            forward = update(hourly_watermark).where(hourly_watermark.c.rolled_until < until)
            await conn.execute(forward.values(rolled_until=until))
        if hour is None:
            return rolled
        rolled += 1


async def _next_hour(conn: AsyncConnection) -> tuple[datetime | None, datetime]:
    """The next closed hour with jobs and where the watermark goes; without one it goes to the first hour not closed.

    The watermark's row stays locked until the transaction ends: a second process waits, and finds the hour rolled.
    """
    closed_until = await _closed_until(conn)
    rolled_until = select(hourly_watermark.c.rolled_until)
    reached: datetime | None = (await conn.execute(rolled_until)).scalar_one_or_none()
    if reached is not None and reached >= closed_until:
        return None, reached
    first = insert(hourly_watermark).values(single=True, rolled_until=func.least(_first_after(None), closed_until))
    await conn.execute(first.on_conflict_do_nothing())
    watermark: datetime = (await conn.execute(rolled_until.with_for_update())).scalar_one()
    hour: datetime | None = (await conn.execute(select(_first_after(watermark)))).scalar_one()
    if hour is None or hour >= closed_until:
        return None, max(watermark, closed_until)
    return hour, hour + HOUR


async def _closed_until(conn: AsyncConnection) -> datetime:
    """The beginning of the first hour that is not closed."""
    oldest_open = select(func.min(job.c.created_at)).where(status_is(*OPEN)).scalar_subquery()
    found: datetime = (
        await conn.execute(select(func.least(_hour_of(func.now() - CLOSED_AFTER), _hour_of(oldest_open))))
    ).scalar_one()
    return found


def _first_after(moment: datetime | None) -> Any:
    """The hour of the first job from this moment on, by the index on `job_input`."""
    query = select(_hour_of(func.min(job_input.c.created_at)))
    return (query if moment is None else query.where(job_input.c.created_at >= moment)).scalar_subquery()


def _hour_of(moment: ColumnElement[Any]) -> ColumnElement[datetime]:
    return func.date_trunc("hour", moment, "UTC")


def _seconds(since: ColumnElement[Any], until: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.extract("epoch", until - since)


def _histogram(bucket: ColumnElement[Any]) -> ColumnElement[Any]:
    """How many rows of the group fell into each bucket; those without one into none."""
    counts = [func.count().filter(bucket == literal_column(str(number))) for number in range(histogram.BUCKETS)]
    return cast(array(counts), ARRAY(Integer))


def _of_hour(hour: datetime) -> list[ColumnElement[bool]]:
    return [job_input.c.created_at >= hour, job_input.c.created_at < hour + HOUR, job.c.kind == "photo"]


def _figures(hour: datetime) -> Insert:
    jobs = (
        select(
            job.c.slot_id,
            job.c.source,
            job.c.provider,
            job.c.status,
            job.c.failure_reason,
            case(
                (status_is(Status.DONE), histogram.bucket(_seconds(job.c.created_at, job.c.finished_at))),
            ).label("bucket"),
        )
        .join_from(job_input, job, job_input.c.job_id == job.c.job_id)
        .where(*_of_hour(hour))
        .cte("jobs")
    )
    key = [jobs.c.slot_id, jobs.c.source, jobs.c.provider]
    reasons = _reasons(jobs)
    failed = jobs.c.status == Status.FAILED.value
    query = (
        select(
            literal(hour, hourly_figure.c.hour.type),
            *key,
            func.count(),
            func.count().filter(jobs.c.status == Status.DONE.value),
            func.count().filter(jobs.c.status == Status.TIMEOUT.value),
            func.count().filter(failed),
            func.count().filter(failed, jobs.c.failure_reason.in_(PROVIDER_ERRORS)),
            func.coalesce(reasons.c.reasons, cast({}, JSONB)),
            _histogram(jobs.c.bucket),
        )
        .select_from(
            jobs.outerjoin(
                reasons,
                and_(*(jobs.c[name] == reasons.c[name] for name in ("slot_id", "source", "provider"))),
            )
        )
        .group_by(*key, reasons.c.reasons)
    )
    return insert(hourly_figure).from_select([column.name for column in hourly_figure.c], query)


def _reasons(jobs: CTE) -> CTE:
    """Per slot, source and provider: how often each reason stood in a job that failed or timed out."""
    key = [jobs.c.slot_id, jobs.c.source, jobs.c.provider]
    counted = (
        select(*key, jobs.c.failure_reason, func.count().label("times"))
        .where(jobs.c.failure_reason.is_not(None))
        .group_by(*key, jobs.c.failure_reason)
        .cte("counted")
    )
    return (
        select(
            counted.c.slot_id,
            counted.c.source,
            counted.c.provider,
            func.jsonb_object_agg(counted.c.failure_reason, counted.c.times).label("reasons"),
        )
        .group_by(counted.c.slot_id, counted.c.source, counted.c.provider)
        .cte("reasons")
    )


def _attempts(hour: datetime) -> Insert:
    """Attempts of the hour's jobs. One that was never closed came to nothing: its runner died, or its time was over."""
    model = func.coalesce(job_attempt.c.model, "")
    key = [job.c.slot_id, job.c.source, job_attempt.c.provider, model]
    failed = case((job_attempt.c.outcome.is_(None), True), else_=job_attempt.c.outcome != "ok")
    took = _seconds(job_attempt.c.started_at, job_attempt.c.finished_at)
    query = (
        select(
            literal(hour, hourly_figure.c.hour.type),
            *key,
            func.count(),
            func.count().filter(failed),
            func.coalesce(func.sum(job_attempt.c.cost_usd), 0),
            _histogram(histogram.bucket(took)),
        )
        .join_from(job_input, job, job_input.c.job_id == job.c.job_id)
        .join(job_attempt, job_attempt.c.job_id == job.c.job_id)
        .where(*_of_hour(hour))
        .group_by(*key)
    )
    return insert(hourly_attempts).from_select([column.name for column in hourly_attempts.c], query)
