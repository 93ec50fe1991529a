"""The points of a chart lie at round times of the zone, whatever its clocks do."""

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from photochanger.window import DAY, HOUR, STEPS, WEEK, Span, edges

BERLIN = ZoneInfo("Europe/Berlin")


def span(start: datetime, **length: float) -> Span:
    return Span(start.astimezone(UTC), start.astimezone(UTC) + timedelta(**length))


def local(found: tuple[datetime, ...], zone: ZoneInfo) -> list[str]:
    return [f"{edge.astimezone(zone):%d %H:%M}" for edge in found]


def test_the_first_point_begins_at_a_round_time_at_the_start_or_before_it() -> None:
    start = datetime(2026, 11, 6, 10, 7, 30, tzinfo=UTC)
    found = edges(span(start, minutes=30), step=timedelta(minutes=10), zone=ZoneInfo("UTC"))
    assert local(found, ZoneInfo("UTC")) == ["06 10:00", "06 10:10", "06 10:20", "06 10:30"]


def test_a_start_on_the_edge_has_no_point_before_it() -> None:
    start = datetime(2026, 11, 6, 10, tzinfo=UTC)
    found = edges(span(start, hours=2), step=HOUR, zone=ZoneInfo("UTC"))
    assert local(found, ZoneInfo("UTC")) == ["06 10:00", "06 11:00"]


def test_days_follow_the_zone_over_a_change_of_the_clocks() -> None:
    start = datetime(2026, 10, 24, 5, tzinfo=BERLIN)
    found = edges(span(start, days=3), step=DAY, zone=BERLIN)
    assert local(found, BERLIN) == ["24 00:00", "25 00:00", "26 00:00", "27 00:00"]
    assert [later - edge for edge, later in itertools.pairwise(found)] == [DAY, DAY + HOUR, DAY]


def test_hours_count_anew_from_each_midnight() -> None:
    start = datetime(2026, 3, 28, 20, tzinfo=BERLIN)
    found = edges(span(start, hours=20), step=timedelta(hours=6), zone=BERLIN)
    assert local(found, BERLIN) == ["28 18:00", "29 00:00", "29 07:00", "29 13:00"]


def test_weeks_begin_on_monday() -> None:
    start = datetime(2026, 11, 5, 12, tzinfo=BERLIN)
    found = edges(span(start, days=14), step=WEEK, zone=BERLIN)
    assert local(found, BERLIN) == ["02 00:00", "09 00:00", "16 00:00"]


@pytest.mark.parametrize(
    "name", ["UTC", "Europe/Berlin", "Asia/Kolkata", "Africa/Cairo", "Pacific/Apia", "America/St_Johns"]
)
@pytest.mark.parametrize("step", STEPS)
def test_points_go_up_and_cover_the_whole_time(name: str, step: timedelta) -> None:
    zone = ZoneInfo(name)
    for month in range(1, 13):
        asked = Span(*(datetime(2011, month, 20, 3, 17, 1, tzinfo=UTC) + step * count for count in (0, 117)))
        found = edges(asked, step=step, zone=zone)
        assert list(found) == sorted(set(found))
        assert len(found) <= 120
        assert found[0] <= asked.start < found[1]
        assert asked.until - found[-1] <= max(step, step + HOUR if step >= DAY else step)
