"""A window's days are its points put together: no photo is lost between two of them or counted in both."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from photochanger import day_sums, stats, window
from photochanger.db import Database
from photochanger.stats import Statistics
from tests import figure_rows
from tests.figure_rows import MadeJob, count, hour_of
from tests.test_stats import in_window, statistics

pytestmark = pytest.mark.anyio

DAY = 24 * 60


async def since(db: Database, start: datetime, *, zone: ZoneInfo) -> Statistics:
    async with db.begin() as conn:
        known = await window.past(conn, job_retention_days=90)
        return await stats.of_window(conn, await window.since_moment(conn, known, start=start, zone=zone))


@pytest.mark.parametrize("zone_name", ["UTC", "Europe/Moscow", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("minutes", [60, DAY, 7 * DAY, 30 * DAY])
async def test_every_photo_is_in_the_day_on_which_it_came(db: Database, minutes: int, zone_name: str) -> None:
    zone, now = ZoneInfo(zone_name), await figure_rows.now(db)
    made = figure_rows.many(200, start=now - timedelta(minutes=minutes), until=now, seed=minutes)
    await figure_rows.write(db, made)
    found = await statistics(db, minutes=minutes, zone=zone)
    its = in_window(made, found)
    days = day_sums.of_statistics(found, zone=zone)
    assert sum(day.jobs for day in days) == len(its)
    for day in days:
        came = [one for one in its if one.created_at.astimezone(zone).date() == day.span.start.astimezone(zone).date()]
        assert (day.jobs, day.done, day.timeouts) == (len(came), count(came, "done"), count(came, "timeout"))
        assert day.failed == count(came, "failed")
        cost = sum((call.cost_usd or Decimal() for one in came for call in one.attempts), Decimal())
        assert day.cost_usd == cost
        assert day.cost_per_photo_usd == (cost / day.done if day.done else None)
        assert [one for one in its if day.span.start <= one.created_at < day.span.until] == came, "as its link counts"


async def test_the_rolled_hours_make_the_same_days(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    zone, now = ZoneInfo("Europe/Moscow"), await figure_rows.now(db)
    made = figure_rows.many(200, start=now - timedelta(days=5), until=now)
    await figure_rows.write(db, made)
    await figure_rows.roll(db, made, until=hour_of(now))
    from_rows = day_sums.of_statistics(await statistics(db, minutes=5 * DAY, zone=zone), zone=zone)
    monkeypatch.setattr(window, "MOST_JOBS_BY_ROW", 0)
    from_hours = day_sums.of_statistics(await statistics(db, minutes=5 * DAY, zone=zone), zone=zone)
    told = [[(day.jobs, day.done, day.cost_usd) for day in days] for days in (from_rows, from_hours)]
    assert len(told[0]) >= 5
    assert told[0] == told[1]


async def test_days_without_photos_are_left_out_and_an_empty_window_has_none(db: Database) -> None:
    now = await figure_rows.now(db)
    zone = ZoneInfo("UTC")
    assert day_sums.of_statistics(await statistics(db, minutes=7 * DAY, zone=zone), zone=zone) == []
    await figure_rows.write(db, [MadeJob(created_at=now - timedelta(days=days)) for days in (0, 5)])
    days = day_sums.of_statistics(await statistics(db, minutes=7 * DAY, zone=zone), zone=zone)
    assert [day.span.start.date() for day in days] == [(now - timedelta(days=5)).date(), now.date()]


async def test_a_window_may_begin_at_any_moment(db: Database) -> None:
    now = await figure_rows.now(db)
    made = figure_rows.many(120, start=now - timedelta(days=300), until=now)
    await figure_rows.write(db, made)
    zone = ZoneInfo("Europe/Moscow")
    for age in (timedelta(seconds=1), timedelta(minutes=3), timedelta(hours=30), timedelta(days=40)):
        start = (now - age).astimezone(UTC)
        found = await since(db, start, zone=zone)
        assert found.window.span.start == start
        assert found.total.jobs.jobs == len(in_window(made, found))
        assert 1 <= len(found.series) <= window.MOST_POINTS
    await figure_rows.roll(db, made, until=hour_of(now))
    year = await since(db, now - timedelta(days=300), zone=zone)
    assert year.window.step == window.WEEK
    booths = in_window(made, year)
    weeks = day_sums.of_statistics(year, zone=zone)
    assert sum(week.jobs for week in weeks) == len(booths) == year.total.jobs.jobs
    assert {week.span.start.astimezone(zone).weekday() for week in weeks[1:]} == {0}
