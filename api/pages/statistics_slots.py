"""The statistics' table of slots: a line each, in the order that is asked for."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from api.pages.dashboard import LACKS, PILLS, Pill
from photochanger.board import SlotRow
from photochanger.overview import SlotOverview
from photochanger.slot_condition import Condition, Surroundings, condition, lacks
from photochanger.stats import SlotSums, Sums

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
WORST_FIRST = (
    *(Condition.FAILING, Condition.LATE, Condition.UNCONFIGURED),
    *(Condition.BUSY, Condition.ACTIVE, Condition.OFF),
)


@dataclass(frozen=True, kw_only=True)
class SlotLine:
    """One slot: the window's figures, and how it stands now."""

    slot_id: str
    name: str
    sums: Sums
    last_success_at: datetime | None
    last_error_at: datetime | None
    last_error_reason: str | None
    condition: Condition
    pill: Pill
    why: str
    """A sentence that is still to be translated."""


def lines(
    counted: Iterable[SlotSums], standing: Iterable[SlotOverview], rows: Iterable[SlotRow], around: Surroundings
) -> list[SlotLine]:
    """A line for each slot that was counted."""
    stands, by_id = {one.slot_id: one for one in standing}, {row.slot_id: row for row in rows}
    return [_line(one, stands[one.slot_id], by_id[one.slot_id], around) for one in counted]


def _line(one: SlotSums, stands: SlotOverview, row: SlotRow, around: Surroundings) -> SlotLine:
    found = condition(row, around)
    lack = lacks(row, around) if found is Condition.UNCONFIGURED else None
    return SlotLine(
        slot_id=one.slot_id,
        name=one.display_name,
        sums=one.sums,
        last_success_at=stands.last_success_at,
        last_error_at=stands.last_error_at,
        last_error_reason=stands.last_error_reason,
        condition=found,
        pill=PILLS[found],
        why=PILLS[found].why if lack is None else LACKS[lack],
    )


def in_order(found: Sequence[SlotLine], sort: str | None) -> list[SlotLine]:
    """By this column, with a minus the other way round; what is equal stays in the slots' own order."""
    if sort is None:
        return list(found)
    return sorted(found, key=_KEYS[sort.removeprefix("-")], reverse=sort.startswith("-"))


_KEYS: Mapping[str, Callable[[SlotLine], Any]] = {
    "name": lambda line: line.name.casefold(),
    "photos": lambda line: line.sums.jobs.jobs,
    "late": lambda line: line.sums.jobs.timeouts,
    "errors": lambda line: line.sums.jobs.provider_errors,
    "cost": lambda line: line.sums.attempts.cost_usd,
    "success": lambda line: line.last_success_at or LONG_AGO,
    "failure": lambda line: line.last_error_at or LONG_AGO,
    "state": lambda line: WORST_FIRST.index(line.condition),
}
