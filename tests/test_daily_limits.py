"""Requests per day: what is used, and when the rest will be at the rate of the last hour."""

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from photochanger import app_settings, daily_limits
from photochanger.daily_limits import DailyLimit
from photochanger.db import Database
from photochanger.providers import CallLimits, Providers
from tests import figure_rows
from tests.figure_rows import MadeAttempt, MadeJob

pytestmark = pytest.mark.anyio

CALL = MadeAttempt(provider="gemini", model="one", seconds=3.0, outcome="ok", cost_usd=None)
ZONES = [f"Etc/GMT{hours:+d}" for hours in range(-14, 13)]
"""One of them always has its midnight long ago, and one soon."""


def limited(known: Providers, per_day: int, zone: str) -> Providers:
    limits = CallLimits(in_flight=None, per_minute=None, per_day=per_day, day_zone=zone)
    return Providers({**known.by_name, "gemini": replace(known.by_name["gemini"], limits=limits)})


async def only(db: Database, providers: Providers) -> DailyLimit:
    async with db.begin() as conn:
        (found,) = await daily_limits.all_limits(conn, providers)
    return found


async def zone_at(db: Database, *, least_hours: float, most_hours: float) -> str:
    """A zone in which so much of the day is over."""
    now = await figure_rows.now(db)
    for zone in ZONES:
        local = now.astimezone(ZoneInfo(zone))
        if least_hours <= local.hour + local.minute / 60 < most_hours:
            return zone
    raise AssertionError("no zone has this time of day")


async def made(db: Database, *ages: timedelta) -> datetime:
    now = await figure_rows.now(db)
    await figure_rows.write(db, [MadeJob(created_at=now - age, attempts=(CALL,)) for age in ages])
    return now


async def test_the_limit_that_an_administrator_has_set_counts(db: Database, known_providers: Providers) -> None:
    async with db.begin() as conn:
        await app_settings.store(conn, app_settings.provider_limit("gemini", "per_day"), 7, by="serg")
    assert (await only(db, limited(known_providers, 100, "UTC"))).per_day == 7


async def test_the_limit_is_foretold_by_the_rate_of_the_last_hour(db: Database, known_providers: Providers) -> None:
    zone = await zone_at(db, least_hours=3, most_hours=5)
    now = await made(db, *[timedelta(minutes=minutes) for minutes in (10, 20, 30, 40)], timedelta(hours=2))
    found = await only(db, limited(known_providers, 13, zone))
    assert (found.provider, found.per_day, found.used_today, found.last_hour) == ("gemini", 13, 5, 4)
    assert found.reaches_limit_at is not None
    assert abs(found.reaches_limit_at - (now + timedelta(hours=2))) < timedelta(seconds=30)
    assert timedelta(hours=19) <= found.day_ends_at - now <= timedelta(hours=21)


async def test_a_limit_that_the_day_does_not_reach_is_not_foretold(db: Database, known_providers: Providers) -> None:
    zone = await zone_at(db, least_hours=21, most_hours=23)
    await made(db, timedelta(minutes=10), timedelta(minutes=20))
    assert (await only(db, limited(known_providers, 20, zone))).reaches_limit_at is None
    assert (await only(db, limited(known_providers, 10**6, zone))).reaches_limit_at is None


async def test_a_day_without_requests_or_with_all_of_them_has_no_forecast(
    db: Database, known_providers: Providers
) -> None:
    zone = await zone_at(db, least_hours=5, most_hours=7)
    assert (await only(db, limited(known_providers, 2, zone))).reaches_limit_at is None
    await made(db, timedelta(minutes=1), timedelta(minutes=2))
    found = await only(db, limited(known_providers, 2, zone))
    assert (found.used_today, found.reaches_limit_at) == (2, None)


async def test_yesterdays_requests_are_not_todays(db: Database, known_providers: Providers) -> None:
    zone = await zone_at(db, least_hours=2, most_hours=4)
    await made(db, timedelta(hours=1.5), timedelta(hours=5))
    assert (await only(db, limited(known_providers, 10, zone))).used_today == 1


async def test_a_provider_without_such_a_limit_is_not_there(db: Database, known_providers: Providers) -> None:
    async with db.begin() as conn:
        assert await daily_limits.all_limits(conn, known_providers) == []
