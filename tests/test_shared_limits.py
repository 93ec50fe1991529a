"""A provider's limits hold over all runners: real processes, and the provider itself counts."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, text

from photochanger import app_settings
from photochanger.app_settings import provider_limit
from photochanger.jobs import FINAL, Status, status_is
from photochanger.tables import job
from tests.processes import PHOTO, opened
from tests.queue_rows import fill, until

pytestmark = pytest.mark.anyio

JOBS = 200
AT_ONCE = 5


async def test_four_runners_never_have_more_calls_in_flight_than_the_provider_allows(
    database_url: str, tmp_path: Path, http: httpx.AsyncClient
) -> None:
    async with opened(tmp_path, database_url, http=http) as studio:
        async with studio.db.begin() as conn:
            await app_settings.store(conn, provider_limit("gemini", "in_flight"), AT_ONCE, by="test")
        await studio.simulators.behave("ok", delay_seconds=0.05)
        for job_id in await fill(studio.db, JOBS):
            studio.station.media.path_of(f"ingest/{job_id}").write_bytes(PHOTO)
        await studio.station.runners(4)

        async def count(*which: Any) -> int:
            async with studio.db.at_once() as conn:
                return int((await conn.execute(select(func.count()).select_from(job).where(*which))).scalar_one())

        async def ended() -> bool:
            return await count(status_is(*FINAL)) == JOBS

        await until(ended, seconds=90)
        stats = await studio.simulators.read("gemini/stats")
        assert stats["max_in_flight"] == AT_ONCE  # reached, and never passed
        assert await count(status_is(Status.DONE)) == stats["requests"]
        assert await count(status_is(Status.DONE)) > JOBS / 2, "the machine is too slow for this test to say much"
        async with studio.db.at_once() as conn:
            busy = (await conn.execute(text("SELECT count(DISTINCT runner) FROM processing_log"))).scalar_one()
        assert busy == 4, "each runner had its share"
