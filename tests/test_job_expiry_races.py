"""A job's end and its deadline at once: exactly one verdict, whoever holds the row and whoever dies."""

import asyncio
import random
from collections import Counter
from datetime import timedelta
from functools import partial

import pytest

from photochanger import jobs, leases
from photochanger.db import Database
from photochanger.errors import Failure
from photochanger.jobs import Status
from tests.queue_rows import claim, events, fill, job_in, overdue, queue, result_of, row, until_blocked
from tests.races import RACES, at_once, races

pytestmark = pytest.mark.anyio


async def test_of_a_finish_and_an_expiry_exactly_one_wins(db: Database) -> None:
    """The deadline comes while both try: the waiting request asks again until the job is final, as the API does."""
    won: Counter[str] = Counter()
    await fill(db, RACES)
    held = await claim(db, places=RACES)

    async def expire(job_id: str) -> bool:
        while True:
            async with db.at_once() as conn:
                if await jobs.expire(conn, job_id):
                    return True
            if (await row(db, job_id)).finished_at is not None:
                return False

    async def race(number: int) -> None:
        mine = held[number]
        deadline = random.uniform(0.004, 0.04)
        async with db.at_once() as conn:
            await overdue(conn, mine.job_id, seconds=-deadline)
        finish = at_once(
            db,
            lambda conn: jobs.finish(conn, mine, result=result_of(mine.job_id), ttl_hours=1),
            delay=random.uniform(0, deadline * 1.3),
        )
        finished, expired = await asyncio.gather(finish, expire(mine.job_id))
        found = await row(db, mine.job_id)
        assert finished + expired == 1
        if finished:
            assert (found.status, found.failure_reason) == ("done", None)
            assert found.finished_at <= found.expires_at + timedelta(milliseconds=1)  # asked a moment before
        else:
            assert (found.status, found.result_path, found.result_sha256) == ("timeout", None, None)
            assert found.finished_at >= found.expires_at
        assert (await events(db, mine.job_id))[2:] == ["finished" if finished else "expired"]
        won["finish" if finished else "expiry"] += 1

    await races(race)
    assert won.total() == RACES
    assert min(won["finish"], won["expiry"]) > 0, f"they did not race: {won}"


async def test_of_a_failure_and_an_expiry_exactly_one_wins(db: Database) -> None:
    won: Counter[str] = Counter()
    await fill(db, 200)
    held = await claim(db, places=200)
    async with db.at_once() as conn:
        for mine in held:
            await overdue(conn, mine.job_id)

    async def race(number: int) -> None:
        mine = held[number]
        pair = [
            at_once(db, lambda conn: jobs.fail(conn, mine, failure=Failure.QUOTA, details="no more")),
            at_once(db, lambda conn: jobs.expire(conn, mine.job_id)),
        ]
        if number % 2:
            failed, expired = await asyncio.gather(*pair)
        else:
            expired, failed = await asyncio.gather(*reversed(pair))
        found = await row(db, mine.job_id)
        assert failed + expired == 1
        assert (found.status, found.failure_reason) == (("failed", "quota") if failed else ("timeout", "timeout"))
        won["failure" if failed else "expiry"] += 1

    await races(race, count=200)
    assert won.total() == 200


async def test_ten_waiting_requests_close_a_job_once(db: Database) -> None:
    for _ in range(10):
        job_id = await queue(db)
        async with db.at_once() as conn:
            await overdue(conn, job_id)
        closed = await asyncio.gather(*(at_once(db, partial(jobs.expire, job_id=job_id)) for _ in range(10)))
        assert sum(closed) == 1
        assert await events(db, job_id) == ["queued", "expired"]


async def test_who_holds_the_row_is_not_expired_until_the_commit(db: Database) -> None:
    job_id, held = await job_in(db, Status.RUNNING)
    async with db.at_once() as conn:
        await overdue(conn, job_id, seconds=-0.6)
    async with db.begin() as conn:
        assert await jobs.finish(conn, held, result=result_of(job_id), ttl_hours=1)
        await asyncio.sleep(0.65)
        expiring = asyncio.create_task(at_once(db, lambda other: jobs.expire(other, job_id)))
        await until_blocked(db)
        await asyncio.sleep(0.1)
        assert not expiring.done()
    assert not await expiring
    assert (await row(db, job_id)).status == "done"


async def test_a_holder_that_dies_leaves_the_job_to_its_deadline(db: Database) -> None:
    job_id, held = await job_in(db, Status.RUNNING)
    async with db.at_once() as conn:
        await overdue(conn, job_id, seconds=-0.6)

    async def die_holding() -> asyncio.Task[bool]:
        async with db.begin() as conn:
            await jobs.finish(conn, held, result=result_of(job_id), ttl_hours=1)
            await asyncio.sleep(0.65)
            expiring = asyncio.create_task(at_once(db, lambda other: jobs.expire(other, job_id)))
            await until_blocked(db)
            await conn.rollback()
            return expiring

    assert await (await die_holding())
    assert (await row(db, job_id)).status == "timeout"
    assert (await events(db, job_id))[2:] == ["expired"]


@pytest.mark.parametrize("move", ["take_back", "release", "fail", "finish"])
async def test_nobody_moves_a_row_that_is_held(db: Database, move: str) -> None:
    """Files may be put in their place meanwhile: what others try waits, or passes the job by."""
    job_id, held = await job_in(db, Status.RUNNING)

    async def other() -> bool:
        async with db.begin() as conn:
            match move:
                case "take_back":
                    return await leases.take_back(conn) == 1
                case "release":
                    return await jobs.release(conn, held, why="test")
                case "fail":
                    return await jobs.fail(conn, held, failure=Failure.QUOTA, details="-")
                case _:
                    return await jobs.finish(conn, held, result=result_of(job_id), ttl_hours=1)

    async with db.begin() as conn:
        assert await jobs.finish(conn, held, result=result_of(job_id), ttl_hours=1)
        trying = asyncio.create_task(other())
        if move == "take_back":
            assert not await trying
        else:
            await until_blocked(db)
    assert not await trying
    assert (await row(db, job_id)).status == "done"
