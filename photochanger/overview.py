"""How things stand: every slot, and the whole. The dashboard asks for it every few seconds: nothing here scans jobs."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import figures, leases, slots_now, tally
from photochanger.figures import JobFigures
from photochanger.job import Source
from photochanger.slots_now import LAST_FAILURE, LAST_SUCCESS
from photochanger.stats import BOOTHS, TEST_RUNS
from photochanger.tables import hourly_figure, job, job_input, slot, storage_figure
from photochanger.tally import JobTally
from photochanger.window import Past, Window, since

MEDIA = ("ingest", "work", "results", "previews", "provider", "templates")
"""The storage figures that are files of ours."""


@dataclass(frozen=True, kw_only=True)
class SlotOverview:
    """One slot: the window's jobs, and how it stands now."""

    slot_id: str
    display_name: str
    is_active: bool
    jobs: JobTally
    queued_now: int
    """No runner has begun with them."""
    in_work_now: int
    last_success_at: datetime | None
    """When its last photo was done; of one whose result is not kept any more, the hour in which it came."""
    last_error_at: datetime | None
    last_error_reason: str | None


@dataclass(frozen=True, kw_only=True)
class Storage:
    """What the cleanup daemon has measured. None: not yet."""

    media_bytes: int | None
    disk_total_bytes: int | None
    disk_free_bytes: int | None
    measured_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Every slot, and how many photos there were in all the time."""

    jobs_total: int
    slots: list[SlotOverview]


@dataclass(frozen=True, kw_only=True)
class Overview:
    """Everything at a glance. Test runs are counted apart."""

    window: Window
    jobs: JobTally
    jobs_total: int
    runners_alive: int
    storage: Storage
    slots: list[SlotOverview]
    test_runs: JobTally


async def of_window(conn: AsyncConnection, known: Past, window: Window, *, rolled_totals: "RolledTotals") -> Overview:
    """The window's figures, by slot and as a whole."""
    found = await figures.of_jobs(conn, window)
    by_slot: dict[str, list[JobFigures]] = defaultdict(list)
    for part in found:
        if part.source == BOOTHS:
            by_slot[part.slot_id].append(part)
    jobs_by_slot = {slot_id: tally.jobs(parts) for slot_id, parts in by_slot.items()}
    standing = await standing_of(conn, known, jobs_by_slot, rolled_totals=rolled_totals)
    return Overview(
        window=window,
        jobs=tally.jobs(part for parts in by_slot.values() for part in parts),
        jobs_total=standing.jobs_total,
        runners_alive=await leases.alive(conn),
        storage=await storage(conn),
        slots=standing.slots,
        test_runs=tally.jobs(part for part in found if part.source == TEST_RUNS),
    )


async def standing_of(
    conn: AsyncConnection, known: Past, jobs: Mapping[str, JobTally], *, rolled_totals: "RolledTotals"
) -> Standing:
    """How the slots stand now; `jobs`: what was counted of a window, by slot."""
    totals = await _totals(conn, known, await rolled_totals.by_slot(conn, known))
    return Standing(jobs_total=sum(total.jobs for total in totals.values()), slots=await _slots(conn, totals, jobs))


async def storage(conn: AsyncConnection) -> Storage:
    """The last measured figures."""
    rows = {row.name: row for row in await conn.execute(select(storage_figure))}
    ours = [rows[name] for name in MEDIA if name in rows]
    disk = {name: rows[name].bytes if name in rows else None for name in ("disk_total", "disk_free")}
    return Storage(
        media_bytes=sum(row.bytes for row in ours) if ours else None,
        disk_total_bytes=disk["disk_total"],
        disk_free_bytes=disk["disk_free"],
        measured_at=min((row.measured_at for row in ours), default=None),
    )


@dataclass(frozen=True, kw_only=True)
class _Total:
    """All jobs a slot ever had."""

    jobs: int = 0
    last_done_hour: datetime | None = None
    """The last rolled hour with a photo that was done."""


_ROLLED_TOTALS = (
    select(
        hourly_figure.c.slot_id,
        func.sum(hourly_figure.c.jobs).label("jobs"),
        func.max(hourly_figure.c.hour).filter(hourly_figure.c.done > 0).label("last_done_hour"),
    )
    .where(hourly_figure.c.source == BOOTHS)
    .group_by(hourly_figure.c.slot_id)
)


class RolledTotals:
    """The sums of all rolled hours, which change only when another hour is rolled: years are not added up each time."""

    def __init__(self) -> None:
        self._rolled_until: datetime | None = None
        self._by_slot: Mapping[str, _Total] = {}

    async def by_slot(self, conn: AsyncConnection, known: Past) -> Mapping[str, _Total]:
        """As of this watermark."""
        if known.rolled_until != self._rolled_until:
            rows = await conn.execute(_ROLLED_TOTALS.where(hourly_figure.c.hour < known.rolled_until))
            self._by_slot = {row.slot_id: _Total(jobs=row.jobs, last_done_hour=row.last_done_hour) for row in rows}
            self._rolled_until = known.rolled_until
        return self._by_slot


async def _totals(conn: AsyncConnection, known: Past, rolled: Mapping[str, _Total]) -> dict[str, _Total]:
    """The rolled hours, and the rows of what came since."""
    query = (
        select(job.c.slot_id, func.count().label("jobs"))
        .join_from(job_input, job, job_input.c.job_id == job.c.job_id)
        .where(job.c.source == BOOTHS, job.c.kind == "photo")
        .group_by(job.c.slot_id)
    )
    if known.rolled_until is not None:
        query = query.where(since(job_input.c.created_at, known.rolled_until))
    totals = dict(rolled)
    for row in await conn.execute(query):
        before = totals.get(row.slot_id, _Total())
        totals[row.slot_id] = _Total(jobs=before.jobs + row.jobs, last_done_hour=before.last_done_hour)
    return totals


_OPEN = slots_now.open_jobs(of=Source.INGEST)
_SLOTS = (
    select(
        slot.c.slot_id,
        slot.c.display_name,
        slot.c.is_active,
        func.coalesce(_OPEN.c.queued, 0).label("queued_now"),
        func.coalesce(_OPEN.c.in_work, 0).label("in_work_now"),
        LAST_SUCCESS.c.finished_at.label("last_success_at"),
        LAST_FAILURE.c.finished_at.label("last_error_at"),
        LAST_FAILURE.c.failure_reason.label("last_error_reason"),
    )
    .select_from(
        slot.outerjoin(_OPEN, _OPEN.c.slot_id == slot.c.slot_id)
        .outerjoin(LAST_SUCCESS, true())
        .outerjoin(LAST_FAILURE, true())
    )
    .order_by(slot.c.slot_id)
)


async def _slots(
    conn: AsyncConnection, totals: Mapping[str, _Total], jobs: Mapping[str, JobTally]
) -> list[SlotOverview]:
    nothing = tally.jobs(())
    return [
        SlotOverview(
            **{**row._mapping, "last_success_at": _last_success(row, totals.get(row.slot_id, _Total()))},  # noqa: SLF001
            jobs=jobs.get(row.slot_id, nothing),
        )
        for row in await conn.execute(_SLOTS)
    ]


def _last_success(row: Any, total: _Total) -> datetime | None:
    """When its last kept result was done, or the hour of a later one that is not kept any more."""
    known = [moment for moment in (row.last_success_at, total.last_done_hour) if moment is not None]
    return max(known, default=None)
