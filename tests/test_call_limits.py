"""Limits of calls over all runners: in flight when jobs are claimed, per minute and day when attempts begin."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import func, select, text

from photochanger import attempts, call_limits, intake, jobs
from photochanger.call_limits import UsedUp
from photochanger.db import Database
from photochanger.errors import Failure
from photochanger.intake import Admission, NewPhoto
from photochanger.job import Job
from photochanger.providers import CallLimits
from photochanger.tables import job
from tests.queue_rows import new_photo, queue

pytestmark = pytest.mark.anyio

FREE = CallLimits(in_flight=None, per_minute=None, per_day=None, day_zone="UTC")


async def claim(db: Database, *, runner: str = "r", places: int = 16, **in_flight: int | None) -> list[Job]:
    async with db.begin() as conn:
        return await jobs.claim_within_limits(conn, runner=runner, places=places, in_flight=in_flight)


async def admit(db: Database, photo: NewPhoto) -> Admission:
    async with db.begin() as conn:
        return await intake.admit(conn, photo, in_work_limit=1000)


async def of_provider(db: Database, provider: str, count: int) -> None:
    for _ in range(count):
        await admit(db, replace(new_photo(), provider=provider))


async def test_no_more_are_claimed_than_the_provider_has_free(db: Database) -> None:
    await of_provider(db, "gemini", 5)
    assert len(await claim(db, gemini=3)) == 3
    assert await claim(db, gemini=3) == []
    assert len(await claim(db, gemini=4)) == 1
    assert len(await claim(db, gemini=None)) == 1


async def test_jobs_of_other_providers_pass_those_that_wait_their_turn(db: Database) -> None:
    await of_provider(db, "gemini", 4)
    await of_provider(db, "turbotext", 2)
    claimed = await claim(db, gemini=1, turbotext=None)
    assert sorted(one.provider for one in claimed) == ["gemini", "turbotext", "turbotext"]


async def test_places_are_filled_by_deadline_across_providers(db: Database) -> None:
    first, second, third = [
        (await admit(db, replace(new_photo(), provider=provider, sync_response_seconds=seconds))).job_id
        for provider, seconds in (("gemini", 40), ("turbotext", 30), ("gemini", 20))
    ]
    claimed = await claim(db, places=2, gemini=5, turbotext=5)
    assert {one.job_id for one in claimed} == {second, third}
    assert [one.job_id for one in await claim(db, places=2, gemini=5, turbotext=5)] == [first]


async def test_a_provider_that_is_not_named_is_left_alone(db: Database) -> None:
    await of_provider(db, "gone", 1)
    assert await claim(db, gemini=None) == []


async def test_four_runners_at_once_never_overshoot(db: Database) -> None:
    await of_provider(db, "gemini", 60)
    running: list[int] = []

    async def work(runner: str) -> int:
        done = 0
        for _ in range(200):
            claimed = await claim(db, runner=runner, places=3, gemini=4)
            running.append(await count(db, "running"))
            for one in claimed:
                async with db.at_once() as conn:
                    assert await jobs.fail(conn, one, failure=Failure.NO_IMAGE, details="")
                done += 1
            if not await count(db, "queued"):
                break
        return done

    async with asyncio.timeout(60):
        done = await asyncio.gather(*(work(f"r{number}") for number in range(4)))
    assert sum(done) == 60
    assert 1 <= max(running) <= 4


async def count(db: Database, status: str) -> int:
    async with db.at_once() as conn:
        return int((await conn.execute(select(func.count()).where(job.c.status == status))).scalar_one())


async def begin(db: Database, limits: CallLimits) -> int | float | UsedUp | None:
    """An attempt of a new job, if the limits allow it."""
    await queue(db)
    async with db.at_once() as conn:
        (claimed,) = await jobs.claim(conn, runner="r", places=1)
    async with db.begin() as conn:
        wait = await call_limits.seconds_until_free(conn, "gemini", limits)
        if wait:
            return wait
        return await attempts.begin(conn, claimed, provider="gemini", model="m")


async def test_requests_per_minute_wait_for_the_oldest_to_leave_the_window(db: Database) -> None:
    limits = replace(FREE, per_minute=2)
    assert [await begin(db, limits) for _ in range(2)] == [1, 1]
    wait = await begin(db, limits)
    assert isinstance(wait, float)
    assert 55 < wait <= 60
    async with db.at_once() as conn:
        await conn.execute(text("UPDATE job_attempt SET started_at = started_at - interval '61 seconds'"))
    assert await begin(db, limits) == 1


async def test_requests_per_day_are_used_up_until_the_day_turns(db: Database) -> None:
    limits = replace(FREE, per_day=1, day_zone="America/Los_Angeles")
    assert await begin(db, limits) == 1
    assert await begin(db, limits) is UsedUp.DAY
    async with db.at_once() as conn:
        await conn.execute(text("UPDATE job_attempt SET started_at = started_at - interval '1 day'"))
    assert await begin(db, limits) == 1


async def test_twenty_attempts_at_once_do_not_overshoot_the_minute(db: Database) -> None:
    limits = replace(FREE, per_minute=7)
    begun = await asyncio.gather(*(begin(db, limits) for _ in range(20)))
    assert sum(1 for one in begun if one == 1) == 7
