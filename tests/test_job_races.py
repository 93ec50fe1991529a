"""Zombies and take-backs: exactly one holder of a job moves it, and a late one changes nothing."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
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
from tests.queue_rows import claim, events, fill, job_in, queue, result_of, row
from tests.races import OURS, RACES, THEIRS, at_once, races

pytestmark = pytest.mark.anyio

LateMove = Callable[[AsyncConnection, Job], Awaitable[bool]]
LATE_MOVES: list[LateMove] = [
    lambda conn, old: jobs.finish(conn, old, result=result_of(old.job_id, mark=THEIRS), ttl_hours=1),
    lambda conn, old: jobs.fail(conn, old, failure=Failure.BAD_RESPONSE, details="too late"),
    lambda conn, old: jobs.park(conn, old, reference="late", after_seconds=0),
    lambda conn, old: jobs.release(conn, old, why="too late"),
]


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
