"""A database that goes away while requests wait: they are told in time, or outlive it."""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
import pytest

from photochanger import app_settings
from photochanger.db import UNAVAILABLE, Database
from photochanger.jobs import Status
from tests import postgres
from tests.booths import nothing_left, photo_bytes, post_photo
from tests.lags import HEALTH_SECONDS, health, measured_lag
from tests.outages import Outage
from tests.raw_http import eventually, queued
from tests.results import claimed_job, finish_job, queued_job
from tests.serving import Api
from tests.ticking import TICK_SECONDS, ticking

pytestmark = pytest.mark.anyio
PHOTO = photo_bytes()


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
        async with measured_lag() as lag:
            photos = [PHOTO + bytes([number]) for number in range(10)]
            answers = await asyncio.gather(*(post_photo(http, api.url, photo) for photo in photos))
        assert loop.time() - started < 2 + len(photos) * lag.seconds
        assert {(answer.status_code, answer.json()["failure_reason"]) for answer in answers} == {
            (503, "database_unavailable")
        }
        assert {answer.headers["retry-after"] for answer in answers} == {"2"}
        assert "Traceback" not in answers[0].text
    status, seconds = await health(http, api)
    assert (status, seconds < HEALTH_SECONDS) == (503, True), seconds
    assert (await http.get(f"{api.url}/healthz")).json()["status"] == "failed"
    api.media.discard(f"ingest/{claimed.job_id}")
    nothing_left(api.media)

    await outage.end()
    ended = loop.time()

    async def taken_in() -> bool:
        return (await post_photo(http, api.url, PHOTO, hash_="0" * 32)).status_code == 400

    async with measured_lag() as lag:
        await eventually(taken_in)
    assert loop.time() - ended < 2 + 10 * lag.seconds
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
