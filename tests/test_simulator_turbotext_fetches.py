"""The Turbotext simulator really fetches the URLs it is given, and proves whether links live and die in time."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from simulators.server import serving
from simulators.turbotext_fetches import MAX_BYTES, Fetcher, FetchFailed
from tests import bad_pictures, pictures
from tests.simulated import photo_bytes
from tests.test_simulator_turbotext import PHOTO, RED, Studio, opened_studio

pytestmark = pytest.mark.anyio

URL_ERROR = {"success": False, "error": "url_error"}


@pytest.fixture
async def studio(anyio_backend: str) -> AsyncIterator[Studio]:
    async with opened_studio() as studio:
        yield studio


async def test_each_fetch_is_listed(studio: Studio) -> None:
    await studio.create("mix_images", url=studio.red_url, url_image_target=studio.photo_url)
    photo, style = await studio.read("turbotext/fetches")
    assert (photo["url"], photo["parameter"], photo["method"]) == (studio.photo_url, "url_image_target", "mix_images")
    assert (photo["status"], photo["bytes"], photo["length"]) == (200, len(PHOTO), len(PHOTO))
    assert (photo["sha256"], photo["mime"]) == (hashlib.sha256(PHOTO).hexdigest(), "image/jpeg")
    assert (style["url"], style["sha256"]) == (studio.red_url, hashlib.sha256(RED).hexdigest())
    assert (style["error"], style["again"], style["seconds"] < 5) == (None, False, True)
    assert abs(datetime.fromisoformat(style["at"]) - datetime.now(UTC)) < timedelta(seconds=5)
    async with studio.session.delete(f"{studio.url}/__emu/turbotext/fetches") as response:
        assert response.status == 204
    assert await studio.read("turbotext/fetches") == []


@pytest.mark.parametrize(
    ("file", "status", "why"),
    [
        (web.Response(status=404), 404, "status 404"),
        (web.Response(status=410), 410, "status 410"),
        (web.Response(status=302, headers={"Location": "/photo.jpg"}), 302, "status 302"),
        (web.Response(body=bytes(MAX_BYTES + 1), content_type="image/jpeg"), 200, "more than 20971520 bytes"),
    ],
)
async def test_an_answer_that_is_no_file_is_a_url_error(
    studio: Studio, file: web.Response, status: int, why: str
) -> None:
    studio.files["gone.jpg"] = file
    assert await studio.create(url=f"{studio.host}/gone.jpg") == URL_ERROR
    (fetch,) = await studio.read("turbotext/fetches")
    assert (fetch["status"], fetch["error"]) == (status, why)
    assert (await studio.read("turbotext/stats"))["billed"] == 0
    assert await studio.violations() == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/photo.jpg", "https://127.0.0.1:9/a", "http://nowhere.invalid/a"])
async def test_nobody_at_the_url_is_a_url_error(studio: Studio, url: str) -> None:
    assert await studio.create(url=url) == URL_ERROR
    (fetch,) = await studio.read("turbotext/fetches")
    assert fetch["status"] is None
    assert fetch["error"]


FILES = {
    "JPEG cut in half": (bad_pictures.BROKEN["JPEG cut in half"](), "image/jpeg"),
    "HTML": (bad_pictures.FOREIGN["HTML"](), "image/jpeg"),
    "GIF": (bad_pictures.FOREIGN["GIF"](), "image/gif"),
    "HEIC": (bad_pictures.FOREIGN["HEIC"](), "image/heic"),
    "WEBP": (pictures.webp(), "image/webp"),
    "nothing": (b"", "image/jpeg"),
}


@pytest.mark.parametrize("name", FILES)
async def test_what_is_no_jpeg_and_no_png_is_a_url_error(studio: Studio, name: str) -> None:
    body, mime = FILES[name]
    studio.files["odd"] = web.Response(body=body, content_type=mime)
    assert await studio.create(url=f"{studio.host}/odd") == URL_ERROR
    assert await studio.create("mix_images", url=f"{studio.host}/odd", url_image_target=studio.photo_url) == URL_ERROR
    (message, _) = [entry["error"] for entry in await studio.read("requests")]
    assert message.startswith("url is no picture")


async def test_webp_is_taken_if_the_scenario_says_so(studio: Studio) -> None:
    studio.files["photo.webp"] = web.Response(body=pictures.webp(), content_type="image/webp")
    await studio.behave("ok", takes_webp=True)
    assert (await studio.picture(url=f"{studio.host}/photo.webp")).size == (pictures.WIDTH, pictures.HEIGHT)
    assert await studio.violations() == []


async def test_a_turned_photo_comes_back_upright(studio: Studio) -> None:
    studio.files["photo.jpg"] = photo_bytes(600, 400, orientation=6)
    await studio.behave("ok")
    assert (await studio.picture()).size == (400, 600)


async def test_a_wrong_content_type_is_a_violation_though_the_picture_is_taken(studio: Studio) -> None:
    studio.files["odd"] = web.Response(body=PHOTO, content_type="image/png")
    assert (await studio.create(url=f"{studio.host}/odd"))["success"]
    assert await studio.violations() == ["url is image/jpeg, but came as image/png"]


@asynccontextmanager
async def host_of(body: bytes | None) -> AsyncIterator[str]:
    """A URL that answers with these bytes and no Content-Length, or never."""
    hang_up = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if body is None:
            await hang_up.wait()
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nConnection: close\r\n\r\n" + body)
        with suppress(ConnectionError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/photo.jpg"
    finally:
        hang_up.set()
        server.close()
        await server.wait_closed()


async def test_a_missing_length_is_a_violation(studio: Studio) -> None:
    async with host_of(PHOTO) as url:
        assert (await studio.create(url=url))["success"]
    assert await studio.violations() == ["url came without Content-Length"]


async def test_a_silent_host_is_given_up() -> None:
    fetcher, note = Fetcher(timeout_seconds=0.2), dict[str, Any]()
    app = web.Application()
    app.cleanup_ctx.append(fetcher.lifespan)
    async with serving(app), host_of(None) as url:
        with pytest.raises(FetchFailed):
            await fetcher.fetch(url, note, keep=True)
    assert (note["status"], note["bytes"]) == (None, 0)
    assert 0.2 <= note["seconds"] < 2


async def test_an_instant_job_fetches_without_decoding(studio: Studio) -> None:
    studio.files["photo.jpg"] = b"not a picture"
    await studio.behave("instant", reconnects=0)
    assert (await studio.picture()).size == (1264, 848)
    (fetch,) = await studio.read("turbotext/fetches")
    assert fetch["sha256"] == hashlib.sha256(b"not a picture").hexdigest()


async def test_a_link_that_outlives_its_time_is_a_violation(studio: Studio) -> None:
    await studio.behave("ok", fetch_again_after_seconds=0.2, expires_after_seconds=0.2)
    await studio.create()
    await asyncio.sleep(0.5)
    first, second = await studio.read("turbotext/fetches")
    assert (first["again"], second["again"], second["status"]) == (False, True, 200)
    assert await studio.violations() == ["url could still be fetched after 0.2 s"]


async def test_a_link_that_dies_in_time_is_none(studio: Studio) -> None:
    await studio.behave("ok", fetch_again_after_seconds=0.2, expires_after_seconds=0.2)
    await studio.create()
    studio.files["photo.jpg"] = web.Response(status=410)
    await asyncio.sleep(0.5)
    assert [fetch["status"] for fetch in await studio.read("turbotext/fetches")] == [200, 410]
    assert await studio.violations() == []


async def test_a_link_that_dies_before_its_time_is_a_violation(studio: Studio) -> None:
    await studio.behave("ok", fetch_again_after_seconds=0.2, expires_after_seconds=60)
    await studio.create()
    studio.files["photo.jpg"] = web.Response(status=410)
    await asyncio.sleep(0.5)
    assert await studio.violations() == ["url could no longer be fetched after 0.2 s"]


async def test_a_late_fetch_without_an_expiry_only_is_listed(studio: Studio) -> None:
    await studio.behave("ok", fetch_again_after_seconds=0.1)
    await studio.create("deepfake_photo", url=studio.photo_url, url_image_target=studio.red_url)
    await asyncio.sleep(0.4)
    again = [fetch["url"] for fetch in await studio.read("turbotext/fetches") if fetch["again"]]
    assert sorted(again) == sorted([studio.photo_url, studio.red_url])
    assert await studio.violations() == []
