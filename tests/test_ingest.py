"""`POST /ingest/{slot_id}`: what is refused, in which order, and that nothing of it stays."""

import asyncio
import hashlib
import io
import secrets

import httpx
import pytest
from PIL import Image
from sqlalchemy import func, select, update

from photochanger.tables import job_input, slot
from tests.booths import nothing_left, photo_bytes, post_patiently, post_photo, reason
from tests.raw_http import eventually, queued
from tests.serving import PASSWORD, Api

pytestmark = pytest.mark.anyio

PHOTO = photo_bytes()
Files = list[tuple[str, tuple[str | None, bytes] | tuple[str | None, bytes, str]]]
FILE: tuple[str, tuple[str | None, bytes, str]] = ("fileToUpload", ("a.jpg", PHOTO, "image/jpeg"))


async def test_an_unknown_slot_is_not_found(api: Api, http: httpx.AsyncClient) -> None:
    for slot_id in (
        "slot-016",
        "slot-000",
        "slot-1",
        "../x",
        "%2e%2e",
        "x" * 300,
        "slot-001%00",
        "слот-001",
        "slot-001/x",
    ):
        answer = await http.post(f"{api.url}/ingest/{slot_id}", content=b"anything")
        assert (slot_id, answer.status_code) == (slot_id, 404)
        assert answer.json()["failure_reason"] in {"slot_not_found", "not_found"}


async def test_a_disabled_slot_says_so_before_the_body_is_read(api: Api, http: httpx.AsyncClient) -> None:
    async with api.db.begin() as conn:
        await conn.execute(update(slot).where(slot.c.slot_id == "slot-002").values(is_active=False))
    answer = await post_photo(http, api.url, PHOTO, slot="slot-002")
    assert reason(answer) == (404, "slot_disabled")
    nothing_left(api.media)


BROKEN_FORMS = [
    (None, b"x"),
    ("application/x-www-form-urlencoded", b"password=x&hash=y"),
    ("application/json", b"{}"),
    ("multipart/form-data", b"--x--"),
    ('multipart/form-data; boundary=""', b"--x--"),
    ("multipart/form-data; boundary=" + "x" * 201, b"--" + b"x" * 201 + b"--"),
    ("multipart/form-data; boundary=x", b""),
    ("multipart/form-data; boundary=x", b"no boundary at all"),
    ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="hash"\r\n\r\ncut off'),
    ("multipart/form-data; boundary=x", b'--x\nContent-Disposition: form-data; name="hash"\n\nvalue\n--x--\n'),
    ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\nnameless\r\n--x--\r\n"),
    ("multipart/form-data; boundary=x", b"--x\r\n" + b"X-Header: x\r\n" * 100 + b"\r\n\r\n--x--\r\n"),
]


@pytest.mark.parametrize("path", ["/ingest/slot-001", "/api/ingest/slot-001"])
async def test_a_broken_form_is_an_invalid_request(api: Api, http: httpx.AsyncClient, path: str) -> None:
    for content_type, body in BROKEN_FORMS:
        headers = {} if content_type is None else {"content-type": content_type}
        answer = await http.post(f"{api.url}{path}", content=body, headers=headers)
        assert (content_type, body, *reason(answer)) == (content_type, body, 400, "invalid_request")
    nothing_left(api.media)


async def test_a_missing_part_is_named(api: Api, http: httpx.AsyncClient) -> None:
    parts: Files = [
        ("password", (None, PASSWORD)),
        ("hash", (None, hashlib.md5(PHOTO).hexdigest().encode())),
        FILE,
        ("userfile", ("", b"text", "text/plain")),
    ]
    for missing in ("password", "hash", "fileToUpload"):
        there = [part for part in parts if part[0] != missing]
        answer = await http.post(f"{api.url}/ingest/slot-001", files=there)
        assert reason(answer) == (400, "invalid_request")
        assert missing in answer.json()["details"]
    nothing_left(api.media)


async def test_names_count_exactly_and_the_first_part_wins(api: Api, http: httpx.AsyncClient) -> None:
    parts: Files = [
        ("Password", (None, b"Password is another field")),
        ("password", (None, b"wrong")),
        ("password", (None, PASSWORD)),
        ("hash", (None, b"0")),
        FILE,
    ]
    answer = await http.post(f"{api.url}/ingest/slot-001", files=parts)
    assert reason(answer) == (401, "invalid_password")


async def test_forms_have_limits(api: Api, http: httpx.AsyncClient) -> None:
    forms: dict[str, Files] = {
        "too many fields": [(f"field{number}", (None, b"x")) for number in range(41)],
        "a field too long": [("comment", (None, b"x" * (64 * 1024 + 1)))],
        "a second file": [FILE, FILE],
        "a name too long": [("x" * 5000, (None, b"x"))],
    }
    for why, parts in forms.items():
        answer = await http.post(f"{api.url}/ingest/slot-001", files=parts)
        assert (why, *reason(answer)) == (why, 400, "invalid_request")
    nothing_left(api.media)


async def test_a_file_larger_than_the_slot_allows_is_refused(api: Api, http: httpx.AsyncClient) -> None:
    async with api.db.begin() as conn:
        await conn.execute(update(slot).where(slot.c.slot_id == "slot-001").values(size_limit_mb=1))
    declared = await post_photo(http, api.url, PHOTO + b"x" * 3_000_000)
    assert reason(declared) == (413, "payload_too_large")
    by_one_byte = await post_photo(http, api.url, (PHOTO + b"x" * 1024 * 1024)[: 1024 * 1024 + 1])
    assert reason(by_one_byte) == (413, "payload_too_large")
    exactly = await post_photo(http, api.url, (PHOTO + b"x" * 1024 * 1024)[: 1024 * 1024], hash_="0" * 32)
    assert reason(exactly) == (400, "hash_mismatch")
    nothing_left(api.media)


async def test_an_idempotency_key_has_limits(api: Api, http: httpx.AsyncClient) -> None:
    for key in (b"", b"x" * 256, "ключ".encode(), b"tab\tinside"):
        answer = await http.post(f"{api.url}/ingest/slot-001", content=b"x", headers=[(b"Idempotency-Key", key)])
        assert (key, *reason(answer)) == (key, 400, "invalid_request")
        assert "Idempotency-Key" in answer.json()["details"]


async def test_the_checks_come_in_their_order(api: Api, http: httpx.AsyncClient) -> None:
    html = b"<html>" * 100
    assert reason(await post_photo(http, api.url, html, password=b"wrong", hash_="0"))[1] == "invalid_password"
    assert reason(await post_photo(http, api.url, html, hash_="0"))[1] == "unsupported_media_type"
    assert reason(await post_photo(http, api.url, photo_bytes(width=32), hash_="0"))[1] == "invalid_image"
    assert reason(await post_photo(http, api.url, PHOTO, hash_="0"))[1] == "hash_mismatch"
    nothing_left(api.media)


async def test_what_the_booth_says_is_kept_as_text_without_the_password(api: Api, http: httpx.AsyncClient) -> None:
    strange = {"name": "<script>{{7*7}}\n\u202eevil", "q1": "x" * 5000, "hash ": "h", "user\0id": "n\0ul"}
    posting = asyncio.create_task(post_photo(http, api.url, PHOTO, fields=strange))
    await queued(api, 1)
    async with api.db.begin() as conn:
        kept = (await conn.execute(select(job_input.c.booth_fields))).scalar_one()
        everything = (await conn.execute(select(func.row_to_json(job_input.table_valued())))).scalar_one()
    assert kept["name"] == "<script>{{7*7}}\n\u202eevil"
    assert len(kept["q1"]) == 1000
    assert PASSWORD.decode() not in str(everything)
    posting.cancel()


async def test_a_photo_in_work_keeps_the_slots_settings_of_its_moment(api: Api, http: httpx.AsyncClient) -> None:
    posting = asyncio.create_task(post_photo(http, api.url, PHOTO))
    await queued(api, 1)
    async with api.db.begin() as conn:
        await conn.execute(update(slot).values(settings={"prompt": "another"}, version=2))
        snapshot = (await conn.execute(select(job_input.c.snapshot))).scalar_one()
    assert "elegant studio portrait" in snapshot["settings"]["prompt"]
    assert snapshot["slot_version"] == 1
    posting.cancel()


async def test_fifty_photos_at_once_on_one_slot_are_three_in_work_and_forty_seven_refused(
    api: Api, http: httpx.AsyncClient
) -> None:
    async def post(number: int) -> int:
        photo = PHOTO + secrets.token_bytes(8)
        return (await post_patiently(http, api.url, photo)).status_code

    tasks = [asyncio.create_task(post(number)) for number in range(50)]
    await eventually(lambda: sum(task.done() for task in tasks) == 47, seconds=60)
    await queued(api, 3)
    refused = [task.result() for task in tasks if task.done()]
    assert refused == [429] * 47
    assert len(list(api.media.folder("ingest").iterdir())) == 3
    for task in tasks:
        task.cancel()


async def test_no_room_on_the_disk_is_said_before_the_upload(
    api: Api, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("photochanger.media.LEAST_FREE_BYTES", 1 << 60)
    answer = await post_photo(http, api.url, PHOTO)
    assert reason(answer) == (503, "storage_full")
    nothing_left(api.media)


async def test_a_media_folder_that_is_gone_is_no_room_either(api: Api, http: httpx.AsyncClient) -> None:
    api.media.root.rename(api.media.root.with_name("elsewhere"))
    assert reason(await post_photo(http, api.url, PHOTO)) == (503, "storage_full")


def test_the_sample_of_these_tests_is_a_real_photo() -> None:
    with Image.open(io.BytesIO(PHOTO)) as image:
        assert image.size == (640, 480)
