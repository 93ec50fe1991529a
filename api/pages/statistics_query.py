"""What the address of the statistics asks for: a window, a slot, the slots' order, the chart's figures as a table.

Everything that a reader has chosen stands in the address: it survives a refresh and can be sent to a colleague. What
cannot be understood is the usual instead, but for a slot that does not exist.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.requests import Request

from api.pages.formats import zone_of
from api.pages.language import marked
from photochanger import moments
from photochanger.errors import Failure, Refusal
from photochanger.slots import SLOT_ID
from photochanger.window import Span

WINDOWS = {
    15: marked("15 minutes"),
    60: marked("Hour"),
    360: marked("6 hours"),
    1440: marked("Day"),
    10080: marked("7 days"),
    43200: marked("30 days"),
}
USUAL_MINUTES = 60
LEAST_MINUTES, MOST_MINUTES = 5, 43200
LONGEST = timedelta(days=366)
RESET_COOKIE = "photochanger_statistics_since"
"""The moment of the reset, which this browser keeps: on the server nothing is reset."""
LONGEST_MOMENT = len("2026-11-21T14:05:09.123456+00:00")
SORTS = ("name", "photos", "late", "errors", "cost", "success", "failure", "state")
FALLING_FIRST = ("photos", "late", "errors", "cost", "success", "failure")
"""Of these one wants to see the greatest, or the latest, first."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One look at the statistics."""

    minutes: int | None
    """None: the window begins at `since`."""
    since: datetime | None
    reset_at: datetime | None
    """When this browser has reset them."""
    slot_id: str | None
    sort: str | None
    """One of SORTS, with a minus where it falls; None: in the slots' own order."""
    table: bool
    zone: ZoneInfo

    @classmethod
    def of(cls, request: Request, *, now: datetime) -> Self:
        """Raises `Refusal` (`slot_not_found`)."""
        given = request.query_params
        slot_id = given.get("slot_id") or None
        if slot_id is not None and not SLOT_ID.fullmatch(slot_id):
            raise Refusal(Failure.SLOT_NOT_FOUND)
        minutes, since = _minutes(given.get("minutes", "")), _moment(given.get("since", ""), now=now)
        reset_at = _moment(request.cookies.get(RESET_COOKIE, ""), now=now)
        if minutes is None and since is None:
            since = reset_at
        sort, zone = given.get("sort", ""), zone_of(request)
        return cls(
            minutes=(minutes or USUAL_MINUTES) if minutes is not None or since is None else None,
            since=None if minutes is not None else since,
            reset_at=reset_at,
            slot_id=slot_id,
            sort=sort if sort.removeprefix("-") in SORTS else None,
            table=given.get("table") == "1",
            zone=zone if isinstance(zone, ZoneInfo) else ZoneInfo("UTC"),
        )

    def start(self, now: datetime) -> datetime:
        """When the window begins."""
        return self.since if self.since is not None else now - timedelta(minutes=self.minutes or USUAL_MINUTES)

    @property
    def by_reset(self) -> bool:
        """The window begins where this browser has reset the statistics."""
        return self.since is not None and self.since == self.reset_at

    def over(self, *, minutes: int | None = None, since: datetime | None = None) -> str:
        """The address of the same in another window."""
        return replace(self, minutes=minutes, since=since).address

    def of_slot(self, slot_id: str | None) -> str:
        """The address of one slot's statistics, or of all."""
        return replace(self, slot_id=slot_id, table=False).address

    def with_table(self, shown: bool) -> str:  # noqa: FBT001
        """The address with the chart's figures as a table, or without."""
        return replace(self, table=shown).address

    def sorted_by(self, column: str) -> str:
        """The address with the slots by this column; by the same one once more: the other way round."""
        first, other = (f"-{column}", column) if column in FALLING_FIRST else (column, f"-{column}")
        return replace(self, sort=other if self.sort == first else first).address

    def direction(self, column: str) -> str | None:
        """How the column is sorted, for `aria-sort`."""
        return {column: "ascending", f"-{column}": "descending"}.get(self.sort or "")

    @property
    def address(self) -> str:
        """With the window in it, whatever a cookie says."""
        asked: dict[str, Any] = {"minutes": self.minutes} if self.since is None else {"since": _exact(self.since)}
        more = {"slot_id": self.slot_id, "sort": self.sort, "table": 1 if self.table else None}
        return f"/statistics?{urlencode(asked | {name: value for name, value in more.items() if value})}"

    def photos(self, span: Span, **filters: str | None) -> str:
        """The address of the log with exactly the booths' photos that came in this time."""
        wanted = {"slot_id": self.slot_id, "source": "ingest", **filters}
        given = {name: value for name, value in wanted.items() if value}
        return f"/jobs?{urlencode({**given, 'from': _exact(span.start), 'to': _exact(span.until)})}"

    def export(self, span: Span, *, comma: bool) -> str:
        """The address of the window's days as a file."""
        days = {"from": span.start.astimezone(self.zone).date(), "to": span.until.astimezone(self.zone).date()}
        more = {"slot_id": self.slot_id} if self.slot_id else {}
        decimal = {"decimal": "comma"} if comma else {}
        return f"/api/stats/export.csv?{urlencode({**days, 'tz': self.zone.key, **more, **decimal})}"


def _minutes(text: str) -> int | None:
    if not text.isascii() or not text.isdigit() or len(text) > len(str(MOST_MINUTES)):
        return None
    return min(max(int(text), LEAST_MINUTES), MOST_MINUTES)


def _moment(text: str, *, now: datetime) -> datetime | None:
    """In UTC; None for what is no moment, or none that a window could begin at."""
    if len(text) > LONGEST_MOMENT:
        return None
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))  # a plus that was not escaped comes as a space
    except ValueError:
        return None
    if found.tzinfo is None or found >= now:
        return None
    return max(found, now - LONGEST).astimezone(UTC)


def _exact(moment: datetime) -> str:
    """As it was counted by: cut to milliseconds it would lead to other photos."""
    return moments.written(moment, down_to="microseconds")
