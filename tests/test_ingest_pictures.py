"""What the API finds out about a picture before it queues it: from its content and its header, decoding nothing.

Damage that only a decode finds is queued here and found by the runner.
"""

import asyncio
import itertools
from collections.abc import Mapping
from functools import partial

import httpx
import pytest
from sqlalchemy import func, select, update

from photochanger import app_settings
from photochanger.tables import job_input, slot
from tests import bad_pictures, pictures
from tests.booths import nothing_left, post_patiently, post_photo
from tests.lags import HEALTH_SECONDS, health
from tests.pictures import Make
from tests.raw_http import eventually, jobs_in
from tests.serving import Api

pytestmark = pytest.mark.anyio

UNREADABLE = ("empty file", "JPEG magic only", "PNG magic only", "WEBP magic only")
"""Of the broken ones, those whose header already says nothing."""
Outcome = tuple[int, str]


async def refused(api: Api, http: httpx.AsyncClient, files: Mapping[str, Make]) -> dict[str, Outcome]:
    """What becomes of each; after each answer nothing is left and the API is well."""
    outcomes = {}
    for name, make in files.items():
        answer = await asyncio.wait_for(post_photo(http, api.url, make()), 5)
        outcomes[name] = answer.status_code, answer.json()["failure_reason"]
        assert "Traceback" not in answer.text, name
        nothing_left(api.media)
        await healthy(api, http)
    assert await jobs_in(api) == 0
    return outcomes


async def healthy(api: Api, http: httpx.AsyncClient) -> None:
    status, seconds = await health(http, api)
    assert (status, seconds < HEALTH_SECONDS) == (200, True), seconds


def all_like(files: Mapping[str, Make], outcome: Outcome) -> dict[str, Outcome]:
    return dict.fromkeys(files, outcome)


async def test_what_is_no_jpeg_png_or_webp_is_unsupported_whatever_it_is_called(
    api: Api, http: httpx.AsyncClient
) -> None:
    outcomes = await refused(api, http, bad_pictures.FOREIGN)
    assert outcomes == all_like(bad_pictures.FOREIGN, (415, "unsupported_media_type"))


async def test_a_header_over_64_megapixels_is_too_large(api: Api, http: httpx.AsyncClient) -> None:
    outcomes = await refused(api, http, bad_pictures.TOO_LARGE)
    assert outcomes == all_like(bad_pictures.TOO_LARGE, (413, "payload_too_large"))


async def test_a_misshapen_picture_is_invalid(api: Api, http: httpx.AsyncClient) -> None:
    outcomes = await refused(api, http, bad_pictures.MISSHAPEN)
    assert outcomes == all_like(bad_pictures.MISSHAPEN, (400, "invalid_image"))


async def test_a_picture_whose_header_cannot_be_read_is_invalid(api: Api, http: httpx.AsyncClient) -> None:
    files = {name: bad_pictures.BROKEN[name] for name in UNREADABLE}
    assert await refused(api, http, files) == all_like(files, (400, "invalid_image"))


async def taken_in(api: Api, http: httpx.AsyncClient, files: Mapping[str, Make]) -> dict[str, str]:
    """All of them posted over all slots; the type that each was found to be, by its name."""
    async with api.db.begin() as conn:
        await app_settings.store(conn, "ingest.photos_in_work_per_slot", 100, by="test")
    slots = itertools.cycle(f"slot-{number:03}" for number in range(1, 16))
    tasks = [
        asyncio.create_task(post_photo(http, api.url, make(), slot=slot_id, fields={"name": name}))
        for slot_id, (name, make) in zip(slots, files.items(), strict=False)
    ]

    async def all_there() -> bool:
        for task in tasks:
            assert not task.done(), task.result().text
        return await jobs_in(api) == len(files)

    await eventually(all_there)
    query = select(job_input.c.booth_fields["name"].astext, job_input.c.photo_mime)
    async with api.db.at_once() as conn:
        found = {row[0]: row[1] for row in await conn.execute(query)}
    for task in tasks:
        task.cancel()
    return found


def kind_of(name: str) -> str:
    """The type that a picture's name promises."""
    for sign, mime in {"PNG": "image/png", "WEBP": "image/webp"}.items():
        if sign in name:
            return mime
    return "image/jpeg"


async def test_odd_but_good_pictures_are_taken_in_as_what_they_are(api: Api, http: httpx.AsyncClient) -> None:
    found = await taken_in(api, http, pictures.ODD_BUT_GOOD)
    assert found == {name: kind_of(name) for name in pictures.ODD_BUT_GOOD}


async def test_turned_and_talkative_photos_are_taken_in(api: Api, http: httpx.AsyncClient) -> None:
    files: dict[str, Make] = {f"orientation {number}": partial(pictures.turned, number) for number in range(10)}
    files |= {f"talkative {mime}": partial(make, 6) for mime, make in pictures.TALKATIVE.items()}
    files |= {"photo": pictures.photo}
    found = await taken_in(api, http, files)
    assert found.keys() == files.keys()
    assert {found[f"talkative {mime}"] for mime in pictures.TALKATIVE} == set(pictures.TALKATIVE)


async def test_what_only_a_decode_finds_broken_is_refused_by_its_header_or_queued_and_never_a_crash(
    api: Api, http: httpx.AsyncClient
) -> None:
    async with api.db.begin() as conn:
        await app_settings.store(conn, "ingest.photos_in_work_per_slot", 100, by="test")
    broken = {name: make for name, make in bad_pictures.BROKEN.items() if name not in UNREADABLE}
    tasks = {name: asyncio.create_task(post_photo(http, api.url, make())) for name, make in broken.items()}

    async def all_decided() -> bool:
        return await jobs_in(api) + sum(task.done() for task in tasks.values()) == len(broken)

    await eventually(all_decided)
    for name, task in tasks.items():
        if task.done():
            answer = task.result()
            assert (name, answer.status_code, answer.json()["failure_reason"]) == (name, 400, "invalid_image")
        task.cancel()
    assert len(list(api.media.folder("ingest").iterdir())) == await jobs_in(api)
    await healthy(api, http)


async def test_seeded_damage_to_headers_is_never_a_crash(api: Api, http: httpx.AsyncClient) -> None:
    async with api.db.begin() as conn:
        await app_settings.store(conn, "ingest.photos_in_work_per_slot", 1000, by="test")
        await conn.execute(update(slot).values(size_limit_mb=1))
    files = [
        damaged
        for seed, make in enumerate(pictures.KINDS.values())
        for damaged in bad_pictures.mutations(make(), count=40, seed=seed, within=64)
    ]
    tasks = [asyncio.create_task(post_patiently(http, api.url, file)) for file in files]

    async def all_decided() -> bool:
        waiting = len(api.services.waiting)
        return waiting + sum(task.done() for task in tasks) == len(files)

    await eventually(all_decided, seconds=60)
    allowed = {(400, "invalid_image"), (413, "payload_too_large"), (415, "unsupported_media_type")}
    answers = [task.result() for task in tasks if task.done()]
    assert {(answer.status_code, answer.json()["failure_reason"]) for answer in answers} <= allowed
    for task in tasks:
        task.cancel()
    async with api.db.at_once() as conn:
        paths = set((await conn.execute(select(func.split_part(job_input.c.photo_path, "/", 2)))).scalars())
    assert {path.name for path in api.media.folder("ingest").iterdir()} == paths
    await healthy(api, http)
