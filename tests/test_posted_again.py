"""The same photo sent again: by its file or by its key it joins its job, and a failed one never blocks a repeat."""

import asyncio

import httpx
import pytest
from sqlalchemy import text

from photochanger.errors import Failure
from tests.booths import post_photo
from tests.postings import PHOTO, PICTURE, fail_job, posting
from tests.raw_http import eventually, jobs_in, queued
from tests.results import claimed_job, finish_job
from tests.serving import Api

pytestmark = pytest.mark.anyio


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
    assert await finish_job(api, await claimed_job(api), PICTURE)
    answer = await second
    assert (answer.status_code, answer.content, "x-duplicate-of" in answer.headers) == (200, PICTURE, False)
