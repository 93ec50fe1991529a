"""`POST /ingest/{slot_id}` byte by byte: what a booth on bad Wi-Fi, a stubborn client or none at all brings about."""

import asyncio
import hashlib
import itertools
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from api.upload import MAX_FORM_BYTES
from photochanger import app_settings
from photochanger.tables import slot
from tests.booths import nothing_left, photo_bytes
from tests.pictures import photo as large_photo
from tests.raw_http import (
    FORM_TYPE,
    LAST_CHUNK,
    Part,
    Wire,
    chunked,
    connect,
    eventually,
    form,
    jobs_in,
    parts,
    pieces,
    post,
    queued,
    send_all_then_read,
)
from tests.results import claimed_job, finish_job
from tests.serving import PASSWORD, Api

pytestmark = pytest.mark.anyio

PHOTO = photo_bytes()
MEGABYTE = 1024 * 1024
EXPECT = b"Expect: 100-continue"


async def limit_megabytes(api: Api, megabytes: int) -> None:
    async with api.db.begin() as conn:
        await conn.execute(update(slot).where(slot.c.slot_id == "slot-001").values(size_limit_mb=megabytes))


def descriptors() -> list[str]:
    """What this process has open."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(entry.readlink()))
    return found


def open_files(api: Api) -> list[str]:
    """Of it, what lies under MEDIA_ROOT."""
    return [target for target in descriptors() if target.startswith(str(api.media.root))]


async def nothing_stays(api: Api) -> None:
    """No job, no file, no descriptor, once the request has ended."""
    await eventually(lambda: not open_files(api) and not list(api.media.folder("ingest").iterdir()))
    nothing_left(api.media)
    assert await jobs_in(api) == 0


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


# --- refused while the client still sends


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


# --- forms


async def test_the_fields_come_in_any_order_the_file_first_as_well(api: Api) -> None:
    for number, order in enumerate(itertools.permutations(parts(PHOTO)), start=1):
        async with connect(api.url) as wire:
            body = form(*order)
            await wire.send(post(f"/ingest/slot-{number:03}", FORM_TYPE, length=len(body)) + body)
            await queued(api, number)


async def test_a_form_may_come_byte_by_byte(api: Api) -> None:
    password, hash_, file = parts(PHOTO)
    small, photo = form(password, hash_, file)[:420], form(password, hash_, file)[420:]
    async with connect(api.url) as wire:
        await wire.send(post("/ingest/slot-001", FORM_TYPE, length=len(small) + len(photo)))
        await wire.send_on(pieces(small, 1))
        await wire.send(photo)
        await queued(api)


async def test_a_preamble_and_an_epilogue_do_no_harm(api: Api) -> None:
    body = b"This is a form.\r\n" + form(*parts(PHOTO)) + b"That was a form.\r\n"
    async with connect(api.url) as wire:
        await wire.send(post("/ingest/slot-001", FORM_TYPE, length=len(body)) + body)
        await queued(api)


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


# --- clients that go away


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


# --- time


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
