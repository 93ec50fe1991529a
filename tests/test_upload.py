"""`POST /ingest/{slot_id}` byte by byte: `100 Continue`, and forms in any order and any pieces."""

import asyncio
import hashlib
import itertools
import shutil
from pathlib import Path

import pytest
from sqlalchemy import select, update

from api.upload import MAX_FORM_BYTES
from photochanger.tables import job_input, slot
from tests.booths import photo_bytes
from tests.pictures import photo as large_photo
from tests.raw_http import FORM_TYPE, connect, form, parts, pieces, post, queued
from tests.results import claimed_job, finish_job
from tests.serving import PASSWORD, Api
from tests.upload_traces import MEGABYTE, nothing_stays

pytestmark = pytest.mark.anyio

PHOTO = photo_bytes()
EXPECT = b"Expect: 100-continue"


async def finish_next(api: Api) -> bytes:
    picture = photo_bytes(seed=2)
    assert await finish_job(api, await claimed_job(api), picture)
    return picture


# --- Expect: 100-continue


async def test_a_booth_that_waits_for_100_continue_gets_it_and_then_its_picture(api: Api) -> None:
    body = form(*parts(PHOTO))
    async with connect(api.url) as wire:
        await wire.send(post("/ingest/slot-001", FORM_TYPE, EXPECT, length=len(body)))
        assert await wire.head() == (100, {})
        await wire.send(body)
        await queued(api)
        picture = await finish_next(api)
        answer = await wire.answer()
        assert (answer.status, answer.body) == (200, picture)


async def test_what_is_refused_by_its_headers_is_refused_without_100_continue(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.refusals.DISCARD_SECONDS", 0.3)
    async with api.db.begin() as conn:
        await conn.execute(update(slot).where(slot.c.slot_id == "slot-002").values(is_active=False))
    too_long = 15 * MEGABYTE + MAX_FORM_BYTES + 1
    for head, reason in {
        post("/ingest/slot-016", FORM_TYPE, EXPECT, length=1000): (404, "slot_not_found"),
        post("/ingest/slot-002", FORM_TYPE, EXPECT, length=1000): (404, "slot_disabled"),
        post("/ingest/slot-001", FORM_TYPE, EXPECT, length=too_long): (413, "payload_too_large"),
        post("/ingest/slot-001", FORM_TYPE, EXPECT, b"Idempotency-Key: " + b"x" * 256): (400, "invalid_request"),
        post("/ingest/slot-001", FORM_TYPE, EXPECT, b"Idempotency-Key:", length=9): (400, "invalid_request"),
    }.items():
        async with connect(api.url) as wire:
            await wire.send(head)
            answer = await wire.answer(seconds=2)
            assert (answer.reason(), answer.interim) == (reason, [])
            assert await wire.ends(seconds=2) == b""  # the body that never came is not waited for
    await nothing_stays(api)


async def test_no_room_on_the_disk_is_said_without_100_continue(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("photochanger.media.LEAST_FREE_BYTES", 1 << 60)
    async with connect(api.url) as wire:
        await wire.send(post("/ingest/slot-001", FORM_TYPE, EXPECT, length=1000))
        answer = await wire.answer(seconds=2)
    assert (answer.reason(), answer.interim) == ((503, "storage_full"), [])


# --- forms


async def photos_taken_in(api: Api) -> set[str]:
    """The SHA-256 of each."""
    async with api.db.at_once() as conn:
        return {found.hex() for found in (await conn.execute(select(job_input.c.photo_sha256))).scalars()}


THE_PHOTO = {hashlib.sha256(PHOTO).hexdigest()}


async def test_the_fields_come_in_any_order_the_file_first_as_well(api: Api) -> None:
    for number, order in enumerate(itertools.permutations(parts(PHOTO)), start=1):
        async with connect(api.url) as wire:
            body = form(*order)
            await wire.send(post(f"/ingest/slot-{number:03}", FORM_TYPE, length=len(body)) + body)
            await queued(api, number)
    assert await photos_taken_in(api) == THE_PHOTO


async def test_a_form_may_come_byte_by_byte(api: Api) -> None:
    password, hash_, file = parts(PHOTO)
    small, photo = form(password, hash_, file)[:420], form(password, hash_, file)[420:]
    async with connect(api.url) as wire:
        await wire.send(post("/ingest/slot-001", FORM_TYPE, length=len(small) + len(photo)))
        await wire.send_on(pieces(small, 1))
        await wire.send(photo)
        await queued(api)
    assert await photos_taken_in(api) == THE_PHOTO


async def test_a_preamble_and_an_epilogue_do_no_harm(api: Api) -> None:
    body = b"This is a form.\r\n" + form(*parts(PHOTO)) + b"That was a form.\r\n"
    async with connect(api.url) as wire:
        await wire.send(post("/ingest/slot-001", FORM_TYPE, length=len(body)) + body)
        await queued(api)
    assert await photos_taken_in(api) == THE_PHOTO


async def test_a_file_name_in_a_windows_code_page_is_no_reason_to_refuse_the_photo(api: Api) -> None:
    for file_name in ("фото.jpg".encode(), b"C:\\Photos\\IMG.JPG", "фото.jpg".encode("cp1251"), b"\xff"):
        body = form(*parts(PHOTO, hash_=b"0" * 32)).replace(b"IMG_0001.JPG", file_name)
        async with connect(api.url) as wire:
            await wire.send(post("/ingest/slot-001", FORM_TYPE, length=len(body)) + body)
            reason = (await wire.answer()).reason()
            assert (file_name, reason) == (file_name, (400, "hash_mismatch"))  # all the rest was read


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
async def test_curl_posts_a_booths_form_with_expect_and_gets_the_picture(api: Api, tmp_path: Path) -> None:
    photo = large_photo()
    assert len(photo) > MEGABYTE
    (tmp_path / "IMG_0001.JPG").write_bytes(photo)
    fields = {"password": PASSWORD.decode(), "hash": hashlib.md5(photo).hexdigest(), "name": "Анна", "model": "EOS R"}
    arguments = [argument for name, value in fields.items() for argument in ("-F", f"{name}={value}")]
    arguments += ["-F", f"fileToUpload=@{tmp_path}/IMG_0001.JPG;type=image/jpeg", "-o", f"{tmp_path}/out.jpg"]
    curl = await asyncio.create_subprocess_exec(
        "curl", "-sSv", "--noproxy", "*", "--http1.1", "--expect100-timeout", "20", *arguments,
        f"{api.url}/ingest/slot-001", stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    await queued(api)
    picture = await finish_next(api)
    _, said = await asyncio.wait_for(curl.communicate(), 20)
    assert curl.returncode == 0
    assert b"< HTTP/1.1 100 Continue" in said
    assert b"< HTTP/1.1 200 OK" in said
    assert (tmp_path / "out.jpg").read_bytes() == picture
