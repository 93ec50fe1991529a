"""Connections: those whose headers never come, those kept alive, many at once, and requests no booth would send."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from api.__main__ import config
from photochanger.providers import Providers
from photochanger.settings import Settings
from tests.booths import nothing_left, photo_bytes
from tests.raw_http import FORM_TYPE, RawAnswer, connect, eventually, form, jobs_in, parts, pieces, post, queued
from tests.results import claimed_job, finish_job
from tests.serving import Api

pytestmark = pytest.mark.anyio

PHOTO = photo_bytes()
LIFE = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.protocol.HEADER_SECONDS", 0.5)


async def alive(api: Api) -> bool:
    async with connect(api.url) as wire:
        await wire.send(LIFE)
        return (await wire.answer(seconds=1)).status == 200


async def healthy(api: Api, http: httpx.AsyncClient) -> bool:
    return (await http.get(f"{api.url}/healthz")).status_code == 200


# --- headers


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


@asynccontextmanager
async def serving(settings: Settings, providers: Providers, url: str, **changed: Any) -> AsyncIterator[str]:
    """The API as its process serves it, with some of uvicorn's settings changed."""
    configuration = config(settings, providers, url)
    for name, value in {"port": 0, "timeout_graceful_shutdown": 0, **changed}.items():
        setattr(configuration, name, value)
    server = uvicorn.Server(configuration)
    task = asyncio.create_task(server._serve())
    await eventually(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


async def test_an_idle_connection_is_closed_in_the_end(api: Api, known_providers: Providers, database_url: str) -> None:
    async with (
        serving(api.services.settings, known_providers, database_url, timeout_keep_alive=1) as url,
        connect(url) as wire,
    ):
        await wire.send(LIFE)
        assert (await wire.answer()).status == 200
        assert await wire.silent_for(0.7)
        assert await wire.ends(seconds=1) == b""


# --- one connection, many requests


async def test_a_connection_serves_one_photo_after_another_also_after_refusals(api: Api) -> None:
    bodies = [
        form(*parts(PHOTO + b"1")),
        form(*parts(PHOTO, password=b"wrong")),
        form(*parts(PHOTO, hash_=b"0" * 32)),
        form(*parts(PHOTO + b"2")),
    ]
    answers: list[RawAnswer] = []

    async def post_all() -> None:
        async with connect(api.url) as wire:
            for body in bodies:
                await wire.send(post("/ingest/slot-001", FORM_TYPE, length=len(body)) + body)
                answers.append(await wire.answer())

    posting = asyncio.create_task(post_all())
    for number in (1, 2):
        await queued(api, number)
        assert await finish_job(api, await claimed_job(api), PHOTO + b"changed %d" % number)
    await posting
    assert [answer.status for answer in answers] == [200, 401, 400, 200]
    assert [answer.body for answer in answers if answer.status == 200] == [PHOTO + b"changed 1", PHOTO + b"changed 2"]


async def test_two_requests_sent_at_once_are_answered_one_after_the_other(api: Api) -> None:
    body = form(*parts(PHOTO, hash_=b"0" * 32))
    async with connect(api.url) as wire:
        await wire.send((post("/ingest/slot-001", FORM_TYPE, length=len(body)) + body) * 2)
        for _ in range(2):
            assert (await wire.answer()).reason() == (400, "hash_mismatch")


@pytest.mark.usefixtures("hurried")
async def test_what_comes_behind_a_photo_does_not_cost_it_its_answer(api: Api) -> None:
    async def picture_behind(number: int, behind: bytes) -> bytes:
        body = form(*parts(PHOTO + bytes([number])))
        async with connect(api.url) as wire:
            await wire.send(post("/ingest/slot-001", FORM_TYPE, length=len(body)) + body + behind)
            try:
                return (await wire.answer()).body
            except (ConnectionError, asyncio.IncompleteReadError):
                return b"cut off"

    behind = [b"\r\n", LIFE, LIFE[:10]]
    tasks = [asyncio.create_task(picture_behind(*pair)) for pair in enumerate(behind)]
    await queued(api, len(behind))
    await asyncio.sleep(0.8)
    for _ in behind:
        assert await finish_job(api, await claimed_job(api), PHOTO)
    answers = await asyncio.gather(*tasks)
    assert {sent: answer[:7] for sent, answer in zip(behind, answers, strict=True)} == dict.fromkeys(behind, PHOTO[:7])


async def test_a_booth_may_speak_http_1_0(api: Api) -> None:
    body = form(*parts(PHOTO))
    async with connect(api.url) as wire:
        head = post("/ingest/slot-001", FORM_TYPE, length=len(body)).replace(b"HTTP/1.1", b"HTTP/1.0")
        await wire.send(head.replace(b"Host: 127.0.0.1\r\n", b"") + body)
        await queued(api)
        assert await finish_job(api, await claimed_job(api), PHOTO)
        assert (await wire.answer()).body == PHOTO
        assert await wire.ends(seconds=1) == b""


async def test_an_answer_that_needs_no_body_is_not_lost_under_one_that_is_just_arriving(api: Api) -> None:
    head = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 20000\r\n\r\n"
    async with connect(api.url) as wire:
        for _ in range(2):  # the connection goes on
            await wire.send(head)
            await asyncio.sleep(0.2)  # the answer is out by now
            await wire.send(b"x" * 20_000)
            assert (await wire.answer()).status == 200
        await wire.send(head + b"x")
        assert (await wire.answer()).status == 200
        assert await wire.ends(seconds=5) == b""  # the rest of this one is not waited for


async def test_hundreds_of_open_connections_disturb_nobody(api: Api, http: httpx.AsyncClient) -> None:
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(300, most // 4)
    opened = [connect(api.url) for _ in range(count)]
    wires = [await connection.__aenter__() for connection in opened]
    try:
        for number, wire in enumerate(wires):  # a third is silent, a third drips headers, a third a body
            await wire.send([b"", LIFE[:20], post("/ingest/slot-001", FORM_TYPE, length=1000)][number % 3])
        loop = asyncio.get_running_loop()
        await eventually(lambda: healthy(api, http), seconds=2)
        for path in ("/livez", "/healthz"):
            started = loop.time()
            assert (await http.get(f"{api.url}{path}")).status_code == 200
            assert loop.time() - started < 0.25
        posting = asyncio.create_task(http.post(f"{api.url}/ingest/slot-002", content=b"x"))
        assert (await asyncio.wait_for(posting, 1)).status_code == 400
    finally:
        for wire in wires:
            wire.reset()
        for connection in opened:
            await connection.__aexit__(None, None, None)
    await eventually(lambda: not list(api.media.folder("ingest").iterdir()))


# --- requests that no booth sends


ODD_HEADERS: list[list[bytes]] = [
    [b"Content-Type: text/plain", FORM_TYPE],
    [FORM_TYPE, b"Idempotency-Key: a", b"Idempotency-Key: b"],
    [FORM_TYPE, b"Host: [", b"Host: a b", b"X-Forwarded-For: " + b"1, " * 500],
    [FORM_TYPE, b"Expect: something-else", b"Accept: \xff\xfe", b"Cookie: " + b"x" * 8000],
    [FORM_TYPE + b"; boundary=another", b"Range: bytes=0-1", b"If-None-Match: *"],
    [b'Content-Type: multipart/form-data; boundary="\xe9"; charset=utf-7'],
]


async def test_odd_and_repeated_headers_crash_nothing(api: Api) -> None:
    body = form(*parts(PHOTO, hash_=b"0" * 32))
    for headers in ODD_HEADERS:
        async with connect(api.url) as wire:
            await wire.send(post("/ingest/slot-001", *headers, length=len(body)) + body)
            status, reason = (await wire.answer()).reason()
        assert (headers, status) == (headers, 400)
        assert reason in {"hash_mismatch", "invalid_request"}
    nothing_left(api.media)


NO_HTTP = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"NONSENSE\r\n\r\n",
    b"POST /ingest/slot-001\r\n\r\n",
    b"POST /ingest/\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST //[ HTTP/1.1\r\nHost: a\r\n\r\n",
    b"CONNECT example.com:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    post("/ingest/slot-001", b"Content-Length: 5", length=6) + b"123456",
    post("/ingest/slot-001", b"Content-Length: 5") + b"5\r\n12345\r\n0\r\n\r\n",
    post("/ingest/slot-001", FORM_TYPE).replace(b"chunked", b"gzip, chunked, x"),
    post("/ingest/slot-001", FORM_TYPE) + b"zz\r\n",
    post("/ingest/slot-001", FORM_TYPE, b"Content-Length: " + b"9" * 30),
    post("/ingest/slot-001", FORM_TYPE, b"Content-Length: -1"),
    post("/ingest/slot-001", FORM_TYPE, b"Content-Length: \xb2"),
    post("/ingest/slot-001", b"Bad Name: x", length=0),
    post("/ingest/slot-001", b"X: a\x00b", length=0),
    post("/ingest/slot-001", FORM_TYPE, b"Connection: Upgrade", b"Upgrade: h2c", length=5) + b"12345",
]


async def test_what_is_no_http_gets_a_4xx_or_an_end_and_harms_nobody(api: Api) -> None:
    for sent in NO_HTTP:
        async with connect(api.url) as wire:
            await wire.send(sent)
            wire.half_close()
            received = await wire.ends(seconds=2)
        assert received == b"" or received.startswith(b"HTTP/1.1 4"), sent
        assert b"Traceback" not in received
        assert await alive(api)
    assert await jobs_in(api) == 0
    nothing_left(api.media)
