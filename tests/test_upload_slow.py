"""Uploads that take their time: given up when they stall or drip, and not before."""

import asyncio

import pytest

from photochanger import app_settings
from tests.booths import photo_bytes
from tests.raw_http import FORM_TYPE, connect, form, parts, pieces, post, queued
from tests.serving import Api
from tests.upload_traces import nothing_stays

pytestmark = pytest.mark.anyio

PHOTO = photo_bytes()


async def test_a_body_that_stalls_is_given_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.upload.SILENCE_SECONDS", 0.3)
    monkeypatch.setattr("api.refusals.DISCARD_SECONDS", 0.3)
    body = form(*parts(PHOTO))
    async with connect(api.url) as wire:
        await wire.send(post("/ingest/slot-001", FORM_TYPE, length=len(body)) + body[:1000])
        assert (await wire.answer(seconds=2)).reason() == (408, "upload_stalled")
        await wire.ends(seconds=2)
    await nothing_stays(api)


async def test_a_body_that_drips_is_given_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.upload.RATE_WINDOW_SECONDS", 0.5)
    body = form(*parts(PHOTO))
    async with connect(api.url) as wire:
        await wire.send(post("/ingest/slot-001", FORM_TYPE, length=len(body)))
        dripping = asyncio.create_task(wire.send_on(pieces(body, 50), pause_seconds=0.02))
        assert (await wire.answer(seconds=3)).reason() == (408, "upload_stalled")
        dripping.cancel()
    await nothing_stays(api)


async def test_a_slow_upload_that_is_fast_enough_is_not_given_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.upload.RATE_WINDOW_SECONDS", 0.3)
    body = form(*parts(PHOTO + bytes(30_000)))
    async with connect(api.url) as wire:
        await wire.send(post("/ingest/slot-001", FORM_TYPE, length=len(body)))
        assert await wire.send_on(pieces(body, 4000), pause_seconds=0.02) == len(body)
        await queued(api)


async def test_an_upload_that_takes_all_the_time_there_was_ends_in_504_without_a_job(api: Api) -> None:
    async with api.db.begin() as conn:
        await app_settings.store(conn, "sync_response_seconds", 1, by="test")
    body = form(*parts(PHOTO))
    async with connect(api.url) as wire:
        await wire.send(post("/ingest/slot-001", FORM_TYPE, length=len(body)))
        dripping = asyncio.create_task(wire.send_on(pieces(body, 50), pause_seconds=0.02))
        answer = await wire.answer(seconds=2)
        dripping.cancel()
    assert answer.reason() == (504, "timeout")
    assert answer.json()["status"] == "timeout"
    assert "job_id" not in answer.json()
    await nothing_stays(api)
