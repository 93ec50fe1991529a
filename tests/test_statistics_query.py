"""What the address of the statistics may say, and what comes of nonsense in it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from starlette.requests import Request

from api.pages.statistics_query import SORTS, Asked
from photochanger.errors import Refusal
from photochanger.window import Span

NOW = datetime(2026, 11, 21, 14, 5, 9, 123456, tzinfo=UTC)


def asked(query: str = "", *, reset: str = "", zone: str = "") -> Asked:
    cookies = {"photochanger_statistics_since": reset, "photochanger_zone": zone}
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items() if value)
    headers = [(b"cookie", cookie.encode())] if cookie else []
    scope = {"type": "http", "method": "GET", "path": "/statistics", "query_string": query.encode(), "headers": headers}
    return Asked.of(Request(scope), now=NOW)


def again(address: str) -> Asked:
    """What a link leads to."""
    return asked(urlsplit(address).query)


def test_without_anything_it_is_an_hour_of_all_slots() -> None:
    found = asked()
    assert (found.minutes, found.since, found.slot_id, found.sort, found.table) == (60, None, None, None, False)
    assert found.start(NOW) == NOW - timedelta(hours=1)
    assert found.address == "/statistics?minutes=60"


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("1", 5), ("15", 15), ("43200", 43200), ("99999", 43200), ("0", 5)]
    + [(text, 60) for text in ("", "-5", "x", "9" * 30, "1e3", "٣", "1.5", " 60", "\x00")],
)
def test_minutes_stay_within_bounds_and_nonsense_is_an_hour(text: str, minutes: int) -> None:
    assert asked(urlencode({"minutes": text})).minutes == minutes


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("2026-11-21T14:00:00Z", datetime(2026, 11, 21, 14, tzinfo=UTC)),
        ("2026-11-21T14:00:00.250Z", datetime(2026, 11, 21, 14, 0, 0, 250000, tzinfo=UTC)),
        ("2026-11-21T17:00:00+03:00", datetime(2026, 11, 21, 14, tzinfo=UTC)),
        ("2020-01-01T00:00:00Z", NOW - timedelta(days=366)),
        ("0001-01-01T00:00:00+14:00", NOW - timedelta(days=366)),
        ("2026-11-21T14:05:10Z", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("2026-11-21T14:00:00", None),
        ("2026-11-21", None),
        ("yesterday", None),
        ("", None),
        ("2" * 5000, None),
        ("2026-13-41T99:00:00Z", None),
        ("\x00", None),
    ],
)
def test_a_moment_is_one_of_the_last_year_or_none(text: str, since: datetime | None) -> None:
    by_address = asked(urlencode({"since": text}))
    assert by_address.since == since
    assert (by_address.minutes is None) == (since is not None)
    if text.isascii() and "\x00" not in text:
        assert asked(reset=text).since == since, "as this browser's reset it counts in the same way"


def test_a_plus_that_was_not_escaped_is_one() -> None:
    assert asked("since=2026-11-21T17:00:00+03:00").since == datetime(2026, 11, 21, 14, tzinfo=UTC)


def test_the_address_beats_the_reset() -> None:
    reset = "2026-11-21T13:00:00.000Z"
    assert asked(reset=reset).by_reset
    hour = asked("minutes=60", reset=reset)
    assert (hour.minutes, hour.since, hour.by_reset) == (60, None, False)
    assert hour.reset_at == datetime(2026, 11, 21, 13, tzinfo=UTC), "the way back to it stays"
    other = asked("since=2026-11-21T12:00:00Z", reset=reset)
    assert (other.since, other.by_reset) == (datetime(2026, 11, 21, 12, tzinfo=UTC), False)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "minutes=15",
        "since=2026-11-21T13:07:01.000009Z",
        "slot_id=slot-007&sort=-photos&table=1&minutes=1440",
        "sort=state",
    ],
)
def test_the_address_says_the_same_again(query: str) -> None:
    found = asked(query)
    assert again(found.address) == found


def test_each_link_changes_one_thing_alone() -> None:
    found = asked("minutes=1440&slot_id=slot-003&sort=late&table=1")
    assert again(found.over(minutes=15)) == asked("minutes=15&slot_id=slot-003&sort=late&table=1")
    assert again(found.of_slot(None)) == asked("minutes=1440&sort=late")
    assert again(found.with_table(False)) == asked("minutes=1440&slot_id=slot-003&sort=late")


@pytest.mark.parametrize("column", SORTS)
def test_a_column_sorts_both_ways(column: str) -> None:
    first = again(asked().sorted_by(column))
    second = again(first.sorted_by(column))
    assert {first.direction(column), second.direction(column)} == {"ascending", "descending"}
    assert again(second.sorted_by(column)) == first
    assert first.direction("photos" if column == "late" else "late") is None


@pytest.mark.parametrize("sort", ["", "-", "--photos", "jobs", "photos;", "'", "x" * 5000])
def test_an_order_that_does_not_exist_is_the_slots_own(sort: str) -> None:
    assert asked(urlencode({"sort": sort})).sort is None


@pytest.mark.parametrize("slot_id", ["slot-000", "slot-016", "SLOT-001", "slot-001 ", "x", "\x00"])
def test_an_unknown_slot_is_refused(slot_id: str) -> None:
    with pytest.raises(Refusal):
        asked(urlencode({"slot_id": slot_id}))


@pytest.mark.parametrize(
    ("zone", "known"), [("Europe/Moscow", "Europe/Moscow"), ("Nowhere/Land", "UTC"), ("../etc", "UTC")]
)
def test_times_are_the_browsers_where_its_zone_is_known(zone: str, known: str) -> None:
    assert asked(zone=zone).zone.key == known


def test_photos_are_found_by_the_exact_time() -> None:
    span = Span(NOW - timedelta(hours=1), NOW)

    def filters(address: str) -> Mapping[str, Any]:
        assert address.startswith("/jobs?")
        return dict(parse_qsl(urlsplit(address).query))

    when = {"from": "2026-11-21T13:05:09.123456Z", "to": "2026-11-21T14:05:09.123456Z"}
    assert filters(asked().photos(span)) == {"source": "ingest", **when}
    assert filters(asked("slot_id=slot-003").photos(span, status="timeout")) == {
        "slot_id": "slot-003",
        "source": "ingest",
        "status": "timeout",
        **when,
    }
    assert filters(asked("slot_id=slot-003").photos(span, slot_id="slot-004"))["slot_id"] == "slot-004"
    assert filters(asked().photos(span, source="ui_test"))["source"] == "ui_test"
