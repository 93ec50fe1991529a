"""What a booth gets for its photo: the picture, a clear error by its code, or a 504 at its deadline."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
from tests.booths import nothing_left, photo_bytes, post_photo
from tests.raw_http import eventually, jobs_in, queued
from tests.results import claimed_job, finish_job
from tests.serving import PASSWORD, SIGNING_KEY, Api, serve_api, settings_for

pytestmark = pytest.mark.anyio

PHOTO = photo_bytes()
PICTURE = photo_bytes(seed=2)
Posting = asyncio.Task[httpx.Response]


def posting(api: Api, http: httpx.AsyncClient, photo: bytes = PHOTO, **options: Any) -> Posting:
    return asyncio.create_task(post_photo(http, api.url, photo, **options))


async def fail_job(api: Api, claimed: Job, failure: Failure, details: str = "as told") -> None:
    async with api.db.at_once() as conn:
        assert await jobs.fail(conn, claimed, failure=failure, details=details)


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


async def test_a_504_comes_at_the_deadline_to_each_of_many_booths(api: Api, http: httpx.AsyncClient) -> None:
    async with api.db.begin() as conn:
        await conn.execute(update(slot).values(sync_response_seconds=10))
    claimed: list[Job] = []

    async def timed(number: int) -> tuple[float, httpx.Response]:
        started = time.monotonic()
        answer = await post_photo(http, api.url, PHOTO, slot=f"slot-{number:03}")
        return time.monotonic() - started, answer

    tasks = [asyncio.create_task(timed(number)) for number in range(1, 13)]
    await queued(api, 12)
    claimed = [await claimed_job(api) for _ in range(6)]  # half is queued, half in a runner's hands
    timings = await asyncio.gather(*tasks)
    assert [round(seconds, 2) for seconds, _ in timings if not 9.8 <= seconds <= 10.5] == []
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
        await asyncio.sleep(2.85 - (time.monotonic() - started))
        assert await finish_job(api, claimed, PICTURE)
        answer = await waiting
        assert (answer.status_code, answer.content) == (200, PICTURE)
        assert time.monotonic() - started < 3.5


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
    assert expires_at.timestamp() - arrived == pytest.approx(48, abs=0.3)


# --- repeats


async def test_the_same_photo_twice_at_once_is_one_job_with_two_answers(api: Api, http: httpx.AsyncClient) -> None:
    tasks = [posting(api, http), posting(api, http)]
    await queued(api)
    await eventually(lambda: len(api.services.waiting) == 2)
    assert len(list(api.media.folder("ingest").iterdir())) == 1
    claimed = await claimed_job(api)
    assert await finish_job(api, claimed, PICTURE)
    answers = await asyncio.gather(*tasks)
    assert [(answer.status_code, answer.content) for answer in answers] == [(200, PICTURE)] * 2
    assert sorted(answer.headers.get("x-duplicate-of", "") for answer in answers) == ["", claimed.job_id]
    assert await jobs_in(api) == 1


async def test_the_same_photo_again_within_a_minute_gets_the_same_result(api: Api, http: httpx.AsyncClient) -> None:
    first = posting(api, http)
    await queued(api)
    claimed = await claimed_job(api)
    assert await finish_job(api, claimed, PICTURE)
    assert (await first).status_code == 200
    again = await post_photo(http, api.url, PHOTO)
    assert (again.status_code, again.content) == (200, PICTURE)
    assert again.headers["x-duplicate-of"] == again.headers["x-job-id"] == claimed.job_id
    other_slot = posting(api, http, slot="slot-002")
    await queued(api, 2)
    async with api.db.begin() as conn:
        await conn.execute(text("UPDATE job SET finished_at = now() - interval '61 seconds' WHERE status = 'done'"))
    a_minute_later = posting(api, http)
    await queued(api, 3)
    for task in (other_slot, a_minute_later):
        task.cancel()


@pytest.mark.parametrize("headers", [None, {"Idempotency-Key": "photo-1"}])
async def test_a_failed_photo_may_be_sent_again(
    api: Api, http: httpx.AsyncClient, headers: dict[str, str] | None
) -> None:
    first = posting(api, http, headers=headers)
    await queued(api)
    await fail_job(api, await claimed_job(api), Failure.NETWORK)
    assert (await first).status_code == 503
    second = posting(api, http, headers=headers)
    await queued(api, 2)
    assert await finish_job(api, await claimed_job(api), PICTURE)
    answer = await second
    assert (answer.status_code, "x-duplicate-of" in answer.headers) == (200, False)


async def test_an_idempotency_key_joins_its_job_and_no_other(api: Api, http: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "photo-1"}
    tasks = [posting(api, http, headers=headers) for _ in range(2)]
    await queued(api)
    await eventually(lambda: len(api.services.waiting) == 2)
    claimed = await claimed_job(api)
    conflict = await post_photo(http, api.url, PHOTO + b"another", headers=headers)
    assert (conflict.status_code, conflict.json()["failure_reason"]) == (409, "idempotency_conflict")
    assert conflict.json()["job_id"] == claimed.job_id
    assert await finish_job(api, claimed, PICTURE)
    for answer in [*await asyncio.gather(*tasks), await post_photo(http, api.url, PHOTO, headers=headers)]:
        assert (answer.status_code, answer.content, answer.headers["x-job-id"]) == (200, PICTURE, claimed.job_id)
    elsewhere = posting(api, http, PHOTO + b"another", slot="slot-002", headers=headers)
    await queued(api, 2)
    elsewhere.cancel()


async def test_a_key_whose_job_nobody_closed_at_its_deadline_begins_a_new_one(
    api: Api, http: httpx.AsyncClient
) -> None:
    headers = {"Idempotency-Key": "photo-1"}
    first = posting(api, http, headers=headers)
    await queued(api)
    first.cancel()
    async with api.db.begin() as conn:  # as when the API was killed and comes back after the deadline
        moments = ("created_at", "start_by", "expires_at")
        earlier = ", ".join(f"{name} = {name} - interval '1 minute'" for name in moments)
        await conn.execute(text(f"UPDATE job SET {earlier}"))
    second = posting(api, http, headers=headers)
    await queued(api, 2)
    second.cancel()


# --- the log


@asynccontextmanager
async def process(environment: dict[str, str]) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """An API process of its own, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "api", "--fd", str(listening.fileno()),
            env={**os.environ, **environment}, pass_fds=[listening.fileno()], stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", serving
        finally:
            if serving.returncode is None:
                serving.kill()
                await serving.wait()


async def test_each_request_is_one_line_of_log_without_a_password(
    api: Api, http: httpx.AsyncClient, database_url: str, tmp_path: Path
) -> None:
    home = {"PHOTOCHANGER_HOME": f"{tmp_path}/home", "MEDIA_ROOT": str(api.media.root), "DATABASE_URL": database_url}
    home["SIGNING_KEY"] = SIGNING_KEY
    fields = {"name": "one\ntwo\r\nthree\u2028four", "q1\nq2": "FIELDCANARY"}
    async with process(home) as (url, serving):
        paths = {
            "/ingest/slot-001%0Aevent=forged": "not_found",
            "/ingest/slot-016?password=QUERYCANARY": "slot_not_found",
        }
        expected: list[tuple[int, str | None, httpx.Response]] = [
            (404, reason, await http.post(url + path, content=b"x")) for path, reason in paths.items()
        ]
        refused: list[tuple[dict[str, Any], int, str]] = [
            ({"password": b"WRONGCANARY"}, 401, "invalid_password"),
            ({"password": b"WRONGCANARY" * 100}, 401, "invalid_password"),
            ({"hash_": "HASHCANARY"}, 400, "hash_mismatch"),
            ({"headers": {"Idempotency-Key": "x" * 256}}, 400, "invalid_request"),
        ]
        for options, status, reason in refused:
            expected.append((status, reason, await post_photo(http, url, PHOTO, fields=fields, **options)))
        waiting = asyncio.create_task(post_photo(http, url, PHOTO, fields=fields))
        await queued(api)
        claimed = await claimed_job(api)
        assert await finish_job(api, claimed, PICTURE)
        expected.append((200, None, await waiting))
        await http.get(f"{url}/livez")
        serving.send_signal(signal.SIGTERM)
        _, said = await asyncio.wait_for(serving.communicate(), 10)
    assert [answer.status_code for _, _, answer in expected] == [status for status, _, _ in expected]
    lines = [json.loads(line) for line in said.decode().splitlines()]
    finished = [line for line in lines if line["event"] == "request_finished"]
    assert [(line["status"], line.get("failure_reason")) for line in finished] == [
        (status, reason) for status, reason, _ in expected
    ]
    assert {"slot": "slot-001", "job": claimed.job_id, "joined": False}.items() <= finished[-1].items()
    assert not re.search(rb"CANARY|%b" % PASSWORD, said)
    assert b"Traceback" not in said
