"""What administrators must not be able to upload, at both addresses that take a picture: each has its code, and after
every refusal nothing lies under MEDIA_ROOT, in the rows, or open in the process.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import func, select, text

from photochanger.tables import media_object
from tests import bad_pictures, pictures
from tests.admin_pictures import REGISTER, tree, upload
from tests.administrators import bearer
from tests.booths import photo_bytes
from tests.pictures import Make
from tests.raw_http import BOUNDARY, FORM_TYPE, Wire, chunked, connect, eventually, form, post, send_all_then_read
from tests.serving import Api

pytestmark = pytest.mark.anyio

PHOTO = photo_bytes()
MEGABYTE = 1024 * 1024
FILE = ("file", PHOTO, "style.jpg")
both = pytest.mark.parametrize("path", REGISTER)


def open_files(api: Api) -> list[str]:
    """What this process has open under MEDIA_ROOT."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(entry.readlink()))
    return [target for target in found if target.startswith(str(api.media.root))]


@pytest.fixture(autouse=True)
async def nothing_is_left(api: Api) -> AsyncIterator[None]:
    """After each test here."""
    yield
    await eventually(lambda: not tree(api.media) and not open_files(api))
    async with api.db.at_once() as conn:
        assert (await conn.execute(select(func.count()).select_from(media_object))).scalar_one() == 0


async def authorization(api: Api) -> bytes:
    headers = await bearer(api)
    return b"Authorization: " + headers["Authorization"].encode()


async def posted(api: Api, path: str, body: bytes, *headers: bytes) -> tuple[int, str]:
    """The outcome of this body with a form's type, or with these headers."""
    async with connect(api.url) as wire:
        head = post(path, await authorization(api), *(headers or (FORM_TYPE,)), length=len(body))
        await wire.send(head + body)
        answer = await wire.answer()
        assert b"Traceback" not in answer.body
        return answer.reason()


@both
async def test_strangers_are_refused_before_their_picture_is_read(api: Api, path: str) -> None:
    body = form(FILE)
    for header in (b"X-Nothing: 1", b"Authorization: Bearer nonsense", b"Cookie: photochanger_session=nonsense"):
        async with connect(api.url) as wire:
            await wire.send(post(path, FORM_TYPE, header, b"Expect: 100-continue", length=len(body)))
            answer = await wire.answer(seconds=5)
            assert (answer.reason(), answer.interim) == ((401, "login_required"), [])


BROKEN_FORMS: Mapping[str, bytes] = {
    "empty body": b"",
    "no form at all": b"this is no form",
    "cut in its file": form(FILE)[:400],
    "without its end": form(FILE)[: -len(BOUNDARY) - 8],
    "another boundary": form(FILE).replace(BOUNDARY, b"----another"),
    "no file": form(("title", b"Winter")),
    "no part": b"--" + BOUNDARY + b"--\r\n",
    "the file under a booth's name": form(("fileToUpload", PHOTO, "style.jpg")),
    "the file under a name in capitals": form(("FILE", PHOTO, "style.jpg")),
    "two files": form(FILE, FILE),
    "two files, the second one empty": form(FILE, ("file", b"", "")),
    "too many fields": form(*((f"field{number}", b"x") for number in range(50)), FILE),
    "a field that is too long": form(("title", bytes(70_000)), FILE),
    "a part without a name": form(FILE).replace(b'name="file"; ', b""),
    "a header that never ends": b"--" + BOUNDARY + b"\r\nContent-Disposition: form-data; name=" + b"x" * 9000,
}


@both
async def test_a_broken_form_is_an_invalid_request(api: Api, path: str) -> None:
    outcomes = {name: await posted(api, path, body) for name, body in BROKEN_FORMS.items()}
    assert outcomes == dict.fromkeys(BROKEN_FORMS, (400, "invalid_request"))


@both
@pytest.mark.parametrize(
    "header",
    [
        b"X-Nothing: 1",
        b"Content-Type: application/json",
        b"Content-Type: application/x-www-form-urlencoded",
        b"Content-Type: multipart/form-data",
        b"Content-Type: multipart/form-data; boundary=" + b"x" * 201,
        b"Content-Type: multipart/mixed; boundary=" + BOUNDARY,
    ],
)
async def test_what_is_no_multipart_form_is_an_invalid_request(api: Api, path: str, header: bytes) -> None:
    assert await posted(api, path, form(FILE), header) == (400, "invalid_request")


async def outcomes(api: Api, http: httpx.AsyncClient, files: Mapping[str, Make]) -> dict[str, tuple[int, str]]:
    """What becomes of each; after each answer nothing is left."""
    found = {}
    for number, (name, make) in enumerate(files.items()):
        answer = await upload(api, http, make(), path=REGISTER[number % 2])
        assert "Traceback" not in answer.text
        found[name] = answer.status_code, answer.json()["failure_reason"]
        assert tree(api.media) == set(), name
    return found


async def test_what_is_no_jpeg_png_or_webp_is_unsupported_whatever_it_is_called(
    api: Api, http: httpx.AsyncClient
) -> None:
    found = await outcomes(api, http, bad_pictures.FOREIGN)
    assert found == dict.fromkeys(bad_pictures.FOREIGN, (415, "unsupported_media_type"))


async def test_damaged_pictures_and_bombs_are_invalid(api: Api, http: httpx.AsyncClient) -> None:
    """Unlike a booth's photo, which its runner decodes, these are decoded before they are answered."""
    files = {**bad_pictures.BROKEN, **bad_pictures.MISSHAPEN}
    assert await outcomes(api, http, files) == dict.fromkeys(files, (400, "invalid_image"))


async def test_a_header_over_64_megapixels_is_too_large(api: Api, http: httpx.AsyncClient) -> None:
    found = await outcomes(api, http, bad_pictures.TOO_LARGE)
    assert found == dict.fromkeys(bad_pictures.TOO_LARGE, (413, "payload_too_large"))


def decoders() -> dict[int, psutil.Process]:
    """The living picture children of this process, by their ids."""
    found = {}
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if "photochanger.picture_child" in child.cmdline():
                found[child.pid] = child
    return found


@both
async def test_a_picture_that_kills_its_decoder_is_invalid_and_the_next_one_is_taken(
    api: Api, http: httpx.AsyncClient, path: str
) -> None:
    """As the kernel or its limits would end it, in the middle of 49 megapixels from 32 bytes."""
    others = decoders().keys()
    assert (await upload(api, http, PHOTO, path=path)).status_code == 201
    await forget_all(api)
    (decoder,) = (child for pid, child in decoders().items() if pid not in others)
    before = decoder.cpu_times().user
    uploading = asyncio.create_task(upload(api, http, bad_pictures.one_colour_webp(7000, 7000), path=path))
    await eventually(lambda: decoder.cpu_times().user > before + 0.05)
    decoder.kill()
    answer = await uploading
    assert (answer.status_code, answer.json()["failure_reason"]) == (400, "invalid_image")
    assert tree(api.media) == set()
    assert (await upload(api, http, PHOTO, path=path)).status_code == 201
    await forget_all(api)


async def forget_all(api: Api) -> None:
    """What this test has uploaded on purpose."""
    async with api.db.begin() as conn:
        await conn.execute(text("DELETE FROM media_object"))
    for name in tree(api.media):
        (api.media.root / name).unlink()


@both
async def test_a_declared_length_over_the_cap_is_refused_without_100_continue(api: Api, path: str) -> None:
    async with connect(api.url) as wire:
        await wire.send(post(path, FORM_TYPE, await authorization(api), b"Expect: 100-continue", length=16 * MEGABYTE))
        answer = await wire.answer(seconds=5)
        assert (answer.reason(), answer.interim) == ((413, "payload_too_large"), [])
        assert "15 MB" in json.loads(answer.body)["details"]


@both
async def test_a_file_over_15_megabytes_is_refused_while_it_comes(api: Api, path: str) -> None:
    body = form(("file", PHOTO + bytes(15 * MEGABYTE), "style.jpg"))
    head = post(path, FORM_TYPE, await authorization(api))
    for request in (
        head + chunked(body),
        head.replace(b"Transfer-Encoding: chunked", b"Content-Length: %d" % len(body)) + body,
    ):
        answer = await asyncio.to_thread(send_all_then_read, api.url, request)
        assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_file_of_just_15_megabytes_is_taken(api: Api, http: httpx.AsyncClient) -> None:
    largest = PHOTO + bytes(15 * MEGABYTE - len(PHOTO))  # what follows a JPEG's end is cut off
    answer = await upload(api, http, largest)
    assert answer.status_code == 201
    assert answer.json()["bytes"] < MEGABYTE
    await forget_all(api)


@pytest.mark.parametrize(
    "file_name", ["../../../etc/passwd", "/etc/passwd", "..\\..\\boot.ini", "фото.jpg", ".htaccess", "x" * 300, "a\tb"]
)
async def test_a_files_name_decides_nothing(api: Api, http: httpx.AsyncClient, file_name: str) -> None:
    for path in REGISTER:
        answer = await upload(api, http, PHOTO, path=path, file_name=file_name)
        assert answer.status_code in {200, 201}, answer.text
        media_id = answer.json()["media_object_id"]
        assert {Path(name).stem for name in tree(api.media)} == {media_id}
        await forget_all(api)


@both
async def test_disguised_pictures_are_kept_as_pictures_alone(api: Api, http: httpx.AsyncClient, path: str) -> None:
    for make in pictures.DISGUISED.values():
        answer = await upload(api, http, make(), path=path)
        assert answer.status_code in {200, 201}
        for name in tree(api.media):
            data = (api.media.root / name).read_bytes()
            assert pictures.PHP not in data
            assert pictures.SCRIPT not in data
        await forget_all(api)


@both
@pytest.mark.parametrize("how", ["closes", "resets"])
async def test_a_client_that_goes_away_leaves_nothing(api: Api, path: str, how: str) -> None:
    body = form(("file", PHOTO + bytes(2 * MEGABYTE), "style.jpg"))

    def leave(wire: Wire) -> None:
        wire.reset() if how == "resets" else wire.writer.close()

    for missing in (len(body) // 2, 3):
        async with connect(api.url) as wire:
            head = post(path, FORM_TYPE, await authorization(api), length=len(body))
            await wire.send(head + body[:-missing])
            await eventually(lambda: bool(tree(api.media)))
            leave(wire)
        await eventually(lambda: not tree(api.media) and not open_files(api))
    async with api.db.at_once() as conn:
        assert (await conn.execute(select(func.count()).select_from(media_object))).scalar_one() == 0


@both
async def test_an_upload_that_stalls_is_given_up(api: Api, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.upload.SILENCE_SECONDS", 0.3)
    monkeypatch.setattr("api.refusals.DISCARD_SECONDS", 0.3)
    body = form(FILE)
    async with connect(api.url) as wire:
        await wire.send(post(path, FORM_TYPE, await authorization(api), length=len(body)) + body[:500])
        assert (await wire.answer(seconds=10)).reason() == (408, "upload_stalled")


@both
async def test_without_room_nothing_is_read(
    api: Api, http: httpx.AsyncClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("photochanger.media.LEAST_FREE_BYTES", 1 << 60)
    answer = await upload(api, http, PHOTO, path=path)
    assert (answer.status_code, answer.json()["failure_reason"]) == (503, "storage_full")


@both
@pytest.mark.parametrize("missing", ["templates and provider", "work/previews"])
async def test_a_folder_that_is_away_is_told_and_leaves_nothing(
    api: Api, http: httpx.AsyncClient, path: str, missing: str
) -> None:
    away = [api.media.folder(name) for name in missing.split(" and ")]
    for folder in away:
        folder.rename(folder.with_name(f"{folder.name}-away"))
    answer = await upload(api, http, PHOTO, path=path)
    assert (answer.status_code, answer.json()["failure_reason"]) == (503, "storage_full")
    assert tree(api.media) == set()


@both
async def test_ten_bad_uploads_at_once_are_told_one_by_one(api: Api, http: httpx.AsyncClient, path: str) -> None:
    half = PHOTO[: len(PHOTO) // 2]
    answers = await asyncio.gather(*(upload(api, http, half, path=path) for _ in range(10)))
    assert {(answer.status_code, answer.json()["failure_reason"]) for answer in answers} == {(400, "invalid_image")}
