"""Temporary public links: what a provider fetches by itself."""

import hashlib

import httpx
import pytest
from sqlalchemy import select, text

from cleanup.media_objects import expired_media
from photochanger import provider_media
from photochanger.tables import media_object
from tests.booths import photo_bytes
from tests.results import queued_job
from tests.serving import Api
from tests.sweeping import scope

pytestmark = pytest.mark.anyio

PICTURE = photo_bytes()


async def published(api: Api) -> str:
    """The id of a picture with a link."""
    job_id, media_id = await queued_job(api), provider_media.new_media_id()
    path = f"provider/{media_id}.jpg"
    api.media.path_of(path).write_bytes(PICTURE)
    async with api.db.begin() as conn:
        await provider_media.publish(
            conn,
            media_id=media_id,
            job_id=job_id,
            path=path,
            mime="image/jpeg",
            size_bytes=len(PICTURE),
            sha256=hashlib.sha256(PICTURE).digest(),
        )
    return media_id


async def expire(api: Api) -> None:
    async with api.db.begin() as conn:
        await conn.execute(text("UPDATE media_object SET expires_at = now() - interval '1 second'"))


async def test_a_link_gives_the_picture_without_a_login(api: Api, http: httpx.AsyncClient) -> None:
    url = f"{api.url}/public/provider-media/{await published(api)}"
    answer = await http.get(url, follow_redirects=False)
    assert (answer.status_code, answer.content) == (200, PICTURE)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-length"] == str(len(PICTURE))
    head = await http.head(url)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(PICTURE)))


async def test_a_link_ends_with_its_jobs_deadline(api: Api, http: httpx.AsyncClient) -> None:
    media_id = await published(api)
    async with api.db.begin() as conn:
        assert (
            await conn.execute(
                text("SELECT job.expires_at = media_object.expires_at FROM job JOIN media_object USING (job_id)")
            )
        ).scalar_one()
    await expire(api)
    for answer in (await http.get(f"{api.url}/public/provider-media/{media_id}"),):
        assert (answer.status_code, answer.json()["failure_reason"]) == (410, "media_expired")


@pytest.mark.parametrize("media_id", ["0" * 32, "x", "A" * 32])
async def test_an_unknown_link_is_not_found(api: Api, http: httpx.AsyncClient, media_id: str) -> None:
    answer = await http.get(f"{api.url}/public/provider-media/{media_id}")
    assert (answer.status_code, answer.json()["failure_reason"]) == (404, "media_not_found")


async def test_the_sweep_removes_the_file_and_keeps_the_row_for_its_410(api: Api, http: httpx.AsyncClient) -> None:
    media_id = await published(api)
    assert (await expired_media(scope(api.db, api.media))).count == 0
    await expire(api)
    assert (await expired_media(scope(api.db, api.media))).count == 1
    assert (await expired_media(scope(api.db, api.media))).count == 0
    assert list(api.media.folder("provider").iterdir()) == []
    async with api.db.begin() as conn:
        row = (await conn.execute(select(media_object))).one()
    assert row.path is None
    assert row.cleaned_at is not None
    answer = await http.get(f"{api.url}/public/provider-media/{media_id}")
    assert (answer.status_code, answer.json()["failure_reason"]) == (410, "media_expired")
