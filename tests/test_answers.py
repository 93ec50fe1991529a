"""What a booth gets for its photo: the picture, a clear error by its code, or a 504 at its deadline."""

import asyncio
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from sqlalchemy import select, text, update

from photochanger import app_settings, intake, jobs
from photochanger.errors import Failure
from photochanger.jobs import Job
from photochanger.providers import Providers
from photochanger.tables import job, slot
from tests.booths import nothing_left, post_photo
from tests.lags import measured_lag
from tests.postings import PHOTO, PICTURE, fail_job, posting
from tests.raw_http import eventually, queued
from tests.results import claimed_job, finish_job
from tests.serving import Api, serve_api, settings_for

pytestmark = pytest.mark.anyio


async def set_seconds(api: Api, seconds: int) -> None:
    """Shorter than an administrator may set it."""
    async with api.db.begin() as conn:
        await app_settings.store(conn, "sync_response_seconds", seconds, by="test")


# --- the picture


async def test_the_answer_is_the_picture_with_its_type_length_and_links(api: Api, http: httpx.AsyncClient) -> None:
    waiting = posting(api, http)
    await queued(api)
    claimed = await claimed_job(api)
    assert await finish_job(api, claimed, PICTURE)
    answer = await waiting
    assert (answer.status_code, answer.content) == (200, PICTURE)
    expected = {
        "content-type": "image/jpeg",
        "content-length": str(len(PICTURE)),
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "x-job-id": claimed.job_id,
        "x-result-url": f"{api.url}/public/results/{claimed.job_id}",
    }
    assert {name: answer.headers.get(name) for name in expected} == expected
    assert "x-duplicate-of" not in answer.headers
    public = await http.get(answer.headers["x-result-url"])
    assert (public.status_code, public.content) == (200, PICTURE)


async def test_the_job_tells_how_it_stands_all_the_way(api: Api, http: httpx.AsyncClient) -> None:
    async def stands(job_id: str) -> dict[str, Any]:
        body: dict[str, Any] = (await http.get(f"{api.url}/api/jobs/{job_id}")).json()
        return {name: body[name] for name in ("status", "failure_reason", "result_url")}

    tasks = [posting(api, http, PHOTO + b"1"), posting(api, http, PHOTO + b"2")]
    await queued(api, 2)
    nothing: dict[str, Any] = {"failure_reason": None, "result_url": None}
    async with api.db.at_once() as conn:
        job_ids = set((await conn.execute(select(job.c.job_id))).scalars())
    assert [await stands(job_id) for job_id in job_ids] == [{"status": "queued", **nothing}] * 2
    first, second = await claimed_job(api), await claimed_job(api)
    assert await stands(first.job_id) == {"status": "running", **nothing}
    async with api.db.at_once() as conn:
        assert await jobs.park(conn, second, reference="queue-1", after_seconds=0)
    assert await stands(second.job_id) == {"status": "waiting", **nothing}
    second = await claimed_job(api)
    assert await finish_job(api, first, PICTURE)
    await fail_job(api, second, Failure.QUOTA)
    url = f"{api.url}/public/results/{first.job_id}"
    assert await stands(first.job_id) == {"status": "done", "failure_reason": None, "result_url": url}
    assert await stands(second.job_id) == {"status": "failed", "failure_reason": "quota", "result_url": None}
    assert sorted(answer.status_code for answer in await asyncio.gather(*tasks)) == [200, 503]


# --- errors

STATUS_OF = {
    "invalid_image": 400,
    "unsupported_media_type": 415,
    "payload_too_large": 413,
    "internal_error": 500,
    "media_lost": 500,
    "bad_response": 502,
    "content_blocked": 502,
    "no_image": 502,
    "provider_4xx": 502,
    "provider_unavailable": 503,
    "quota": 503,
    "network": 503,
    "provider_auth": 503,
    "interrupted": 503,
    "storage_full": 503,
    "database_unavailable": 503,
    "timeout": 504,
}


async def test_every_reason_a_job_can_fail_for_comes_out_with_its_status(api: Api, http: httpx.AsyncClient) -> None:
    tasks = [
        posting(api, http, PHOTO + b"%d" % number, slot=f"slot-{number % 15 + 1:03}")
        for number in range(len(STATUS_OF))
    ]
    await queued(api, len(STATUS_OF))
    expected: dict[str, tuple[int, dict[str, Any]]] = {}
    for reason, status in STATUS_OF.items():
        claimed = await claimed_job(api)
        await fail_job(api, claimed, Failure.of(reason), f"Why it was {reason}.")
        shape = {
            "status": "timeout" if status == 504 else "error",
            "failure_reason": reason,
            "details": f"Why it was {reason}.",
            "job_id": claimed.job_id,
        }
        expected[claimed.job_id] = (status, shape)
    answers = await asyncio.gather(*tasks)
    assert {answer.headers["x-job-id"]: (answer.status_code, answer.json()) for answer in answers} == expected
    assert {answer.headers["content-type"] for answer in answers} == {"application/json"}
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
    nothing_left(api.media)


@pytest.mark.parametrize("lost_table", ["app_settings", "job_input"])
async def test_a_mistake_of_ours_is_a_500_that_says_nothing_and_a_line_that_says_it(
    api: Api, http: httpx.AsyncClient, lost_table: str
) -> None:
    async with api.db.begin() as conn:
        await conn.execute(text(f"ALTER TABLE {lost_table} RENAME TO lost"))
    with structlog.testing.capture_logs() as lines:
        answer = await post_photo(http, api.url, PHOTO)
        await eventually(lambda: any(line["event"] == "request_finished" for line in lines))
    assert answer.status_code == 500
    assert answer.json() == {
        "status": "error",
        "failure_reason": "internal_error",
        "details": Failure.INTERNAL_ERROR.sentence,
    }
    assert answer.headers["x-content-type-options"] == "nosniff"
    nothing_left(api.media)
    (line,) = [line for line in lines if line["event"] == "request_finished"]
    assert (line["status"], line.get("failure_reason")) == (500, "internal_error")


async def test_a_full_slot_says_when_to_come_again(api: Api, http: httpx.AsyncClient) -> None:
    tasks = [posting(api, http, PHOTO + b"%d" % number) for number in range(3)]
    await queued(api, 3)
    answer = await post_photo(http, api.url, PHOTO)
    assert (answer.status_code, answer.json()["failure_reason"]) == (429, "rate_limited")
    assert answer.json()["retry_after"] == int(answer.headers["retry-after"]) > 0
    assert "job_id" not in answer.json()
    for task in tasks:
        task.cancel()


# --- the deadline


async def test_a_504_comes_at_the_deadline_to_each_of_many_booths(
    api: Api, http: httpx.AsyncClient, database_url: str
) -> None:
    async with api.db.begin() as conn:
        await conn.execute(update(slot).values(sync_response_seconds=10))
    claimed: list[Job] = []

    async def timed(number: int) -> tuple[float, httpx.Response]:
        started = time.monotonic()
        answer = await post_photo(http, api.url, PHOTO, slot=f"slot-{number:03}")
        return time.monotonic() - started, answer

    async with measured_lag(database_url) as lag:
        tasks = [asyncio.create_task(timed(number)) for number in range(1, 13)]
        await queued(api, 12)
        claimed = [await claimed_job(api) for _ in range(6)]  # half is queued, half in a runner's hands
        timings = await asyncio.gather(*tasks)
    assert [round(seconds, 2) for seconds, _ in timings if not 9.8 <= seconds <= 10.5 + lag.seconds] == [], lag
    for _, answer in timings:
        assert answer.status_code == 504
        assert {name: answer.json()[name] for name in ("status", "failure_reason")} == {
            "status": "timeout",
            "failure_reason": "timeout",
        }
        assert answer.json()["job_id"] == answer.headers["x-job-id"]
    assert [await finish_job(api, late, PICTURE) for late in claimed] == [False] * 6
    for late in claimed:
        async with api.db.at_once() as conn:
            assert not await jobs.fail(conn, late, failure=Failure.QUOTA, details="")
        assert (await http.get(f"{api.url}/api/jobs/{late.job_id}")).json()["status"] == "timeout"
        assert (await http.get(f"{api.url}/public/results/{late.job_id}")).status_code == 404
    nothing_left(api.media)


async def test_a_result_of_the_very_last_moment_still_counts(
    database_url: str, tmp_path: Path, known_providers: Providers, http: httpx.AsyncClient
) -> None:
    settings = settings_for(tmp_path, database_url, JOB_POLL_SECONDS="2")
    async with serve_api(settings, known_providers, database_url) as api:
        await set_seconds(api, 3)
        started = time.monotonic()
        waiting = posting(api, http)
        await queued(api)
        claimed = await claimed_job(api)
        await asyncio.sleep(2.4 - (time.monotonic() - started))  # after the last tick, in time for the deadline
        assert await finish_job(api, claimed, PICTURE)
        async with measured_lag(database_url) as lag:
            answer = await waiting
        assert (answer.status_code, answer.content) == (200, PICTURE)
        assert time.monotonic() - started < 3.5 + lag.seconds


async def test_the_deadline_counts_from_the_arrival_also_when_the_slot_was_locked(
    api: Api, http: httpx.AsyncClient
) -> None:
    arrived = time.time()
    async with api.db.begin() as conn:
        await conn.execute(text(f"SELECT pg_advisory_xact_lock({intake.LOCK_CLASS}, hashtext('slot-001'))"))
        waiting = posting(api, http)
        await asyncio.sleep(1.0)
    await queued(api)
    async with api.db.at_once() as conn:
        expires_at: datetime = (await conn.execute(select(job.c.expires_at))).scalar_one()
    waiting.cancel()
    assert -0.1 <= expires_at.timestamp() - arrived - 48 < 0.9, "the second that the slot was locked does not count"
