"""The wait for jobs: one query a tick however many wait, every one served, and a database that goes away meanwhile."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import event, text

from api.waiting import Waiting
from photochanger import app_settings, job_state
from photochanger.db import UNAVAILABLE, Database
from photochanger.jobs import Status
from tests import postgres
from tests.booths import nothing_left, photo_bytes, post_photo
from tests.outages import Outage
from tests.raw_http import eventually, queued
from tests.results import claimed_job, finish_job, finished_job, queued_job
from tests.serving import Api

pytestmark = pytest.mark.anyio

TICK_SECONDS = 0.1
PHOTO = photo_bytes()


@asynccontextmanager
async def ticking(db: Database, *, tick_seconds: float = TICK_SECONDS) -> AsyncIterator[Waiting]:
    waiting = Waiting(db, tick_seconds=tick_seconds)
    task = asyncio.create_task(waiting.run())
    try:
        yield waiting
    finally:
        assert not task.done()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


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


# --- the database goes away


@pytest.fixture
def outage(postgres_url: str, database_url: str) -> Outage:
    return Outage(postgres_url, database_url)


async def test_a_wait_outlives_an_outage_of_the_database(api: Api, db: Database, outage: Outage) -> None:
    job_id = await queued_job(api)
    claimed = await claimed_job(api)
    async with ticking(db) as waiting:
        task = asyncio.create_task(waiting.wait(job_id, seconds=20))
        await asyncio.sleep(2 * TICK_SECONDS)
        await outage.begin()
        await asyncio.sleep(1)
        assert not task.done()
        await outage.end()

        async def finished() -> bool:
            with suppress(*UNAVAILABLE):
                return await finish_job(api, claimed, PHOTO)
            return False

        await eventually(finished)
        state = await asyncio.wait_for(task, 2)
        assert state is not None
        assert state.status is Status.DONE


async def test_without_the_database_a_booth_is_told_so_within_two_seconds(
    api: Api, http: httpx.AsyncClient, outage: Outage
) -> None:
    loop = asyncio.get_running_loop()
    waiting = asyncio.create_task(post_photo(http, api.url, PHOTO, slot="slot-002"))
    await queued(api)
    claimed = await claimed_job(api)
    await outage.begin()
    for _ in range(2):
        started = loop.time()
        answers = await asyncio.gather(*(post_photo(http, api.url, PHOTO + bytes([number])) for number in range(10)))
        assert loop.time() - started < 2
        assert {(answer.status_code, answer.json()["failure_reason"]) for answer in answers} == {
            (503, "database_unavailable")
        }
        assert {answer.headers["retry-after"] for answer in answers} == {"2"}
        assert "Traceback" not in answers[0].text
    started = loop.time()
    health = await http.get(f"{api.url}/healthz")
    assert loop.time() - started < 0.25
    assert (health.status_code, health.json()["status"]) == (503, "failed")
    api.media.discard(f"ingest/{claimed.job_id}")
    nothing_left(api.media)

    await outage.end()
    ended = loop.time()

    async def taken_in() -> bool:
        return (await post_photo(http, api.url, PHOTO, hash_="0" * 32)).status_code == 400

    await eventually(taken_in)
    assert loop.time() - ended < 2
    assert await finish_job(api, claimed, PHOTO)  # and the photo that waited all the while gets its answer
    assert (await waiting).content == PHOTO


async def test_a_deadline_that_passes_without_the_database_is_answered_with_the_jobs_id(
    api: Api, http: httpx.AsyncClient, outage: Outage
) -> None:
    async with api.db.begin() as conn:
        await app_settings.store(conn, "sync_response_seconds", 3, by="test")
    waiting = asyncio.create_task(post_photo(http, api.url, PHOTO))
    await queued(api)
    claimed = await claimed_job(api)
    await outage.begin()
    answer = await asyncio.wait_for(waiting, 5)
    await outage.end()
    assert answer.status_code in {503, 504}
    assert answer.json()["failure_reason"] in {"database_unavailable", "timeout"}
    assert answer.json()["job_id"] == answer.headers["x-job-id"] == claimed.job_id


async def test_the_database_may_go_away_in_the_middle_of_an_upload(
    api: Api, outage: Outage, http: httpx.AsyncClient
) -> None:
    tasks = [asyncio.create_task(post_photo(http, api.url, PHOTO + bytes(5_000_000))) for _ in range(5)]
    await eventually(lambda: bool(list(api.media.folder("ingest").iterdir())))
    await outage.begin()
    answers = await asyncio.wait_for(asyncio.gather(*tasks), 5)
    assert {(answer.status_code, answer.json()["failure_reason"]) for answer in answers} == {
        (503, "database_unavailable")
    }
    nothing_left(api.media)
    await outage.end()


async def test_connections_that_were_cut_are_replaced_at_once(
    api: Api, http: httpx.AsyncClient, outage: Outage
) -> None:
    for _ in range(3):
        await outage.cut()
        answers = []
        for _ in range(3):  # the first to notice may be told so
            answers.append((await post_photo(http, api.url, PHOTO, hash_="0" * 32)).status_code)
            await asyncio.sleep(0.05)
        assert answers[1:] == [400, 400]


async def test_a_database_that_is_gone_for_good_is_said_to_be_unavailable(
    http: httpx.AsyncClient, api: Api, postgres_url: str, database_url: str
) -> None:
    name = urlsplit(database_url).path.removeprefix("/")
    postgres._run(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")
    try:
        answer = await asyncio.wait_for(post_photo(http, api.url, PHOTO), 2)
        assert (answer.status_code, answer.json()["failure_reason"]) == (503, "database_unavailable")
        nothing_left(api.media)
    finally:
        postgres._run(postgres_url, f"CREATE DATABASE {name}")
