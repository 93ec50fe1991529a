"""What the dashboard shows: the 15 slots with what they do now, and today's figures.

Asked for every few seconds, beside a million jobs: what is counted comes from partial indexes, from rolled hours, or
from the photos of the last minutes.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from sqlalchemy import exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import figures, leases, slots_now, tally, window
from photochanger.job import Source
from photochanger.slots_now import OpenJobs
from photochanger.stats import BOOTHS
from photochanger.tables import hourly_figure, job_input, slot, slot_template
from photochanger.tally import JobTally
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


_ROLES = select(func.array_agg(slot_template.c.role)).where(slot_template.c.slot_id == slot.c.slot_id).scalar_subquery()
_OWN = ("slot_id", "display_name", "provider", "operation", "settings", "fallback", "is_active", "version")
_SLOTS = select(*(slot.c[name] for name in _OWN), _ROLES.label("template_roles")).order_by(slot.c.slot_id)
_ANY_PHOTO = select(or_(exists(select(job_input.c.job_id)), exists(select(hourly_figure.c.hour))))


async def board(conn: AsyncConnection, known: Past, *, zone: tzinfo) -> Board:
    """The dashboard's content; today began at midnight in this time zone."""
    lately = await window.whole(conn, known, minutes=LATELY_MINUTES)
    today = await _by_slot(conn, window.today(known, zone=zone))
    return Board(
        now=known.now,
        slots=await _slots(conn, await _by_slot(conn, lately)),
        today=_today(tally.jobs(part for parts in today.values() for part in parts)),
        runners_alive=await leases.alive(conn),
        any_photo=(await conn.execute(_ANY_PHOTO)).scalar_one(),
    )


async def _slots(conn: AsyncConnection, lately: Mapping[str, list[figures.JobFigures]]) -> list[SlotRow]:
    open_now = await slots_now.open_jobs(conn, sources=list(Source))
    ends = await slots_now.last_ends(conn)
    rows = []
    for row in await conn.execute(_SLOTS):
        its, last = open_now.get(row.slot_id, OpenJobs()), ends[row.slot_id]
        ended = tally.jobs(lately.get(row.slot_id, ()))
        rows.append(
            SlotRow(
                **{name: row._mapping[name] for name in _OWN},  # noqa: SLF001
                template_roles=frozenset(row.template_roles or ()),
                in_work=its.in_work,
                waiting=its.queued,
                oldest_share=its.oldest_share,
                last_photo_at=last.success_at,
                done=ended.done,
                failed=ended.failed,
                timeouts=ended.timeouts,
                last_failure=last.failure_reason if ended.failed or ended.timeouts else None,
            )
        )
    return rows


async def _by_slot(conn: AsyncConnection, its: Window) -> dict[str, list[figures.JobFigures]]:
    """What came of the booths' photos."""
    found: dict[str, list[figures.JobFigures]] = defaultdict(list)
    for part in await figures.of_jobs(conn, its):
        if part.source == BOOTHS:
            found[part.slot_id].append(part)
    return found


def _today(came: JobTally) -> Today:
    return Today(photos=came.jobs, success=came.success_share, slowest_seconds=came.p95_seconds)
