"""The claim: which jobs a runner gets, in which order, and that of many runners at once nobody gets the same one."""

import asyncio
import random
import time
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update

from photochanger import jobs
from photochanger.db import IN_INDEX_ORDER, Database
from photochanger.jobs import Job, Status
from photochanger.tables import job, processing_log
from tests.queue_rows import claim, claim_one, fill, job_in, new_photo, overdue, queue, row

pytestmark = pytest.mark.anyio


async def test_a_claim_brings_what_its_runner_needs(db: Database) -> None:
    job_id = await queue(db, age_seconds=8.0, sync_response_seconds=48)
    held = await claim_one(db)
    assert (held.job_id, held.runner, held.claim_number) == (job_id, "runner-a", 1)
    assert (held.attempt, held.max_attempts, held.reference) == (0, 2, None)
    assert (held.source, held.slot_id, held.provider) == ("ingest", "slot-001", "gemini")
    assert held.snapshot["settings"]["prompt"] == "a studio portrait"
    assert held.photo_path == f"ingest/{job_id}"
    assert 38 < held.seconds_left <= 40


async def test_the_highest_priority_is_claimed_first_then_the_earliest_deadline(db: Database) -> None:
    late = await queue(db, sync_response_seconds=60)
    early = await queue(db, sync_response_seconds=20)
    middle = await queue(db, sync_response_seconds=40)
    urgent = await queue(db, sync_response_seconds=50)
    async with db.at_once() as conn:
        await conn.execute(update(job).where(job.c.job_id == urgent).values(priority=5))
    claimed = [(await claim_one(db)).job_id for _ in range(4)]
    assert claimed == [urgent, early, middle, late]


async def test_nothing_is_started_that_can_no_longer_be_ready_in_time(db: Database) -> None:
    too_late = await queue(db, sync_response_seconds=10, least_seconds=10)
    just_in_time = await queue(db, sync_response_seconds=10, least_seconds=9)
    claimed = await claim(db, places=10)
    assert [held.job_id for held in claimed] == [just_in_time]
    assert (await row(db, too_late)).status == "queued"


@pytest.mark.parametrize("status", [Status.QUEUED, Status.WAITING])
async def test_what_is_bought_already_is_polled_until_its_deadline_and_no_longer(db: Database, status: Status) -> None:
    job_id, _ = await job_in(db, Status.WAITING)
    changes = {"status": "queued"} if status is Status.QUEUED else {}
    async with db.at_once() as conn:
        await conn.execute(update(job).values(start_by=func.now(), **changes))
    assert (await claim_one(db)).job_id == job_id
    async with db.at_once() as conn:
        await conn.execute(update(job).values(status=status.value, runner=None, lease_until=None))
        await overdue(conn, job_id)
    assert await claim(db) == []


async def test_a_waiting_job_without_a_reference_is_not_tried_again_too_late(db: Database) -> None:
    job_id = await queue(db)
    async with db.at_once() as conn:
        await jobs.park(conn, await claim_one(db), reference=None, after_seconds=0)
        await conn.execute(update(job).values(start_by=func.now()))
    assert await claim(db) == []
    assert (await row(db, job_id)).status == "waiting"


async def test_a_waiting_job_is_claimed_when_its_time_has_come_and_before_the_queue(db: Database) -> None:
    waiting, _ = await job_in(db, Status.WAITING)
    urgent = await queue(db, sync_response_seconds=10)
    async with db.at_once() as conn:
        await conn.execute(update(job).where(job.c.job_id == urgent).values(priority=9))
        later = func.clock_timestamp() + timedelta(seconds=0.2)
        await conn.execute(update(job).where(job.c.job_id == waiting).values(run_after=later))
    early = await claim(db, places=2)
    assert [held.job_id for held in early] == [urgent]
    async with db.at_once() as conn:
        await jobs.release(conn, early[0], why="test")
    await asyncio.sleep(0.25)
    assert (await claim_one(db)).job_id == waiting
    assert (await claim_one(db)).job_id == urgent


async def test_the_longest_due_is_polled_first(db: Database) -> None:
    parked = [await job_in(db, Status.WAITING) for _ in range(3)]
    async with db.at_once() as conn:
        for seconds, (job_id, _) in zip((1, 3, 2), parked, strict=True):
            due = func.now() - timedelta(seconds=seconds)
            await conn.execute(update(job).where(job.c.job_id == job_id).values(run_after=due))
    order = [(await claim_one(db)).job_id for _ in range(3)]
    assert order == [parked[1][0], parked[2][0], parked[0][0]]


@pytest.mark.parametrize("places", [1, 3, 6])
async def test_a_runner_gets_no_more_jobs_than_it_has_places(db: Database, places: int) -> None:
    for _ in range(2):
        await job_in(db, Status.WAITING)
    await fill(db, 3)
    claimed = await claim(db, places=places)
    assert len(claimed) == min(places, 5)
    assert len({held.job_id for held in claimed}) == len(claimed)


async def test_every_claim_has_the_next_number(db: Database) -> None:
    await queue(db)
    for number in range(1, 5):
        held = await claim_one(db, runner=f"runner-{number}")
        assert held.claim_number == number
        async with db.at_once() as conn:
            if number % 2:
                await jobs.release(conn, held, why="test")
            else:
                await jobs.park(conn, held, reference=None, after_seconds=0)


async def test_eight_runners_claim_two_hundred_jobs_once_each(db: Database) -> None:
    job_ids = await fill(db, 200)

    async def runner(name: str) -> list[Job]:
        claimed: list[Job] = []
        while found := await claim(db, runner=name, places=random.randint(1, 7)):
            claimed += found
        return claimed

    by_runner = {name: runner(name) for name in (f"runner-{number}" for number in range(8))}
    results = dict(zip(by_runner, await asyncio.gather(*by_runner.values()), strict=True))
    claimed = [held for found in results.values() for held in found]
    assert sorted(held.job_id for held in claimed) == sorted(job_ids)
    assert {held.claim_number for held in claimed} == {1}
    assert sum(1 for found in results.values() if found) > 1, "one runner took all: nobody raced"
    async with db.at_once() as conn:
        lines = await conn.execute(select(processing_log.c.job_id).where(processing_log.c.event == "claimed"))
        assert sorted(line.job_id for line in lines) == sorted(job_ids)
        holders = {held.job_id: name for name, found in results.items() for held in found}
        rows = await conn.execute(select(job.c.job_id, job.c.runner))
        assert {found.job_id: found.runner for found in rows} == holders


async def test_what_goes_back_to_the_queue_while_all_claim_is_never_held_twice(db: Database) -> None:
    await fill(db, 12)
    holders: Counter[str] = Counter()
    numbers: dict[str, list[int]] = {}

    async def runner(name: str) -> None:
        for _ in range(25):
            for held in await claim(db, runner=name, places=3):
                holders[held.job_id] += 1
                assert holders[held.job_id] == 1, "two runners hold the same job"
                numbers.setdefault(held.job_id, []).append(held.claim_number)
                await asyncio.sleep(0)
                holders[held.job_id] -= 1
                async with db.at_once() as conn:
                    if random.random() < 0.5:
                        assert await jobs.release(conn, held, why="test")
                    else:
                        assert await jobs.park(conn, held, reference=None, after_seconds=0)

    await asyncio.gather(*(runner(f"runner-{number}") for number in range(8)))
    for given in numbers.values():
        assert given == list(range(1, len(given) + 1))


async def test_a_claim_passes_by_what_another_transaction_holds(db: Database) -> None:
    first, second = await queue(db, sync_response_seconds=20), await queue(db, sync_response_seconds=40)
    async with db.begin() as conn:
        await conn.execute(select(job.c.job_id).where(job.c.job_id == first).with_for_update())
        started = time.monotonic()
        assert [held.job_id for held in await claim(db, places=5)] == [second]
        assert time.monotonic() - started < 1, "the claim has waited for the lock"


async def test_new_photos_and_claims_at_once_lose_nothing(db: Database) -> None:
    photos = [new_photo() for _ in range(60)]
    claimed: list[Job] = []
    done = asyncio.Event()

    async def runner(name: str) -> None:
        while True:
            stop = done.is_set()
            found = await claim(db, runner=name, places=3)
            claimed.extend(found)
            if stop and not found:
                return

    async def booth(number: int) -> None:
        for photo in photos[number::4]:
            await queue(db, **vars(photo))

    runners = [asyncio.create_task(runner(f"runner-{number}")) for number in range(3)]
    await asyncio.gather(*(booth(number) for number in range(4)))
    done.set()
    await asyncio.gather(*runners)
    assert sorted(held.job_id for held in claimed) == sorted(photo.job_id for photo in photos)


FINISHED_BEFORE = """
    INSERT INTO job (job_id, source, slot_id, provider, status, created_at, expires_at, start_by, run_after,
                     finished_at, result_mime, result_bytes, result_sha256, result_expires_at)
    SELECT gen_random_uuid(), 'ingest', 'slot-001', 'gemini', 'done', at, at + interval '48 s', at + interval '40 s',
           at, at + interval '20 s', 'image/jpeg', 1000, sha256('a result'), at + interval '72 h'
    FROM (SELECT now() - number * interval '250 ms' - interval '2 minutes' AS at
          FROM generate_series(1, 60000) AS number) AS made
"""
WALKED = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'job_queued'"


async def test_beside_many_finished_jobs_a_claim_reads_no_more_of_the_queue_than_it_takes(database_url: str) -> None:
    async with Database(database_url, connections=1, planning=IN_INDEX_ORDER) as db:
        await fill(db, 300)
        async with db.at_once() as conn:
            await conn.execute(text(FINISHED_BEFORE))
            await conn.execute(text("ANALYZE job"))
        for _ in range(10):  # the first ones are planned with their parameters
            assert len(await claim(db, places=1)) == 1
        before = await _walked(db)
        assert len(await claim(db, places=2)) == 2
        assert 0 < await _walked(db) - before < 20


async def _walked(db: Database) -> int:
    """How many entries of the queue's index were read so far."""
    async with db.at_once() as conn:
        await conn.execute(text("SELECT pg_stat_force_next_flush()"))
        found: int = (await conn.execute(text(WALKED))).scalar_one()
        return found
