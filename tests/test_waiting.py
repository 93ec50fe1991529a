"""The wait for jobs: one query a tick however many wait, and every one served."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, text

from photochanger import job_state
from photochanger.db import Database
from photochanger.jobs import Status
from tests.booths import photo_bytes
from tests.raw_http import eventually
from tests.results import claimed_job, finish_job, finished_job, queued_job
from tests.serving import Api
from tests.ticking import TICK_SECONDS, ticking

pytestmark = pytest.mark.anyio
PHOTO = photo_bytes()


@contextmanager
def statements(db: Database) -> Iterator[list[str]]:
    """Every statement that goes over this pool meanwhile."""
    seen: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(db._engine.sync_engine, "before_cursor_execute", note)
    yield seen
    event.remove(db._engine.sync_engine, "before_cursor_execute", note)


async def close_jobs(db: Database, job_ids: list[str]) -> None:
    """End them as their deadline does."""
    async with db.begin() as conn:
        await conn.execute(
            text(
                "UPDATE job SET status = 'timeout', finished_at = now(), failure_reason = 'timeout' "
                "WHERE replace(job_id::text, '-', '') = ANY(:job_ids)"
            ),
            {"job_ids": job_ids},
        )


async def queued_jobs(api: Api, count: int) -> list[str]:
    """Many queued jobs, as copies of one."""
    await queued_job(api)
    async with api.db.begin() as conn:
        columns = "source, slot_id, provider, status, created_at, expires_at, start_by, run_after"
        copies = (
            f"INSERT INTO job (job_id, {columns}) SELECT gen_random_uuid(), {columns} FROM job, generate_series(2, :n)"
        )
        await conn.execute(text(copies), {"n": count})
        return list((await conn.execute(text("SELECT replace(job_id::text, '-', '') FROM job"))).scalars())


async def test_two_hundred_waiting_cost_one_query_a_tick_and_all_are_served(api: Api, db: Database) -> None:
    job_ids = await queued_jobs(api, 200)
    async with db.at_once() as conn:
        await job_state.poll(conn, [])  # whatever a first connection asks is asked
    async with ticking(db) as waiting:
        with statements(db) as seen:
            tasks = [asyncio.create_task(waiting.wait(job_id, seconds=10)) for job_id in job_ids]
            await asyncio.sleep(10.5 * TICK_SECONDS)
        assert 7 <= len(seen) <= 12
        assert all("= ANY" in statement for statement in seen)
        assert len(waiting) == 200
        await close_jobs(api.db, job_ids)
        states = await asyncio.wait_for(asyncio.gather(*tasks), 1)
        assert [(state.job_id, state.status) for state in states if state is not None] == [
            (job_id, Status.TIMEOUT) for job_id in job_ids
        ]
        assert len(waiting._waiting) == 0


async def test_nobody_waiting_costs_nothing(db: Database) -> None:
    async with ticking(db):
        with statements(db) as seen:
            await asyncio.sleep(5 * TICK_SECONDS)
        assert seen == []


async def test_a_wait_ends_within_a_tick_of_its_job(api: Api, db: Database) -> None:
    loop = asyncio.get_running_loop()
    async with ticking(db) as waiting:
        for _ in range(5):
            job_id = await queued_job(api)
            task = asyncio.create_task(waiting.wait(job_id, seconds=10))
            await asyncio.sleep(secrets.randbelow(100) / 1000)
            assert await finish_job(api, await claimed_job(api), PHOTO)
            finished = loop.time()
            state = await task
            assert state is not None
            assert (state.job_id, state.status, state.result_bytes) == (job_id, Status.DONE, len(PHOTO))
            assert loop.time() - finished < 2 * TICK_SECONDS + 0.1


async def test_one_job_serves_all_who_wait_for_it(api: Api, db: Database) -> None:
    job_id, _ = await finished_job(api)
    async with ticking(db) as waiting:
        states = await asyncio.gather(*(waiting.wait(job_id, seconds=5) for _ in range(20)))
    assert {state.status for state in states if state is not None} == {Status.DONE}
    assert None not in states


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.25])
async def test_a_wait_that_takes_too_long_gives_nothing(api: Api, db: Database, seconds: float) -> None:
    job_id = await queued_job(api)
    loop = asyncio.get_running_loop()
    async with ticking(db) as waiting:
        started = loop.time()
        assert await waiting.wait(job_id, seconds=seconds) is None
        assert loop.time() - started == pytest.approx(max(0.0, seconds), abs=0.1)
        assert await waiting.wait("f" * 32, seconds=0.05) is None
        assert len(waiting._waiting) == 0


async def test_waits_that_are_cancelled_leave_no_trace(api: Api, db: Database) -> None:
    job_ids = [await queued_job(api) for _ in range(3)]
    async with ticking(db) as waiting:
        tasks = [asyncio.create_task(waiting.wait(job_id, seconds=10)) for job_id in job_ids * 5]
        await eventually(lambda: len(waiting) == 15)
        for task in tasks[:7]:
            task.cancel()
        await eventually(lambda: len(waiting) == 8)
        assert await finish_job(api, await claimed_job(api), PHOTO)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(waiting) == len(waiting._waiting) == 0
