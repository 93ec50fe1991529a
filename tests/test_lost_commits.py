"""The answer to the COMMIT that takes a photo in is lost: nobody knows whether there is a job, and both may be so."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select
from structlog.testing import capture_logs

from photochanger.db import Database
from photochanger.providers import Providers
from photochanger.tables import job
from tests.administrators import bearer
from tests.booths import nothing_left, photo_bytes, post_photo
from tests.outages import LossyWay
from tests.raw_http import eventually
from tests.results import claimed_job, finish_job, queued_job
from tests.serving import Api, serve_api, settings_for

pytestmark = pytest.mark.anyio

PHOTO = photo_bytes()


@asynccontextmanager
async def serving_over(way: LossyWay, folder: Path, providers: Providers) -> AsyncIterator[Api]:
    async with way.open() as url, serve_api(settings_for(folder, url), providers, url) as api:
        yield api


async def jobs_there(db: Database) -> list[str]:
    async with db.at_once() as conn:
        return list((await conn.execute(select(job.c.job_id))).scalars())


async def test_a_photo_whose_commit_was_made_unheard_is_kept_and_changed(
    database_url: str, db: Database, http: httpx.AsyncClient, tmp_path: Path, known_providers: Providers
) -> None:
    way = LossyWay(database_url, after=b"ingest/", arrives=True)
    async with serving_over(way, tmp_path, known_providers) as api:
        answer = await post_photo(http, api.url, PHOTO)
        assert way.has_lost
        assert (answer.status_code, answer.json()["failure_reason"]) == (503, "database_unavailable")
        (job_id,) = await jobs_there(db)
        assert api.media.path_of(f"ingest/{job_id}").read_bytes() == PHOTO
        assert await finish_job(api, await claimed_job(api), b"changed")
        again = await post_photo(http, api.url, PHOTO)
        assert (again.status_code, again.content) == (200, b"changed")
        assert again.headers["x-duplicate-of"] == job_id


async def test_a_job_that_nobody_knows_of_and_nobody_takes_up_is_closed_at_its_deadline(
    database_url: str, db: Database, http: httpx.AsyncClient, tmp_path: Path, known_providers: Providers
) -> None:
    way = LossyWay(database_url, after=b"ingest/", arrives=True)
    async with serving_over(way, tmp_path, known_providers) as api:
        async with db.begin() as conn:
            await conn.exec_driver_sql("UPDATE slot SET sync_response_seconds = 10")
        assert (await post_photo(http, api.url, PHOTO)).status_code == 503

        async def closed() -> bool:
            async with db.at_once() as conn:
                found = await conn.execute(select(func.count()).where(job.c.status == "timeout"))
                return bool(found.scalar_one() == 1)

        await eventually(closed, seconds=20)
        await eventually(lambda: not api.services.unattended._tasks)
        nothing_left(api.media)


async def test_a_photo_whose_commit_was_never_made_is_looked_after_until_its_deadline(
    database_url: str, db: Database, http: httpx.AsyncClient, tmp_path: Path, known_providers: Providers
) -> None:
    way = LossyWay(database_url, after=b"ingest/", arrives=False)
    async with serving_over(way, tmp_path, known_providers) as api:
        answer = await post_photo(http, api.url, PHOTO)
        assert way.has_lost
        assert (answer.status_code, answer.json()["failure_reason"]) == (503, "database_unavailable")
        assert await jobs_there(db) == []
        assert len(api.services.unattended._tasks) == 1, "it could still come"
        assert [path.read_bytes() for path in api.media.folder("ingest").iterdir()] == [PHOTO]


async def test_the_photo_of_a_job_that_never_came_goes_at_its_deadline(api: Api) -> None:
    job_id = "0123456789abcdef" * 2
    api.media.path_of(f"ingest/{job_id}").write_bytes(PHOTO)
    with capture_logs() as lines:
        api.services.unattended.watch(job_id, deadline=time.monotonic(), is_certain=False)
        await eventually(lambda: not api.services.unattended._tasks)
    nothing_left(api.media)
    assert {"job_never_was"} == {line["event"] for line in lines if line.get("job") == job_id}


async def test_an_administrators_replay_loses_its_file_as_little(
    database_url: str, db: Database, http: httpx.AsyncClient, tmp_path: Path, known_providers: Providers
) -> None:
    way = LossyWay(database_url, after=b"job_replayed", arrives=True)
    async with serving_over(way, tmp_path, known_providers) as api:
        headers = await bearer(api)
        await queued_job(api)
        old = await claimed_job(api)
        assert await finish_job(api, old, PHOTO)
        answer = await http.post(f"{api.url}/api/jobs/{old.job_id}/replay", headers=headers)
        assert way.has_lost
        assert answer.status_code == 503
        (new,) = set(await jobs_there(db)) - {old.job_id}
        assert api.media.path_of(f"ingest/{new}").exists()
