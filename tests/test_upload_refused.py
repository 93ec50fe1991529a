"""Refused while the client still sends: it sees the status, and what it still sends is thrown away, up to a cap."""

import asyncio
import itertools

import pytest

from tests.booths import nothing_left, photo_bytes
from tests.raw_http import FORM_TYPE, LAST_CHUNK, Part, chunked, connect, form, parts, post, send_all_then_read
from tests.serving import PASSWORD, Api
from tests.upload_traces import MEGABYTE, limit_megabytes, nothing_stays, open_files

pytestmark = pytest.mark.anyio

PHOTO = photo_bytes()


async def test_a_chunked_body_is_refused_as_soon_as_the_photo_is_over_the_cap(api: Api) -> None:
    await limit_megabytes(api, 1)
    password, hash_, file = parts(PHOTO + bytes(MEGABYTE))
    body = form(password, hash_, file)
    over_the_cap = body.index(PHOTO) + MEGABYTE
    async with connect(api.url) as wire:
        await wire.send(post("/ingest/slot-001", FORM_TYPE))
        await wire.send(chunked(body[:over_the_cap]))
        assert await wire.silent_for(0.3)
        await wire.send(chunked(body[over_the_cap : over_the_cap + 100]))  # a parser holds a boundary's length back
        assert (await wire.answer(seconds=1)).reason() == (413, "payload_too_large")
        assert open_files(api) == []
        nothing_left(api.media)


async def test_form_fields_alone_cannot_go_over_the_cap_either(api: Api) -> None:
    await limit_megabytes(api, 1)
    fields: list[Part] = [(f"field{number}", bytes(60_000)) for number in range(30)]
    async with connect(api.url) as wire:
        await wire.send(post("/ingest/slot-001", FORM_TYPE) + chunked(form(("password", PASSWORD), *fields)))
        assert (await wire.answer(seconds=2)).reason() == (413, "payload_too_large")


@pytest.mark.parametrize("connection", [b"keep-alive", b"close"])
async def test_a_client_that_sends_to_the_end_before_it_reads_sees_why_it_is_refused(
    api: Api, connection: bytes
) -> None:
    body = form(*parts(PHOTO + bytes(10 * MEGABYTE), password=b"wrong"))
    request = post("/ingest/slot-001", FORM_TYPE, b"Connection: " + connection, length=len(body)) + body
    for _ in range(5):
        answer = await asyncio.to_thread(send_all_then_read, api.url, request)
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert (b"connection: close" in answer) == (connection == b"close")
    await nothing_stays(api)


async def test_a_chunked_body_over_the_cap_ends_with_its_status_and_no_reset(api: Api) -> None:
    await limit_megabytes(api, 1)
    body = chunked(form(*parts(PHOTO + bytes(6 * MEGABYTE)))) + LAST_CHUNK
    for _ in range(5):
        answer = await asyncio.to_thread(send_all_then_read, api.url, post("/ingest/slot-001", FORM_TYPE) + body)
        assert answer.startswith(b"HTTP/1.1 413 ")
    await nothing_stays(api)


async def test_a_wrong_password_is_answered_while_the_upload_still_runs(api: Api) -> None:
    body = form(*parts(PHOTO + bytes(10 * MEGABYTE), password=b"wrong"))
    async with connect(api.url) as wire:
        await wire.send(post("/ingest/slot-001", FORM_TYPE, length=len(body)) + body[:2000])
        assert (await wire.answer(seconds=2)).reason() == (401, "invalid_password")
        await wire.send(body[2000:])
        await wire.send(post("/ingest/slot-016", length=0))  # the whole body was thrown away: the connection lives
        assert (await wire.answer(seconds=2)).reason() == (404, "slot_not_found")


async def test_a_client_that_never_stops_sending_is_cut_off_at_the_cap(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.refusals.DISCARD_BYTES", MEGABYTE)
    async with connect(api.url) as wire:
        await wire.send(post("/ingest/slot-016", FORM_TYPE))
        sending = asyncio.create_task(wire.send_on(itertools.repeat(chunked(bytes(65536)), 1000)))
        assert (await wire.answer(seconds=2)).reason() == (404, "slot_not_found")
        await wire.ends(seconds=3)
        assert await asyncio.wait_for(sending, 3) < 30 * MEGABYTE


async def test_a_refused_client_that_drips_on_is_cut_off_after_a_while(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.refusals.DISCARD_SECONDS", 0.4)
    async with connect(api.url) as wire:
        await wire.send(post("/ingest/slot-016", FORM_TYPE, length=MEGABYTE))
        dripping = asyncio.create_task(wire.send_on(itertools.repeat(b"x", 1000), pause_seconds=0.02))
        assert (await wire.answer(seconds=2)).reason() == (404, "slot_not_found")
        await wire.ends(seconds=2)
        await asyncio.wait_for(dripping, 2)
