"""Jobs that no request waits for come to their end all the same."""

import asyncio
import time
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from api.endings import Unattended
from photochanger import job_state
from photochanger.db import UNAVAILABLE
from photochanger.jobs import Status
from tests.outages import Outage
from tests.raw_http import eventually
from tests.results import claimed_job, finish_job, queued_job
from tests.serving import Api

pytestmark = pytest.mark.anyio


async def status(api: Api, job_id: str) -> Status | None:
    with suppress(*UNAVAILABLE):
        async with api.db.begin() as conn:
            state = await job_state.get(conn, job_id)
            assert state is not None
            return state.status
    return None


async def test_a_job_is_closed_at_its_deadline_and_its_photo_goes(api: Api) -> None:
    job_id = await queued_job(api, sync_response_seconds=3)
    api.services.unattended.watch(job_id, deadline=time.monotonic() + 3)
    assert await status(api, job_id) is Status.QUEUED

    async def closed() -> bool:
        return await status(api, job_id) is Status.TIMEOUT

    await eventually(closed)
    await eventually(lambda: not api.media.path_of(f"ingest/{job_id}").exists())


async def test_a_job_that_is_done_keeps_its_result(api: Api) -> None:
    job_id = await queued_job(api, sync_response_seconds=3)
    api.services.unattended.watch(job_id, deadline=time.monotonic() + 3)
    assert await finish_job(api, await claimed_job(api), b"picture")
    await eventually(lambda: not api.services.unattended._tasks)
    assert await status(api, job_id) is Status.DONE
    assert api.media.path_of(f"results/{job_id}.jpg").exists()


async def test_a_database_that_is_away_at_the_deadline_is_waited_for(
    api: Api, postgres_url: str, database_url: str
) -> None:
    outage = Outage(postgres_url, database_url)
    job_id = await queued_job(api, sync_response_seconds=2)
    api.services.unattended.watch(job_id, deadline=time.monotonic() + 2)
    await outage.begin()
    await asyncio.sleep(3)
    assert len(api.services.unattended._tasks) == 1
    await outage.end()

    async def closed() -> bool:
        return await status(api, job_id) is Status.TIMEOUT

    await eventually(closed)
    await eventually(lambda: not api.services.unattended._tasks)


async def test_a_job_that_is_no_more_is_told_and_left(api: Api) -> None:
    with capture_logs() as lines:
        api.services.unattended.watch("0" * 32, deadline=time.monotonic())
        await eventually(lambda: not api.services.unattended._tasks)
    assert [line["job"] for line in lines if line["event"] == "job_vanished"] == ["0" * 32]


async def test_whoever_looks_after_jobs_can_stop_at_any_moment(api: Api) -> None:
    unattended = Unattended(api.db, api.media, api.services.waiting)
    for _ in range(3):
        unattended.watch(await queued_job(api), deadline=time.monotonic() + 48)
    await unattended.close()
    assert not unattended._tasks
    assert len(api.services.waiting) == 0
