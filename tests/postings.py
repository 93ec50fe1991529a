"""Photos that a booth has posted and waits for, and what a runner makes of them meanwhile."""

import asyncio
from typing import Any

import httpx

from photochanger import jobs
from photochanger.errors import Failure
from photochanger.jobs import Job
from tests.booths import photo_bytes, post_photo
from tests.serving import Api

PHOTO = photo_bytes()
PICTURE = photo_bytes(seed=2)
Posting = asyncio.Task[httpx.Response]


def posting(api: Api, http: httpx.AsyncClient, photo: bytes = PHOTO, **options: Any) -> Posting:
    return asyncio.create_task(post_photo(http, api.url, photo, **options))


async def fail_job(api: Api, claimed: Job, failure: Failure, details: str = "as told") -> None:
    async with api.db.at_once() as conn:
        assert await jobs.fail(conn, claimed, failure=failure, details=details)
