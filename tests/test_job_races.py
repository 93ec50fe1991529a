"""Two at once at the same job: exactly one wins, and the row agrees with the winner."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import jobs, leases
from photochanger.db import Database
from photochanger.errors import Failure
from photochanger.jobs import Job, Status
from photochanger.tables import job
from photochanger.tables import runner as runner_table
from tests.queue_rows import (
    claim,
    events,
    fill,
    job_in,
    overdue,
    queue,
    result_of,
    row,
    until_blocked,
)

pytestmark = pytest.mark.anyio

RACES = 512
AT_ONCE = 8
OURS, THEIRS = b"\x0b", b"\x0a"

LateMove = Callable[[AsyncConnection, Job], Awaitable[bool]]
LATE_MOVES: list[LateMove] = [
    lambda conn, old: jobs.finish(conn, old, result=result_of(old.job_id, mark=THEIRS), ttl_hours=1),
    lambda conn, old: jobs.fail(conn, old, failure=Failure.BAD_RESPONSE, details="too late"),
    lambda conn, old: jobs.park(conn, old, reference="late", after_seconds=0),
    lambda conn, old: jobs.release(conn, old, why="too late"),
]


async def races(one: Callable[[int], Awaitable[None]], *, count: int = RACES) -> None:
    """Run that many, some at once."""
    numbers = iter(range(count))

    async def lane() -> None:
        for number in numbers:
            await one(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(lane())


async def at_once(db: Database, move: Callable[[AsyncConnection], Awaitable[bool]], *, delay: float = 0.0) -> bool:
    """One move on a connection of its own."""
    await asyncio.sleep(delay)
    async with db.at_once() as conn:
        return await move(conn)


async def _moved(move: LateMove, held: Job, conn: AsyncConnection) -> bool:
    return await move(conn, held)


@pytest.mark.parametrize("same_runner", [False, True])
async def test_a_zombie_changes_nothing_while_the_new_holder_finishes(db: Database, same_runner: bool) -> None:
    """A claims, loses its lease, B claims; then A's late move and B's result arrive at the same moment."""
    await fill(db, RACES // 2)
    old_claims = await claim(db, runner="runner-a", places=RACES)
    async with db.begin() as conn:
        assert await leases.take_back(conn) == RACES // 2  # runner-a has never beaten
    new_claims = await claim(db, runner="runner-a" if same_runner else "runner-b", places=RACES)
    ours = {held.job_id: held for held in new_claims}
    verdicts: list[tuple[bool, bool]] = []

    async def race(number: int) -> None:
        old = old_claims[number]
        new = ours[old.job_id]
        late = LATE_MOVES[number % len(LATE_MOVES)]
        result = result_of(new.job_id, mark=OURS)
        pair = [
            at_once(db, lambda conn: late(conn, old)),
            at_once(db, lambda conn: jobs.finish(conn, new, result=result, ttl_hours=1)),
        ]
        if number % 8 < 4:
            theirs, own = await asyncio.gather(*pair)
        else:
            own, theirs = await asyncio.gather(*reversed(pair))
        verdicts.append((theirs, own))

    await races(race, count=RACES // 2)
    assert Counter(verdicts) == {(False, True): RACES // 2}
    async with db.at_once() as conn:
        rows = list(await conn.execute(select(job.c.status, job.c.result_sha256, job.c.provider_job_reference)))
    assert {(found.status, found.result_sha256, found.provider_job_reference) for found in rows} == {
        ("done", OURS * 32, None)
    }
    for old in old_claims[:8]:
        assert await events(db, old.job_id) == ["queued", "claimed", "released", "claimed", "finished"]


async def test_a_zombie_changes_nothing_while_its_job_waits_for_the_next_claim(db: Database) -> None:
    await fill(db, 40)
    old_claims = await claim(db, places=40)
    async with db.begin() as conn:
        assert await leases.take_back(conn) == 40

    async def race(number: int) -> None:
        old = old_claims[number]
        made = await asyncio.gather(*(at_once(db, partial(_moved, late, old)) for late in LATE_MOVES))
        assert made == [False] * 4
        assert (await row(db, old.job_id)).status == "queued"

    await races(race, count=40)


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


async def test_two_take_backs_at_once_never_both_act(db: Database) -> None:
    for _ in range(12):
        await fill(db, 4)
        held = await claim(db, runner="runner-dead", places=4)

        async def take_back() -> int:
            async with db.begin() as conn:
                return await leases.take_back(conn)

        taken = await asyncio.gather(*(take_back() for _ in range(4)))
        assert sum(taken) == 4
        for mine in held:
            assert await events(db, mine.job_id) == ["queued", "claimed", "released"]
        async with db.at_once() as conn:
            await conn.execute(update(job).values(start_by=func.now()))


async def test_a_take_back_against_a_finish_leaves_one_verdict(db: Database) -> None:
    """A runner that was frozen wakes up just when its job is taken back."""
    won: Counter[bool] = Counter()
    for number in range(60):
        job_id = await queue(db)
        (held,) = await claim(db, runner="runner-frozen")

        async def take_back() -> bool:
            async with db.begin() as conn:
                return await leases.take_back(conn) == 1

        finish = at_once(db, partial(_moved, LATE_MOVES[0], held))
        pair = [finish, take_back()] if number % 2 else [take_back(), finish]
        both = await asyncio.gather(*pair)
        finished = both[0] if number % 2 else both[1]
        found = await row(db, job_id)
        assert found.status == ("done" if finished else "queued")
        assert (await events(db, job_id))[2:] == ["finished" if finished else "released"]
        won[finished] += 1
        async with db.at_once() as conn:
            await conn.execute(update(job).values(start_by=func.now()))
    assert won.total() == 60


async def test_a_frozen_runners_own_heartbeat_brings_no_lost_claim_back(db: Database) -> None:
    job_id, held = await job_in(db, Status.RUNNING)
    async with db.begin() as conn:
        assert await leases.take_back(conn) == 1
        await leases.beat(conn, "runner-a", host="h", pid=1)
    async with db.at_once() as conn:
        assert (await conn.execute(select(func.count()).select_from(runner_table))).scalar_one() == 1
        assert not await jobs.finish(conn, held, result=result_of(job_id), ttl_hours=1)
        assert not await jobs.finish(conn, replace(held, claim_number=2), result=result_of(job_id), ttl_hours=1)
