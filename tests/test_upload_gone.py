"""Clients that go away, before their upload is complete and after it."""

import asyncio
import itertools
import secrets

import httpx
import pytest

from tests.booths import photo_bytes
from tests.raw_http import FORM_TYPE, Wire, connect, eventually, form, jobs_in, parts, post, queued
from tests.results import claimed_job, finish_job
from tests.serving import Api
from tests.upload_traces import MEGABYTE, descriptors, nothing_stays, open_files

pytestmark = pytest.mark.anyio

PHOTO = photo_bytes()


def leave(wire: Wire, how: str) -> None:
    """Go away in one of three ways."""
    {"closes": wire.writer.close, "half-closes": wire.half_close, "resets": wire.reset}[how]()


WAYS = ("closes", "half-closes", "resets")


async def test_a_client_that_is_gone_before_its_body_is_complete_leaves_nothing(api: Api) -> None:
    body = form(*parts(PHOTO + bytes(MEGABYTE)))
    for how, missing in itertools.product(WAYS, (len(body) // 2, 3)):
        async with connect(api.url) as wire:
            await wire.send(post("/ingest/slot-001", FORM_TYPE, length=len(body)) + body[:-missing])
            await eventually(lambda: bool(list(api.media.folder("ingest").iterdir())))
            leave(wire, how)
            await nothing_stays(api)


async def test_a_hundred_clients_that_vanish_leave_no_descriptor_behind(api: Api) -> None:
    body = form(*parts(PHOTO + bytes(MEGABYTE)))
    before = len(descriptors())

    async def vanish() -> None:
        async with connect(api.url) as wire:
            await wire.send(
                post("/ingest/slot-001", FORM_TYPE, length=len(body)) + body[: secrets.randbelow(len(body))]
            )
            wire.reset()

    await asyncio.gather(*(vanish() for _ in range(100)))
    await nothing_stays(api)
    most = before + 8  # the pool may have opened its connections meanwhile
    await eventually(lambda: len(descriptors()) <= most)


async def test_clients_that_are_gone_with_their_last_byte_leave_a_whole_job_or_none(api: Api) -> None:
    async def post_and_go(number: int) -> None:
        body = form(*parts(PHOTO + bytes([number])))
        async with connect(api.url) as wire:
            await wire.send(post(f"/ingest/slot-{number % 15 + 1:03}", FORM_TYPE, length=len(body)) + body)

    await asyncio.gather(*(post_and_go(number) for number in range(30)))

    async def settled() -> bool:
        return len(api.services.waiting) == await jobs_in(api) == len(list(api.media.folder("ingest").iterdir()))

    await eventually(settled)
    assert open_files(api) == []


async def test_a_photo_goes_on_when_its_booth_is_gone_and_its_result_is_kept(api: Api, http: httpx.AsyncClient) -> None:
    for number, how in enumerate(WAYS, start=1):
        body = form(*parts(PHOTO + bytes([number])))
        async with connect(api.url) as wire:
            await wire.send(post("/ingest/slot-001", FORM_TYPE, length=len(body)) + body)
            await queued(api, number)
            leave(wire, how)
        claimed = await claimed_job(api)
        picture = photo_bytes(seed=3)
        assert await finish_job(api, claimed, picture)
        answer = await http.get(f"{api.url}/public/results/{claimed.job_id}")
        assert (answer.status_code, answer.content) == (200, picture)
