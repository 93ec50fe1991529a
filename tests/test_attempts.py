"""Attempts: one row a call, written before it, closed once, never more of them than the slot allows."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from photochanger import attempts, jobs
from photochanger.attempts import AttemptEnd
from photochanger.db import Database
from photochanger.errors import Failure
from photochanger.jobs import Job
from photochanger.tables import job_attempt
from tests.queue_rows import claim_one, queue, result_of, row

pytestmark = pytest.mark.anyio


async def held_job(db: Database, **changes: Any) -> Job:
    await queue(db, **changes)
    return await claim_one(db)


async def begin(db: Database, held: Job, *, granted: bool = False, model: str = "m-1") -> int | None:
    async with db.at_once() as conn:
        return await attempts.begin(conn, held, provider="gemini", model=model, granted=granted)


async def end(db: Database, held: Job, number: int, ended: AttemptEnd) -> None:
    async with db.at_once() as conn:
        await attempts.end(conn, held.job_id, number, ended)


async def rows(db: Database) -> list[Any]:
    async with db.at_once() as conn:
        return list(await conn.execute(select(job_attempt).order_by(job_attempt.c.number)))


async def test_an_attempt_is_open_from_before_its_call(db: Database) -> None:
    held = await held_job(db)
    assert await begin(db, held) == 1
    (found,) = await rows(db)
    assert (found.job_id, found.number, found.provider, found.model) == (held.job_id, 1, "gemini", "m-1")
    assert (found.finished_at, found.outcome, found.cost_usd) == (None, None, None)
    assert (await row(db, held.job_id)).attempt == 1


async def test_there_are_as_many_attempts_as_the_slot_allows(db: Database) -> None:
    """`retries = 0` is `max_attempts = 1`: one call and none after it."""
    for max_attempts in (1, 2, 4):
        held = await held_job(db, max_attempts=max_attempts)
        numbers = [await begin(db, held) for _ in range(max_attempts + 2)]
        assert numbers == [*range(1, max_attempts + 1), None, None]
        assert [found.number for found in await rows(db) if found.job_id == held.job_id] == numbers[:max_attempts]
        assert (await row(db, held.job_id)).attempt == max_attempts


async def test_a_granted_attempt_is_one_more(db: Database) -> None:
    """A model that is gone has cost nothing: its replacement is asked although no attempt is left."""
    held = await held_job(db, max_attempts=1)
    assert await begin(db, held) == 1
    assert await begin(db, held) is None
    assert await begin(db, held, granted=True, model="m-2") == 2
    assert await begin(db, held) is None
    found = await row(db, held.job_id)
    assert (found.attempt, found.max_attempts) == (2, 2)
    assert [attempt.model for attempt in await rows(db)] == ["m-1", "m-2"]


async def test_a_granted_attempt_leaves_the_slots_own_attempts_untouched(db: Database) -> None:
    held = await held_job(db, max_attempts=2)
    numbers = [await begin(db, held), await begin(db, held, granted=True), await begin(db, held), await begin(db, held)]
    assert numbers == [1, 2, 3, None]


@pytest.mark.parametrize("granted", [False, True])
async def test_no_call_is_made_for_a_job_that_is_no_longer_ours(db: Database, granted: bool) -> None:
    for lost in ("parked", "failed", "finished", "claimed again", "released"):
        held = await held_job(db)
        async with db.at_once() as conn:
            match lost:
                case "parked":
                    await jobs.park(conn, held, reference=None, after_seconds=9)
                case "failed":
                    await jobs.fail(conn, held, failure=Failure.QUOTA, details="-")
                case "finished":
                    await jobs.finish(conn, held, result=result_of(held.job_id), ttl_hours=1)
                case _:
                    await jobs.release(conn, held, why="test")
        if lost == "claimed again":
            await claim_one(db)  # by a runner of the same name: only the claim's number differs
        assert await begin(db, held, granted=granted) is None, lost
        assert await rows(db) == []
        assert (await row(db, held.job_id)).attempt == 0


async def test_attempts_begun_at_once_have_numbers_of_their_own(db: Database) -> None:
    held = await held_job(db, max_attempts=3)
    numbers = await asyncio.gather(*(begin(db, held) for _ in range(10)))
    assert sorted(number for number in numbers if number is not None) == [1, 2, 3]
    assert [attempt.number for attempt in await rows(db)] == [1, 2, 3]


async def test_the_numbers_go_on_over_claims(db: Database) -> None:
    held = await held_job(db)
    assert await begin(db, held) == 1
    async with db.at_once() as conn:
        await jobs.park(conn, held, reference=None, after_seconds=0)
    again = await claim_one(db, runner="runner-b")
    assert again.attempt == 1
    assert await begin(db, again) == 2
    assert await begin(db, again) is None


async def test_an_attempts_end_is_written_whole(db: Database) -> None:
    held = await held_job(db)
    await begin(db, held)
    ended = AttemptEnd(
        outcome="rate_limited",
        model="m-1-002",
        http_status=429,
        request_id="r" * 500,
        usage={"input": 12, "output": {"image": 1290}},
        cost_usd=0.03360049,
        reason="я" * 1000,
    )
    await end(db, held, 1, ended)
    (found,) = await rows(db)
    assert (found.outcome, found.model, found.http_status) == ("rate_limited", "m-1-002", 429)
    assert (found.request_id, found.reason) == ("r" * 200, "я" * 300)
    assert found.usage == {"input": 12, "output": {"image": 1290}}
    assert found.cost_usd == Decimal("0.033600")
    assert found.finished_at >= found.started_at


async def test_what_the_provider_did_not_say_stays_empty(db: Database) -> None:
    held = await held_job(db)
    await begin(db, held)
    await end(db, held, 1, AttemptEnd(outcome="ok", cost_usd=0.0))
    (found,) = await rows(db)
    assert (found.model, found.cost_usd) == ("m-1", Decimal(0))
    assert (found.http_status, found.request_id, found.usage, found.reason) == (None,) * 4


async def test_an_attempt_is_closed_once(db: Database) -> None:
    held = await held_job(db)
    await begin(db, held)
    await end(db, held, 1, AttemptEnd(outcome="interrupted"))
    (before,) = await rows(db)
    await end(db, held, 1, AttemptEnd(outcome="ok", cost_usd=0.1))
    assert await rows(db) == [before]


async def test_only_the_attempt_that_is_meant_is_closed(db: Database) -> None:
    held, other = await held_job(db, max_attempts=3), await held_job(db)
    for _ in range(3):
        await begin(db, held)
    await begin(db, other)
    await end(db, held, 2, AttemptEnd(outcome="network"))
    async with db.at_once() as conn:
        outcomes = [attempt.outcome for attempt in await attempts.of_job(conn, held.job_id)]
        assert outcomes == [None, "network", None]
        assert [attempt.outcome for attempt in await attempts.of_job(conn, other.job_id)] == [None]


async def test_a_clock_that_was_set_back_closes_an_attempt_all_the_same(db: Database) -> None:
    held = await held_job(db)
    await begin(db, held)
    async with db.at_once() as conn:
        await conn.execute(update(job_attempt).values(started_at=text("now() + interval '5 s'")))
    await end(db, held, 1, AttemptEnd(outcome="ok"))
    (found,) = await rows(db)
    assert found.finished_at == found.started_at


async def test_a_job_shows_its_attempts_in_their_order(db: Database) -> None:
    held = await held_job(db, max_attempts=12)
    for number in range(1, 12):
        assert await begin(db, held) == number
    async with db.at_once() as conn:
        shown = await attempts.of_job(conn, held.job_id)
        assert await attempts.of_job(conn, "0" * 32) == []
    assert [attempt.number for attempt in shown] == list(range(1, 12))


async def test_a_rolled_back_begin_has_counted_nothing(db: Database) -> None:
    held = await held_job(db)

    async def cut_off() -> None:
        async with db.begin() as conn:
            assert await attempts.begin(conn, held, provider="gemini", model="m-1") == 1
            raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        await cut_off()
    assert await rows(db) == []
    assert await begin(db, held) == 1


async def test_attempts_that_contradict_themselves_are_refused(db: Database) -> None:
    await begin(db, await held_job(db))
    for change in (
        "outcome = 'ok'",
        "finished_at = now()",
        "finished_at = started_at - interval '1 s', outcome = 'ok'",
        "number = 0",
        "cost_usd = -0.01",
        "reason = repeat('x', 301)",
    ):
        async with db.at_once() as conn:
            with pytest.raises(IntegrityError):
                await conn.execute(text(f"UPDATE job_attempt SET {change}"))
