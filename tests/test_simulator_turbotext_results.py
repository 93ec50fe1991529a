"""The Turbotext simulator's finished pictures: public for a while, and at their worst when a scenario says so."""

import asyncio
import io
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from PIL import Image

from tests.simulated import opened
from tests.test_simulator_turbotext import BEARER, Studio, opened_studio

pytestmark = pytest.mark.anyio


@pytest.fixture
async def studio(anyio_backend: str) -> AsyncIterator[Studio]:
    async with opened_studio() as studio:
        yield studio


async def link_of(studio: Studio, name: str, **given: Any) -> str:
    """A finished job's link."""
    await studio.behave(name, reconnects=0, **given)
    return str((await studio.result())["uploaded_image"])


async def test_a_picture_is_public_and_takes_head(studio: Studio) -> None:
    link = await link_of(studio, "ok")
    _, data, _ = await studio.download(link)
    async with studio.session.head(link) as response:
        assert (response.status, response.content_type) == (200, "image/jpeg")
        assert response.content_length == len(data)
    assert await studio.violations() == []


async def test_a_key_sent_along_unasked_is_a_violation(studio: Studio) -> None:
    link = await link_of(studio, "ok")
    assert (await studio.download(link, headers=BEARER))[0] == 200
    assert await studio.violations() == ["the API key was sent to a download that asked for none"]


async def test_a_picture_can_be_behind_the_key_of_its_job(studio: Studio) -> None:
    link = await link_of(studio, "result_needs_key")
    assert (await studio.download(link))[0] == 401
    assert (await studio.download(link, headers={"Authorization": "Bearer another-key"}))[0] == 401
    status, data, _ = await studio.download(link, headers=BEARER)
    assert (status, opened(data).size) == (200, (600, 400))
    assert await studio.violations() == []


async def test_a_key_sent_before_it_is_demanded_is_a_violation(studio: Studio) -> None:
    link = await link_of(studio, "result_needs_key")
    assert (await studio.download(link, headers=BEARER))[0] == 200
    assert len(await studio.violations()) == 1


async def test_a_picture_has_its_lifetime(studio: Studio) -> None:
    link = await link_of(studio, "ok", lifetime_seconds=0.5)
    assert (await studio.download(link))[0] == 200
    await asyncio.sleep(0.6)
    assert (await studio.download(link))[0] == 410


async def test_a_picture_can_be_late_or_gone(studio: Studio) -> None:
    link = await link_of(studio, "result_not_found_at_first", misses=2)
    assert [(await studio.download(link))[0] for _ in range(4)] == [404, 404, 200, 200]
    assert (await studio.download(await link_of(studio, "result_gone")))[0] == 410
    assert await studio.violations() == []


async def test_a_download_can_be_slow_and_whole(studio: Studio) -> None:
    link = await link_of(studio, "slow_download", download_seconds=0.6)
    started = time.perf_counter()
    _, data, _ = await studio.download(link)
    assert time.perf_counter() - started >= 0.5
    assert opened(data).size == (600, 400)
    with pytest.raises(TimeoutError):
        await studio.download(link, timeout=aiohttp.ClientTimeout(total=0.3))


@pytest.mark.parametrize("declared", ["text/html", "image/jpeg"])
async def test_a_picture_can_be_a_page_under_either_type(studio: Studio, declared: str) -> None:
    link = await link_of(studio, "result_not_a_picture", declared=declared)
    status, data, mime = await studio.download(link)
    assert (status, mime, data[:9]) == (200, declared, b"<!DOCTYPE")


async def test_a_picture_can_be_cut(studio: Studio) -> None:
    _, data, _ = await studio.download(await link_of(studio, "result_cut"))
    with pytest.raises(OSError, match="truncated"):
        opened(data)


async def test_a_picture_can_be_a_bomb(studio: Studio) -> None:
    _, data, mime = await studio.download(await link_of(studio, "result_bomb", kind="webp", side_px=9000))
    assert (len(data) < 100, mime) == (True, "image/webp")
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (9000, 9000)


async def test_a_picture_can_have_no_end_in_sight(studio: Studio) -> None:
    _, data, _ = await studio.download(await link_of(studio, "result_huge", megabytes=3))
    assert len(data) == 3 * 1024 * 1024


async def test_a_picture_can_be_said_to_be_anywhere(studio: Studio) -> None:
    assert await link_of(studio, "result_elsewhere") == "http://169.254.169.254/latest/meta-data/"
    assert await link_of(studio, "result_elsewhere", url=studio.red_url) == studio.red_url


async def test_a_link_can_lead_away(studio: Studio) -> None:
    link = await link_of(studio, "result_elsewhere", url=studio.red_url, redirect=True)
    assert link.startswith(studio.url)
    async with studio.session.get(link, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (302, studio.red_url)
