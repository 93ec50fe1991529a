"""What the dashboard shows: the 15 slots with what they do now, and today's figures.

The job table may hold a million rows: everything here walks a partial index, or the photos of the last minutes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from sqlalchemy import Float, Integer, and_, case, cast, exists, func, lateral, literal_column, null, or_, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from photochanger import histogram
from photochanger.jobs import FINAL, OPEN, Status, status_is
from photochanger.tables import hourly_figure, hourly_watermark, job, job_input, runner, slot, slot_template

LATELY_MINUTES = 15
SOURCE = "ingest"


@dataclass(frozen=True, kw_only=True)
class SlotRow:
    """One slot as it stands, and what came of its photos lately (in the last 15 minutes)."""

    slot_id: str
    display_name: str
    provider: str
    operation: str
    settings: Mapping[str, Any]
    fallback: Mapping[str, Any] | None
    is_active: bool
    version: int
    template_roles: frozenset[str]
    in_work: int
    """Photos with a runner or at their provider."""
    waiting: int
    """Photos that nobody has taken up yet."""
    oldest_share: float
    """How much of its time the oldest photo in work has used up: 0 to 1 and above."""
    last_photo_at: datetime | None
    """When the newest result that is still there was finished."""
    done: int
    failed: int
    timeouts: int
    last_failure: str | None


@dataclass(frozen=True, kw_only=True)
class Today:
    """Figures since a moment. `success` is a share from 0 to 1; None where nothing was finished."""

    photos: int
    success: float | None
    slowest_seconds: float | None
    """What 95 of 100 photos did not exceed."""


@dataclass(frozen=True, kw_only=True)
class Board:
    """Everything at one moment of the database's clock."""

    now: datetime
    slots: Sequence[SlotRow]
    today: Today
    runners_alive: int
    any_photo: bool
    """Whether a photo was ever taken in that is still known."""


_PROGRESS: ColumnElement[Any] = func.extract("epoch", func.now() - job.c.created_at) / func.extract(
    "epoch", job.c.expires_at - job.c.created_at
)
_OPEN = (
    select(
        job.c.slot_id,
        func.count().filter(~status_is(Status.QUEUED)).label("in_work"),
        func.count().filter(status_is(Status.QUEUED)).label("waiting"),
        func.max(_PROGRESS).label("oldest_share"),
    )
    .where(status_is(*OPEN))
    .group_by(job.c.slot_id)
    .subquery()
)
_LATELY = (
    select(
        job.c.slot_id,
        func.count().filter(status_is(Status.DONE)).label("done"),
        func.count().filter(status_is(Status.FAILED)).label("failed"),
        func.count().filter(status_is(Status.TIMEOUT)).label("timeouts"),
        (func.array_agg(job.c.failure_reason).filter(job.c.failure_reason.is_not(None)))[1].label("last_failure"),
    )
    .join_from(job_input, job, job_input.c.job_id == job.c.job_id)
    .where(
        job_input.c.created_at > func.now() - literal_column(f"interval '{LATELY_MINUTES} minutes'"),
        job.c.source == SOURCE,
        status_is(*FINAL),
    )
    .group_by(job.c.slot_id)
    .subquery()
)
_LAST = lateral(
    select(job.c.finished_at.label("last_photo_at"))
    .where(job.c.slot_id == slot.c.slot_id, job.c.result_path.is_not(None))
    .order_by(job.c.finished_at.desc())
    .limit(1)
)
_ROLES = select(func.array_agg(slot_template.c.role)).where(slot_template.c.slot_id == slot.c.slot_id).scalar_subquery()
_OWN = ("slot_id", "display_name", "provider", "operation", "settings", "fallback", "is_active", "version")
_COUNTS = ("done", "failed", "timeouts")
_SLOTS = (
    select(
        *(slot.c[name] for name in _OWN),
        _ROLES.label("template_roles"),
        func.coalesce(_OPEN.c.in_work, 0).label("in_work"),
        func.coalesce(_OPEN.c.waiting, 0).label("waiting"),
        cast(func.coalesce(_OPEN.c.oldest_share, 0), Float).label("oldest_share"),
        _LAST.c.last_photo_at,
        *(func.coalesce(_LATELY.c[name], 0).label(name) for name in _COUNTS),
        _LATELY.c.last_failure,
    )
    .select_from(
        slot.outerjoin(_OPEN, _OPEN.c.slot_id == slot.c.slot_id)
        .outerjoin(_LATELY, _LATELY.c.slot_id == slot.c.slot_id)
        .outerjoin(_LAST, true())
    )
    .order_by(slot.c.slot_id)
)
_STATE = select(
    func.now().label("now"),
    select(func.count()).where(runner.c.lease_until > func.now()).scalar_subquery().label("runners_alive"),
    select(hourly_watermark.c.rolled_until).scalar_subquery().label("rolled_until"),
    or_(exists(select(job_input.c.job_id)), exists(select(hourly_figure.c.hour))).label("any_photo"),
)


async def board(conn: AsyncConnection, *, zone: tzinfo) -> Board:
    """The dashboard's content; today began at midnight in this time zone."""
    state = (await conn.execute(_STATE)).one()
    since = state.now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = [
        SlotRow(**{**row._mapping, "template_roles": frozenset(row.template_roles or ())})  # noqa: SLF001
        for row in await conn.execute(_SLOTS)
    ]
    return Board(
        now=state.now,
        slots=rows,
        today=await _figures(conn, since=since, rolled_until=state.rolled_until),
        runners_alive=state.runners_alive,
        any_photo=state.any_photo,
    )


async def _figures(conn: AsyncConnection, *, since: datetime, rolled_until: datetime | None) -> Today:
    """Closed hours from their rows, the rest from the jobs themselves."""
    live_since = max(since, rolled_until) if rolled_until else since
    took = func.extract("epoch", job.c.finished_at - job.c.created_at)
    live = (
        select(
            func.count().label("photos"),
            func.count().filter(status_is(*FINAL)).label("final"),
            func.count().filter(status_is(Status.DONE)).label("done"),
            case((status_is(Status.DONE), histogram.bucket(took)), else_=cast(null(), Integer)).label("bucket"),
        )
        .join_from(job_input, job, job_input.c.job_id == job.c.job_id)
        .where(job_input.c.created_at >= live_since, job.c.source == SOURCE)
        .group_by(literal_column("bucket"))
    )
    photos = final = done = 0
    counts = [0] * histogram.BUCKETS
    for row in await conn.execute(live):
        photos, final, done = photos + row.photos, final + row.final, done + row.done
        if row.bucket is not None:
            counts[row.bucket] += row.photos
    if rolled_until and rolled_until > since:
        closed = select(
            hourly_figure.c.jobs, hourly_figure.c.done, cast(hourly_figure.c.seconds_histogram, ARRAY(Integer))
        ).where(and_(hourly_figure.c.hour >= since, hourly_figure.c.source == SOURCE))
        for jobs, finished, seconds in await conn.execute(closed):
            photos, final, done = photos + jobs, final + jobs, done + finished
            counts = histogram.added([counts, seconds])
    return Today(
        photos=photos,
        success=done / final if final else None,
        slowest_seconds=histogram.quantile(counts, 0.95),
    )
