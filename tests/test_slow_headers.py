"""Clients whose headers drip or never come, and connections that idle: cut off in time, and no others."""

import asyncio

import pytest

from photochanger.providers import Providers
from tests.booths import photo_bytes
from tests.raw_http import FORM_TYPE, connect, form, parts, pieces, post, queued
from tests.results import claimed_job, finish_job
from tests.serving import Api
from tests.wellness import LIFE, serving

pytestmark = pytest.mark.anyio


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.protocol.HEADER_SECONDS", 0.5)


PHOTO = photo_bytes()


@pytest.mark.usefixtures("hurried")
async def test_a_client_whose_headers_never_come_is_cut_off(api: Api) -> None:
    async def is_cut_off(sent: bytes) -> None:
        async with connect(api.url) as wire:
            await wire.send(sent)
            assert await wire.silent_for(0.3), sent
            assert await wire.ends(seconds=1) == b"", sent

    await asyncio.gather(*map(is_cut_off, [b"", b"\r\n", LIFE[:10], LIFE[:-2], LIFE[:-1]]))


@pytest.mark.usefixtures("hurried")
async def test_a_client_that_drips_its_headers_is_cut_off_however_long_they_are(api: Api) -> None:
    async with connect(api.url) as wire:
        dripping = asyncio.create_task(wire.send_on(pieces(LIFE[:-2] + b"X: " + b"x" * 4000, 1), pause_seconds=0.02))
        assert await wire.ends(seconds=1.2) == b""
        await asyncio.wait_for(dripping, 1)


@pytest.mark.usefixtures("hurried")
async def test_the_second_requests_headers_are_not_waited_for_either(api: Api) -> None:
    async def is_cut_off(sent: bytes) -> bool:
        async with connect(api.url) as wire:
            await wire.send(LIFE)
            assert (await wire.answer()).status == 200
            await wire.send(sent)
            try:
                return await wire.ends(seconds=1.5) == b""
            except TimeoutError:
                return False

    beginnings = [LIFE[:10], LIFE[:-2], b"\r\n" + LIFE[:10], b"\r\n"]
    cut_off = await asyncio.gather(*map(is_cut_off, beginnings))
    assert dict(zip(beginnings, cut_off, strict=True)) == dict.fromkeys(beginnings, True)


@pytest.mark.usefixtures("hurried")
async def test_a_kept_connection_may_idle_between_two_requests_longer_than_headers_may_take(api: Api) -> None:
    async with connect(api.url) as wire:
        for _ in range(2):
            await wire.send(LIFE)
            assert (await wire.answer()).status == 200
            assert await wire.silent_for(0.8)


@pytest.mark.usefixtures("hurried")
async def test_a_body_and_a_wait_may_take_longer_than_headers_may(api: Api) -> None:
    body = form(*parts(PHOTO))
    async with connect(api.url) as wire:
        await wire.send(post("/ingest/slot-001", FORM_TYPE, length=len(body)) + body[:1000])
        assert await wire.silent_for(0.8)
        await wire.send(body[1000:])
        await queued(api)
        assert await wire.silent_for(0.8)
        assert await finish_job(api, await claimed_job(api), PHOTO)
        assert (await wire.answer()).body == PHOTO


async def test_an_idle_connection_is_closed_in_the_end(api: Api, known_providers: Providers, database_url: str) -> None:
    async with (
        serving(api.services.settings, known_providers, database_url, timeout_keep_alive=1) as url,
        connect(url) as wire,
    ):
        await wire.send(LIFE)
        assert (await wire.answer()).status == 200
        assert await wire.silent_for(0.7)
        assert await wire.ends(seconds=1) == b""
