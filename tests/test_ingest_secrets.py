"""`POST /ingest/{slot_id}`: the password and the hash that come with a photo."""

import asyncio
import hashlib
import itertools

import httpx
import pytest
from sqlalchemy import update

from photochanger import app_settings
from photochanger.passwords import hash_password
from photochanger.tables import slot
from tests.booths import nothing_left, photo_bytes, post_photo, reason
from tests.raw_http import queued
from tests.serving import PASSWORD, Api

pytestmark = pytest.mark.anyio

PHOTO = photo_bytes()
Files = list[tuple[str, tuple[str | None, bytes] | tuple[str | None, bytes, str]]]
FILE: tuple[str, tuple[str | None, bytes, str]] = ("fileToUpload", ("a.jpg", PHOTO, "image/jpeg"))


async def test_any_other_password_is_wrong(api: Api, http: httpx.AsyncClient) -> None:
    others = [b"wrong", b"", b"\xff\xfe\xfd", b"x" * 1_000_000, PASSWORD + b" ", PASSWORD[:-1], PASSWORD.upper()]
    for password in others:
        parts: Files = [("password", (None, password)), ("hash", (None, b"0")), FILE]
        answer = await http.post(f"{api.url}/ingest/slot-001", files=parts)
        assert (password[:20], *reason(answer)) == (password[:20], 401, "invalid_password")
    nothing_left(api.media)


async def test_without_a_configured_password_every_upload_is_refused(api: Api, http: httpx.AsyncClient) -> None:
    async with api.db.begin() as conn:
        await app_settings.store(conn, "ingest.password_hash", None, by="test")
    assert reason(await post_photo(http, api.url, PHOTO)) == (401, "invalid_password")


async def test_twenty_wrong_passwords_stop_a_guesser_but_no_booth(api: Api, http: httpx.AsyncClient) -> None:
    good = await post_photo(http, api.url, PHOTO, hash_="0" * 32)
    assert reason(good) == (400, "hash_mismatch")
    for number in range(20):
        assert reason(await post_photo(http, api.url, PHOTO, password=b"guess%d" % number))[0] == 401
    stopped = await post_photo(http, api.url, PHOTO, password=b"guess")
    assert reason(stopped) == (429, "rate_limited")
    assert int(stopped.headers["retry-after"]) > 200
    still_good = await post_photo(http, api.url, PHOTO, hash_="0" * 32)
    assert reason(still_good) == (400, "hash_mismatch")


async def test_a_slots_own_password_replaces_the_global_one(api: Api, http: httpx.AsyncClient) -> None:
    own = slot.c.slot_id == "slot-003"
    async with api.db.begin() as conn:
        await conn.execute(update(slot).where(own).values(ingest_password_hash=hash_password(b"own", cost=4)))
    assert reason(await post_photo(http, api.url, PHOTO, slot="slot-003"))[0] == 401
    answer = await post_photo(http, api.url, PHOTO, slot="slot-003", password=b"own", hash_="0" * 32)
    assert reason(answer) == (400, "hash_mismatch")


async def test_a_hash_of_something_else_is_a_mismatch_that_names_its_setting(api: Api, http: httpx.AsyncClient) -> None:
    for given in ("", "0" * 32, "x" * 32, "0" * 40, "0" * 64, hashlib.md5(PHOTO).hexdigest()[:-1], "я"):
        answer = await post_photo(http, api.url, PHOTO, hash_=given)
        assert (given, *reason(answer)) == (given, 400, "hash_mismatch")
        assert "ingest.hash_check" in answer.json()["details"]
    nothing_left(api.media)


async def test_a_hash_is_known_by_its_length_in_any_case_and_any_place(api: Api, http: httpx.AsyncClient) -> None:
    tasks = []
    for number, (name, first) in enumerate(itertools.product(("md5", "sha1", "sha256"), (True, False)), start=1):
        digest = hashlib.new(name, PHOTO).hexdigest().upper()
        parts: Files = [("hash", (None, digest.encode())), FILE]
        parts = [("password", (None, PASSWORD)), *(parts if first else reversed(parts))]
        tasks.append(asyncio.create_task(http.post(f"{api.url}/ingest/slot-{number:03}", files=parts)))
        await queued(api, number)
    assert not any(task.done() for task in tasks), "they wait for their pictures"
    for task in tasks:
        task.cancel()


@pytest.mark.parametrize("hash_check", ["warn", "off"])
async def test_an_administrator_can_switch_the_hash_check(api: Api, http: httpx.AsyncClient, hash_check: str) -> None:
    async with api.db.begin() as conn:
        await app_settings.store(conn, "ingest.hash_check", hash_check, by="test")
    posting = asyncio.create_task(post_photo(http, api.url, PHOTO, hash_="whatever the booth sends"))
    await queued(api, 1)
    assert not posting.done()
    posting.cancel()
