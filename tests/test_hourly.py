"""Closed hours become figures: each job once, whatever runs at the same time, and nothing before its hour is over."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text, update

from photochanger import histogram, hourly
from photochanger.db import Database
from photochanger.errors import PROVIDER_ERRORS, Failure
from photochanger.jobs import OPEN, Status
from photochanger.tables import hourly_attempts, hourly_figure, hourly_watermark, job, job_attempt, job_input
from tests.queue_rows import job_in, queue
from tests.sweeping import let_it_be_ago, put_into

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)


async def now(db: Database) -> datetime:
    async with db.at_once() as conn:
        moment: datetime = (await conn.execute(select(func.now()))).scalar_one()
    return moment.astimezone(UTC)


async def came_at(db: Database, moment: datetime, status: Status = Status.DONE, **changes: Any) -> str:
    """A job whose photo came at this moment; done ones 20 s later."""
    job_id, _ = await job_in(db, status)
    values: dict[str, Any] = {
        "created_at": moment,
        "start_by": moment,
        "expires_at": moment + timedelta(seconds=48),
        "finished_at": None if status in OPEN else moment + timedelta(seconds=20),
        **changes,
    }
    async with db.begin() as conn:
        await conn.execute(update(job).where(job.c.job_id == job_id).values(values))
        await conn.execute(update(job_input).where(job_input.c.job_id == job_id).values(created_at=moment))
    return job_id


async def figures(db: Database) -> list[Any]:
    async with db.at_once() as conn:
        order = [hourly_figure.c[name] for name in ("hour", "slot_id", "source", "provider")]
        return list(await conn.execute(select(hourly_figure).order_by(*order)))


async def rolled_until(db: Database) -> datetime:
    async with db.at_once() as conn:
        found: datetime = (await conn.execute(select(hourly_watermark.c.rolled_until))).scalar_one()
    return found.astimezone(UTC)


def the_hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


async def test_an_hours_jobs_become_figures_by_slot_source_and_provider(db: Database) -> None:
    hour = the_hour(await now(db)) - 3 * HOUR
    for seconds in (0.2, 20, 20.5, 75):
        await came_at(db, hour, finished_at=hour + timedelta(seconds=seconds))
    await came_at(db, hour + timedelta(minutes=59, seconds=59.9), Status.TIMEOUT)
    await came_at(db, hour, Status.FAILED, failure_reason="quota")
    await came_at(db, hour, Status.FAILED, failure_reason="quota")
    await came_at(db, hour, Status.FAILED, failure_reason="invalid_image")
    await came_at(db, hour, source="ui_test")
    await came_at(db, hour, provider="turbotext")
    await put_into(db, await came_at(db, hour), slot="slot-002")
    assert await hourly.roll_up(db) == 1
    first, other_provider, test, other_slot = await figures(db)
    assert first.hour.astimezone(UTC) == hour
    assert (first.slot_id, first.source, first.provider) == ("slot-001", "ingest", "gemini")
    assert (first.jobs, first.done, first.timeouts, first.failed, first.provider_errors) == (8, 4, 1, 3, 2)
    assert first.reasons == {"quota": 2, "invalid_image": 1, "timeout": 1}
    counts = dict.fromkeys(range(histogram.BUCKETS), 0) | {0: 1, 17: 2, histogram.BUCKETS - 1: 1}
    assert first.seconds_histogram == list(counts.values())
    assert (test.source, test.jobs) == ("ui_test", 1)
    assert (other_provider.provider, other_provider.jobs, other_provider.reasons) == ("turbotext", 1, {})
    assert (other_slot.slot_id, other_slot.jobs) == ("slot-002", 1)


async def test_attempts_are_counted_with_their_costs_and_times_in_their_jobs_hour(db: Database) -> None:
    hour = the_hour(await now(db)) - 2 * HOUR
    job_id = await came_at(db, hour + timedelta(minutes=59))
    begun = hour + timedelta(minutes=59, seconds=58)
    rows: list[dict[str, Any]] = [
        {"model": "m", "outcome": "bad_response", "cost_usd": Decimal("0.04"), "took": 3.5},
        {"model": "m", "outcome": "ok", "cost_usd": Decimal("0.039"), "took": 7.5},
        {"model": "m", "outcome": None, "cost_usd": None, "took": None},
        {"model": None, "outcome": "network", "cost_usd": None, "took": 0.1},
    ]
    async with db.begin() as conn:
        for number, one in enumerate(rows, start=1):
            took = one.pop("took")
            finished_at = None if took is None else begun + timedelta(seconds=took)
            values = {"job_id": job_id, "number": number, "provider": "gemini", "started_at": begun, **one}
            await conn.execute(insert(job_attempt).values(**values, finished_at=finished_at))
    assert await hourly.roll_up(db) == 1
    async with db.at_once() as conn:
        found = list(await conn.execute(select(hourly_attempts).order_by(hourly_attempts.c.model)))
    assert {row.hour.astimezone(UTC) for row in found} == {hour}
    assert [(row.model, row.attempts, row.failed, row.cost_usd) for row in found] == [
        ("", 1, 1, Decimal(0)),
        ("m", 3, 2, Decimal("0.079")),
    ]
    assert [sum(row.seconds_histogram) for row in found] == [1, 2]
    assert [found[1].seconds_histogram[bucket] for bucket in (5, 9)] == [1, 1]


async def test_rolled_hours_are_not_counted_again_and_new_ones_are(db: Database) -> None:
    this_hour = the_hour(await now(db))
    for hours in (5, 3):
        await came_at(db, this_hour - hours * HOUR)
    assert await hourly.roll_up(db) == 2
    assert await hourly.roll_up(db) == 0
    assert [(row.hour.astimezone(UTC), row.jobs) for row in await figures(db)] == [
        (this_hour - 5 * HOUR, 1),
        (this_hour - 3 * HOUR, 1),
    ]
    assert await rolled_until(db) in {this_hour, this_hour - HOUR}  # the last hour may be over for less than 5 minutes


async def test_an_hour_that_is_not_over_for_five_minutes_is_left(db: Database) -> None:
    moment = await now(db)
    await came_at(db, moment - timedelta(minutes=4))
    assert await hourly.roll_up(db) == 0
    assert await figures(db) == []
    assert await rolled_until(db) == the_hour(moment - timedelta(minutes=5))


@pytest.mark.parametrize("status", OPEN)
async def test_nothing_is_rolled_past_an_hour_with_an_open_job(db: Database, status: Status) -> None:
    this_hour = the_hour(await now(db))
    await came_at(db, this_hour - 6 * HOUR)
    await came_at(db, this_hour - 4 * HOUR + timedelta(minutes=5), status)
    await came_at(db, this_hour - 2 * HOUR)
    assert await hourly.roll_up(db) == 1
    assert await rolled_until(db) == this_hour - 4 * HOUR
    assert [row.hour.astimezone(UTC) for row in await figures(db)] == [this_hour - 6 * HOUR]


async def test_a_database_without_jobs_is_rolled_until_now(db: Database) -> None:
    assert await hourly.roll_up(db) == 0
    assert await rolled_until(db) == the_hour(await now(db) - timedelta(minutes=5))


async def test_two_at_once_count_nothing_twice(db: Database) -> None:
    this_hour = the_hour(await now(db))
    for hours in range(2, 22):
        await came_at(db, this_hour - hours * HOUR)
    rolled = await asyncio.gather(*(hourly.roll_up(db) for _ in range(4)))
    assert sum(rolled) == 20
    assert [row.jobs for row in await figures(db)] == [1] * 20


async def test_a_roll_up_that_fails_in_the_middle_of_an_hour_leaves_it_to_the_next(db: Database) -> None:
    this_hour = the_hour(await now(db))
    for hours in (5, 3):
        await came_at(db, this_hour - hours * HOUR)
    async with db.at_once() as conn:
        broken = f"ALTER TABLE hourly_figure ADD CONSTRAINT broken CHECK (hour <> '{this_hour - 3 * HOUR}')"
        await conn.execute(text(broken))
    with pytest.raises(Exception, match="broken"):
        await hourly.roll_up(db)
    assert await rolled_until(db) == this_hour - 4 * HOUR
    async with db.at_once() as conn:
        await conn.execute(text("ALTER TABLE hourly_figure DROP CONSTRAINT broken"))
    assert await hourly.roll_up(db) == 1
    assert [row.jobs for row in await figures(db)] == [1, 1]


async def test_jobs_of_another_kind_than_photos_are_in_no_figure(db: Database) -> None:
    job_id = await queue(db)
    async with db.begin() as conn:
        await conn.execute(
            text(
                "UPDATE job SET kind = 'check', slot_id = NULL, status = 'failed', finished_at = now(),"
                " failure_reason = 'quota'"
            )
        )
    await let_it_be_ago(db, job_id, hours=3)
    assert await hourly.roll_up(db) == 1
    assert await figures(db) == []


def test_a_providers_errors_are_no_fault_of_the_booths_or_ours() -> None:
    assert {Failure.of(code).status for code in PROVIDER_ERRORS} == {502, 503}
    ours = {Failure.STORAGE_FULL, Failure.DATABASE_UNAVAILABLE, Failure.INTERRUPTED, Failure.TIMEOUT}
    assert not PROVIDER_ERRORS & {failure.code for failure in ours}
