"""Statistics of a window: of everything, or of one slot. Test runs are counted apart and are in no other figure."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import figures, tally
from photochanger.figures import AttemptFigures, JobFigures
from photochanger.job import Source
from photochanger.tables import slot
from photochanger.tally import AttemptTally, JobTally
from photochanger.window import Window

K = TypeVar("K")
T = TypeVar("T")

BOOTHS = Source.INGEST.value
TEST_RUNS = Source.UI_TEST.value


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Jobs, their attempts, and what follows from both."""

    jobs: JobTally
    attempts: AttemptTally

    @property
    def attempts_per_job(self) -> float | None:
        """1 where nothing is repeated; less where jobs timed out before their turn came."""
        return self.attempts.attempts / self.jobs.jobs if self.jobs.jobs else None

    @property
    def least_repeats(self) -> int:
        """How many attempts were not a job's first: all of them where that is known, else at least so many."""
        known = self.attempts.repeats
        return max(0, self.attempts.attempts - self.jobs.jobs) if known is None else known

    @property
    def cost_per_photo_usd(self) -> Decimal | None:
        """What all attempts cost, by the photos that came out of them."""
        return self.attempts.cost_usd / self.jobs.done if self.jobs.done else None


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point of the series."""

    at: datetime
    sums: Sums


@dataclass(frozen=True, kw_only=True)
class ProviderSums:
    """One provider's model."""

    provider: str
    model: str | None
    attempts: AttemptTally


@dataclass(frozen=True, kw_only=True)
class SlotSums:
    """One slot."""

    slot_id: str
    display_name: str
    is_active: bool
    sums: Sums


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What a window comes to."""

    window: Window
    total: Sums
    test_runs: Sums
    series: list[Point]
    providers: list[ProviderSums]
    slots: list[SlotSums]
    """Those that were asked for, in their order, also without any job."""


async def of_window(conn: AsyncConnection, window: Window, *, slot_id: str | None = None) -> Statistics:
    """Of one slot, or of all."""
    jobs = await figures.of_jobs(conn, window, slot_id=slot_id)
    attempts = await figures.of_attempts(conn, window, slot_id=slot_id)
    known = select(slot.c.slot_id, slot.c.display_name, slot.c.is_active).order_by(slot.c.slot_id)
    slots = await conn.execute(known if slot_id is None else known.where(slot.c.slot_id == slot_id))
    booths_jobs = [part for part in jobs if part.source == BOOTHS]
    booths_attempts = [part for part in attempts if part.source == BOOTHS]
    by_point = _sums(booths_jobs, booths_attempts, lambda part: part.point)
    by_slot = _sums(booths_jobs, booths_attempts, lambda part: part.slot_id)
    return Statistics(
        window=window,
        total=Sums(jobs=tally.jobs(booths_jobs), attempts=tally.attempts(booths_attempts)),
        test_runs=Sums(
            jobs=tally.jobs(part for part in jobs if part.source == TEST_RUNS),
            attempts=tally.attempts(part for part in attempts if part.source == TEST_RUNS),
        ),
        series=[Point(at=edge, sums=by_point(number)) for number, edge in enumerate(window.edges)],
        providers=_providers(booths_attempts),
        slots=[SlotSums(**row._mapping, sums=by_slot(row.slot_id)) for row in slots],  # noqa: SLF001
    )


def _sums(
    jobs: Iterable[JobFigures],
    attempts: Iterable[AttemptFigures],
    key: Callable[[JobFigures | AttemptFigures], K],
) -> Callable[[K], Sums]:
    """The sums of those with the same key, by the key."""
    jobs_by, attempts_by = _grouped(jobs, key), _grouped(attempts, key)
    return lambda wanted: Sums(
        jobs=tally.jobs(jobs_by.get(wanted, ())), attempts=tally.attempts(attempts_by.get(wanted, ()))
    )


def _providers(attempts: Iterable[AttemptFigures]) -> list[ProviderSums]:
    """Each provider's models, the busiest first."""
    by_model = _grouped(attempts, lambda part: (part.provider, part.model))
    found = [
        ProviderSums(provider=provider, model=model or None, attempts=tally.attempts(parts))
        for (provider, model), parts in by_model.items()
    ]
    return sorted(found, key=lambda one: (-one.attempts.attempts, one.provider, one.model or ""))


def _grouped(parts: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    groups: dict[K, list[T]] = defaultdict(list)
    for part in parts:
        groups[key(part)].append(part)
    return groups
