"""What an attempt has cost is known, also where no picture came of it that could be kept."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select, update

from photochanger import jobs
from photochanger.providers import Providers
from photochanger.tables import job, job_attempt
from tests.queue_rows import until
from tests.serving import Api
from tests.timelines import GEMINI, Studio, events, only_job, staged, told

pytestmark = pytest.mark.anyio


@pytest.fixture
async def studio(
    api: Api, http: httpx.AsyncClient, tmp_path: Path, database_url: str, known_providers: Providers
) -> AsyncIterator[Studio]:
    async with staged(api, http, tmp_path, database_url, known_providers) as studio:
        yield studio


async def test_a_failed_attempt_costs_what_the_provider_says_it_used(studio: Studio) -> None:
    await studio.set_slot(**GEMINI)
    await studio.behave("gemini", "text_only")
    async with studio.runner():
        assert (await studio.post()).json()["failure_reason"] == "no_image"
    costs = [ended["cost_usd"] for ended in await told(studio.api.db, "attempt_ended")]
    assert len(costs) == 2
    assert all(cost > 0 for cost in costs)


async def test_a_picture_that_comes_too_late_has_cost_what_it_costs(studio: Studio) -> None:
    await studio.behave("gemini", "ok", delay_seconds=1.5)
    db = studio.api.db

    async def called() -> bool:
        async with db.at_once() as conn:
            return bool((await conn.execute(select(func.count()).select_from(job_attempt))).scalar_one())

    async def closed() -> bool:
        async with db.at_once() as conn:
            query = select(func.count()).where(job_attempt.c.finished_at.is_not(None))
            return bool((await conn.execute(query)).scalar_one())

    async with studio.runner():
        posting = asyncio.create_task(studio.post())
        await until(called, seconds=10)
        async with db.at_once() as conn:
            over = job.c.created_at + timedelta(milliseconds=1)
            await conn.execute(update(job).values(expires_at=over, start_by=over))
            assert await jobs.expire(conn, await only_job(db))
        assert (await posting).status_code == 504
        await until(closed, seconds=10)
    (ended,) = await told(db, "attempt_ended")
    assert (ended["outcome"], ended["http_status"]) == ("not_kept", 200)
    assert ended["cost_usd"] > 0
    assert "finished" not in await events(db)


async def test_a_picture_that_could_not_be_stored_has_cost_what_it_costs(studio: Studio) -> None:
    db, media = studio.api.db, studio.api.media
    await studio.behave("gemini", "ok", delay_seconds=1.0)

    async def called() -> bool:
        async with db.at_once() as conn:
            return bool((await conn.execute(select(func.count()).select_from(job_attempt))).scalar_one())

    async with studio.runner():
        posting = asyncio.create_task(studio.post())
        await until(called, seconds=10)
        elsewhere = media.folder("results").with_name("elsewhere")
        media.folder("results").rename(elsewhere)
        answer = await posting
        elsewhere.rename(media.folder("results"))
    assert answer.status_code >= 500
    (ended,) = await told(db, "attempt_ended")
    assert (ended["outcome"], ended["http_status"]) == ("not_kept", 200)
    assert ended["cost_usd"] > 0
