"""`POST /api/media/register`: a picture with a public link that ends by the database's clock."""

import os
from datetime import datetime

import httpx
import pytest
from sqlalchemy import select, text

from cleanup.media_objects import expired_media
from cleanup.orphans import orphaned_files
from photochanger import app_settings
from photochanger.tables import media_object
from tests.admin_pictures import audit_lines, tree, upload
from tests.booths import photo_bytes
from tests.pictures import talkative_jpeg
from tests.serving import Api
from tests.simulated import opened
from tests.sweeping import scope
from tests.test_contract import check

pytestmark = pytest.mark.anyio

PATH = "/api/media/register"
PICTURE = photo_bytes(width=300, height=200)


async def lives_seconds(api: Api) -> float:
    async with api.db.at_once() as conn:
        lives = text("SELECT extract(epoch FROM expires_at - created_at) FROM media_object")
        return float((await conn.execute(lives)).scalar_one())


async def test_an_upload_is_there_for_everybody_who_knows_its_link(api: Api, http: httpx.AsyncClient) -> None:
    answer = await upload(api, http, PICTURE, path=PATH)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    check(body, "Upload")
    media_id = body["media_object_id"]
    assert body["url"] == f"{api.url}/public/provider-media/{media_id}"
    assert (body["mime"], body["width"], body["height"]) == ("image/jpeg", 300, 200)
    assert tree(api.media) == {f"provider/{media_id}.jpg"}
    fetched = await http.get(body["url"])
    assert (fetched.status_code, fetched.headers["content-type"]) == (200, "image/jpeg")
    assert fetched.headers["content-length"] == str(body["bytes"])
    assert opened(fetched.content).size == (300, 200)
    async with api.db.at_once() as conn:
        row = (await conn.execute(select(media_object))).one()
    assert (row.kind, row.job_id, row.created_by) == ("upload", None, "serg")
    assert abs((row.expires_at - datetime.fromisoformat(body["expires_at"])).total_seconds()) < 0.01


async def test_its_link_ends_when_a_booth_would_wait_no_longer(api: Api, http: httpx.AsyncClient) -> None:
    await upload(api, http, PICTURE, path=PATH)
    assert await lives_seconds(api) == 48
    async with api.db.begin() as conn:
        await conn.execute(text("DELETE FROM media_object"))
        await app_settings.store(conn, "sync_response_seconds", 12, by="test")
    await upload(api, http, PICTURE, path=PATH)
    assert await lives_seconds(api) == 12


async def test_an_expired_upload_is_gone_before_and_after_the_sweep(api: Api, http: httpx.AsyncClient) -> None:
    url = (await upload(api, http, PICTURE, path=PATH)).json()["url"]
    assert (await expired_media(scope(api.db, api.media))).count == 0
    async with api.db.begin() as conn:
        await conn.execute(text("UPDATE media_object SET expires_at = now()"))
    for swept in (0, 1):
        if swept:
            assert (await expired_media(scope(api.db, api.media))).count == 1
            assert tree(api.media) == set()
        for method in ("GET", "HEAD"):
            gone = await http.request(method, url)
            assert gone.status_code == 410
    assert (await http.get(url)).json()["failure_reason"] == "media_expired"


async def test_the_same_picture_twice_has_two_links(api: Api, http: httpx.AsyncClient) -> None:
    first, second = [(await upload(api, http, PICTURE, path=PATH)).json() for _ in range(2)]
    assert first["url"] != second["url"]
    assert len(tree(api.media)) == 2


async def test_a_living_upload_is_no_orphan_and_one_without_a_row_is(api: Api, http: httpx.AsyncClient) -> None:
    await upload(api, http, PICTURE, path=PATH)
    for name in tree(api.media):
        os.utime(api.media.root / name, (1, 1))
    assert (await orphaned_files(scope(api.db, api.media))).count == 0
    async with api.db.begin() as conn:
        await conn.execute(text("DELETE FROM media_object"))
    assert (await orphaned_files(scope(api.db, api.media))).count == 1


async def test_nothing_of_the_camera_goes_out(api: Api, http: httpx.AsyncClient) -> None:
    body = (await upload(api, http, talkative_jpeg(6), path=PATH)).json()
    picture = (await http.get(body["url"])).content
    assert b"CANARY" not in picture
    assert opened(picture).size == (body["width"], body["height"]) == (120, 160)


async def test_the_audit_line_does_not_open_the_link(api: Api, http: httpx.AsyncClient) -> None:
    media_id = (await upload(api, http, PICTURE, path=PATH)).json()["media_object_id"]
    (line,) = await audit_lines(api.db)
    assert (line.event, line.actor, line.details["media"]) == ("upload_registered", "serg", media_id[:8])
    assert media_id not in repr(line)
