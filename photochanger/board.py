"""What the dashboard shows: the 15 slots with what they do now, and today's figures.

Asked for every few seconds, beside a million jobs: what is counted comes from partial indexes, from rolled hours, or
from the photos of the last minutes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from sqlalchemy import case, exists, func, literal_column, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import figures, leases, slots_now, tally, window
from photochanger.job import FINAL, Status, status_is
from photochanger.slots_now import LAST_FAILURE, LAST_SUCCESS
from photochanger.stats import BOOTHS
from photochanger.tables import hourly_figure, job, job_input, slot, slot_template
from photochanger.window import Past, Window

LATELY_MINUTES = 15


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
    """Photos with a runner or at their provider; here and below test runs too: they take a place."""
    waiting: int
    """Photos that nobody has taken up yet."""
    oldest_share: float
    """How much of its time the oldest photo in work has used up: 0 to 1 and above."""
    last_photo_at: datetime | None
    """When the newest result of a booth's photo that is still there was finished."""
    done: int
    failed: int
    timeouts: int
    last_failure: str | None
    """Why the last of those failed or timed out."""


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


_OPEN = slots_now.open_jobs()
_LATELY = (
    select(
        job.c.slot_id,
        func.count().filter(status_is(Status.DONE)).label("done"),
        func.count().filter(status_is(Status.FAILED)).label("failed"),
        func.count().filter(status_is(Status.TIMEOUT)).label("timeouts"),
    )
    .join_from(job_input, job, job_input.c.job_id == job.c.job_id)
    .where(
        job_input.c.created_at > func.now() - literal_column(f"interval '{LATELY_MINUTES} minutes'"),
        job.c.source == BOOTHS,
        status_is(*FINAL),
    )
    .group_by(job.c.slot_id)
    .subquery("lately")
)
_ROLES = select(func.array_agg(slot_template.c.role)).where(slot_template.c.slot_id == slot.c.slot_id).scalar_subquery()
_OWN = ("slot_id", "display_name", "provider", "operation", "settings", "fallback", "is_active", "version")
_COUNTS = ("done", "failed", "timeouts")
_SLOTS = (
    select(
        *(slot.c[name] for name in _OWN),
        _ROLES.label("template_roles"),
        func.coalesce(_OPEN.c.in_work, 0).label("in_work"),
        func.coalesce(_OPEN.c.queued, 0).label("waiting"),
        func.coalesce(_OPEN.c.oldest_share, 0.0).label("oldest_share"),
        LAST_SUCCESS.c.finished_at.label("last_photo_at"),
        *(func.coalesce(_LATELY.c[name], 0).label(name) for name in _COUNTS),
        case((_LATELY.c.failed + _LATELY.c.timeouts > 0, LAST_FAILURE.c.failure_reason)).label("last_failure"),
    )
    .select_from(
        slot.outerjoin(_OPEN, _OPEN.c.slot_id == slot.c.slot_id)
        .outerjoin(_LATELY, _LATELY.c.slot_id == slot.c.slot_id)
        .outerjoin(LAST_SUCCESS, true())
        .outerjoin(LAST_FAILURE, true())
    )
    .order_by(slot.c.slot_id)
)
_STATE = select(
    leases.ALIVE.label("runners_alive"),
    or_(exists(select(job_input.c.job_id)), exists(select(hourly_figure.c.hour))).label("any_photo"),
)


async def board(conn: AsyncConnection, known: Past, *, zone: tzinfo) -> Board:
    """The dashboard's content; today began at midnight in this time zone."""
    state = (await conn.execute(_STATE)).one()
    return Board(
        now=known.now,
        slots=await slot_rows(conn),
        today=await _today(conn, window.today(known, zone=zone)),
        runners_alive=state.runners_alive,
        any_photo=state.any_photo,
    )


async def slot_rows(conn: AsyncConnection) -> list[SlotRow]:
    """Every slot as it stands."""
    return [
        SlotRow(**{**row._mapping, "template_roles": frozenset(row.template_roles or ())})  # noqa: SLF001
        for row in await conn.execute(_SLOTS)
    ]


async def _today(conn: AsyncConnection, its: Window) -> Today:
    came = tally.jobs(part for part in await figures.of_jobs(conn, its, reasons=False) if part.source == BOOTHS)
    return Today(photos=came.jobs, success=came.success_share, slowest_seconds=came.p95_seconds)
