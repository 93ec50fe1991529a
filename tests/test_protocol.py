"""HTTP at its edges: requests behind each other, odd headers, HTTP/1.0, and what is no HTTP at all."""

import asyncio
import resource

import httpx
import pytest

from tests.booths import nothing_left, photo_bytes
from tests.raw_http import FORM_TYPE, RawAnswer, connect, eventually, form, jobs_in, parts, post, queued
from tests.results import claimed_job, finish_job
from tests.serving import Api
from tests.wellness import LIFE, alive, healthy

pytestmark = pytest.mark.anyio


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.protocol.HEADER_SECONDS", 0.5)


PHOTO = photo_bytes()


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
