"""The Gemini driver over real loopback HTTP: what it sends, and what every way of losing an answer means."""

import asyncio
import base64
import hashlib
import io
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from PIL import Image as Pillow

from photochanger import providers
from photochanger.images import PreparedPicture
from runner.body import CHUNK_BYTES
from runner.driver import Call, Image, Outcome, ProviderFailed
from runner.drivers import gemini
from simulators.gemini import KEY as SIMULATOR_KEY
from simulators.gemini_scenes import CATALOGUE
from simulators.sample import SAMPLE
from simulators.server import serving as serving_simulators

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

MODELS = providers.load().by_name["gemini"].models
DEFAULT = "gemini-nano-banana-2.1"
KEY = "AIzaSyTestKeyTestKeyTestKeyTestKey12345"
GOOD = json.dumps(
    {
        "candidates": [{"content": {"parts": [{"inlineData": {"data": "UElDVFVSRQ=="}}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 5},
    }
).encode()


@pytest.fixture
async def http(anyio_backend: str) -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(os.urandom(300_000))
    return path


def call(
    photo: Path, url: str, *, model: str = DEFAULT, seconds: float = 10.0, key: str | None = KEY, **settings: Any
) -> Call:
    size = photo.stat().st_size if photo.exists() else 5
    return Call(
        job_id="0" * 32,
        operation="image_edit",
        settings={"prompt": "Studio portrait", **settings},
        model=MODELS[model],
        photo=PreparedPicture(path=photo, mime="image/jpeg", size_bytes=size, width=640, height=480),
        base_url=url,
        key=key,
        deadline=asyncio.get_running_loop().time() + seconds,
    )


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A server that does with a connection what the handler says; its address."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    """The request line and the headers, in lower case."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    return head[0], {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}


async def read_request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    line, headers = await read_head(reader)
    return line, headers, await reader.readexactly(int(headers.get("content-length", "0")))


def response(body: bytes, *, status: str = "200 OK", length: int | None = None, headers: str = "") -> bytes:
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n{headers}\r\n".encode() + body


def answering(*, with_: bytes, requests: list[tuple[str, dict[str, str], bytes]] | None = None) -> Handler:
    """A handler that reads each request whole and answers it."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_request(reader)
            if requests is not None:
                requests.append(request)
            writer.write(with_)
            await writer.drain()

    return handler


async def failing(handler: Handler, photo: Path, http: ClientSession, **given: Any) -> ProviderFailed:
    """How a call of such a server fails."""
    async with serving(handler) as url:
        with pytest.raises(ProviderFailed) as caught:
            await gemini.submit(call(photo, url, **given), http)
    assert KEY not in f"{caught.value} {caught.value.receipt}"
    return caught.value


# What is sent


@pytest.mark.anyio
@pytest.mark.parametrize("size", [1, 2, 3, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 2])
async def test_the_photo_is_sent_with_its_exact_length(http: ClientSession, photo: Path, size: int) -> None:
    photo.write_bytes(os.urandom(size))
    requests: list[tuple[str, dict[str, str], bytes]] = []
    async with serving(answering(with_=response(GOOD), requests=requests)) as url:
        image = await gemini.submit(call(photo, url), http)
    assert image.data == b"PICTURE"
    line, headers, body = requests[0]
    assert line == f"POST /v1beta/models/{DEFAULT}:generateContent HTTP/1.1"
    assert (headers["x-goog-api-key"], headers["content-type"]) == (KEY, "application/json")
    assert "transfer-encoding" not in headers
    document = json.loads(body)
    assert base64.b64decode(document["contents"][0]["parts"][0].pop("inlineData")["data"]) == photo.read_bytes()
    assert document == {
        "contents": [{"role": "user", "parts": [{}, {"text": "Studio portrait"}]}],
        "generationConfig": {"responseModalities": ["IMAGE"]},
    }


@pytest.mark.anyio
@pytest.mark.parametrize("prompt", ['"}]} <the photo> \\ \n', "Привет, 🌲", "\ud800", "x" * 8_000])
async def test_any_prompt_arrives_as_it_is(http: ClientSession, photo: Path, prompt: str) -> None:
    requests: list[tuple[str, dict[str, str], bytes]] = []
    async with serving(answering(with_=response(GOOD), requests=requests)) as url:
        await gemini.submit(call(photo, url, prompt=prompt), http)
    assert json.loads(requests[0][2])["contents"][0]["parts"][1] == {"text": prompt}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("model", "settings", "config"),
    [
        (DEFAULT, {"size": "4K"}, {"imageConfig": {"imageSize": "4K"}}),
        (DEFAULT, {"aspect_ratio": "3:2"}, {"imageConfig": {"aspectRatio": "3:2"}}),
        (DEFAULT, {"aspect_ratio": "1:8", "size": "1K"}, {"imageConfig": {"aspectRatio": "1:8", "imageSize": "1K"}}),
        (DEFAULT, {"thinking_level": "High"}, {"thinkingConfig": {"thinkingLevel": "High"}}),
        ("gemini-3.1-flash-lite-image", {"size": "1K"}, {"imageConfig": {"imageSize": "1K"}}),
        ("gemini-3-pro-image", {"thinking_level": "Medium"}, {}),
        ("gemini-2.5-flash-image", {"size": "1K"}, {}),
    ],
)
async def test_only_what_the_model_takes_is_sent(
    http: ClientSession, photo: Path, model: str, settings: dict[str, Any], config: dict[str, Any]
) -> None:
    requests: list[tuple[str, dict[str, str], bytes]] = []
    async with serving(answering(with_=response(GOOD), requests=requests)) as url:
        await gemini.submit(call(photo, url, model=model, **settings), http)
    assert json.loads(requests[0][2])["generationConfig"] == {"responseModalities": ["IMAGE"], **config}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("gemini-3.1-flash-lite-image", {"size": "4K"}),
        ("gemini-3.1-flash-lite-image", {"aspect_ratio": "1:8"}),
        ("gemini-3-pro-image", {"thinking_level": "Minimal"}),
    ],
)
async def test_an_order_the_model_cannot_fill_is_refused_before_it_is_paid(
    http: ClientSession, photo: Path, model: str, settings: dict[str, str]
) -> None:
    requests: list[tuple[str, dict[str, str], bytes]] = []
    error = await failing(answering(with_=response(GOOD), requests=requests), photo, http, model=model, **settings)
    assert (error.outcome, error.repeatable, error.receipt.model) == (Outcome.INVALID_REQUEST, False, model)
    assert f"{model} takes no" in error.reason
    assert requests == []


@pytest.mark.anyio
async def test_a_request_over_the_limit_is_not_sent(http: ClientSession, photo: Path) -> None:
    os.truncate(photo, 15_000_000)
    error = await failing(answering(with_=response(GOOD)), photo, http)
    assert (error.outcome, error.reason) == (Outcome.INVALID_REQUEST, "the request is longer than 20 MB")


@pytest.mark.anyio
@pytest.mark.parametrize("key", [None, "", "two\nlines", "ключ", "nul\x00"])
async def test_a_key_that_is_none_is_not_sent(http: ClientSession, photo: Path, key: str | None) -> None:
    error = await failing(answering(with_=response(GOOD)), photo, http, key=key)
    assert (error.outcome, error.repeatable) == (Outcome.AUTH, False)


@pytest.mark.anyio
async def test_a_connection_serves_one_call_after_the_other(http: ClientSession, photo: Path) -> None:
    connections = 0
    answer = answering(with_=response(GOOD))

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await answer(reader, writer)

    async with serving(counting) as url:
        for _ in range(3):
            await gemini.submit(call(photo, url), http)
    assert connections == 1


# Nothing sent, or not all of it


@pytest.mark.anyio
async def test_a_refused_connection_is_a_network_failure_to_be_repeated(http: ClientSession, photo: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ProviderFailed) as caught:
            await gemini.submit(call(photo, url), http)
    assert (caught.value.outcome, caught.value.repeatable) == (Outcome.NETWORK, True)
    assert caught.value.receipt.model == DEFAULT


@pytest.mark.anyio
async def test_an_unknown_host_is_a_network_failure_to_be_repeated(http: ClientSession, photo: Path) -> None:
    with pytest.raises(ProviderFailed) as caught:
        await gemini.submit(call(photo, "http://photochanger.invalid"), http)
    assert (caught.value.outcome, caught.value.repeatable) == (Outcome.NETWORK, True)


@pytest.mark.anyio
async def test_a_failed_tls_handshake_is_a_network_failure_to_be_repeated(http: ClientSession, photo: Path) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"no TLS here")

    async with serving(handler) as url:
        with pytest.raises(ProviderFailed) as caught:
            await gemini.submit(call(photo, url.replace("http:", "https:")), http)
    assert (caught.value.outcome, caught.value.repeatable) == (Outcome.NETWORK, True)


@pytest.mark.anyio
async def test_an_address_that_is_none_is_an_invalid_request(http: ClientSession, photo: Path) -> None:
    for url in ("ftp://127.0.0.1", "http://", "http://[::1"):
        with pytest.raises(ProviderFailed) as caught:
            await gemini.submit(call(photo, url), http)
        assert (caught.value.outcome, caught.value.repeatable) == (Outcome.INVALID_REQUEST, False)


@pytest.mark.anyio
@pytest.mark.parametrize("reset", [False, True])
async def test_half_a_request_may_be_sent_again(http: ClientSession, photo: Path, reset: bool) -> None:
    os.truncate(photo, 12_000_000)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(500_000)
        if reset:
            writer.transport.abort()

    error = await failing(handler, photo, http)
    assert (error.outcome, error.repeatable) == (Outcome.NETWORK, True)


@pytest.mark.anyio
@pytest.mark.parametrize("gone", ["before", "while it is sent"])
async def test_a_photo_that_cannot_be_read_is_not_the_networks_fault(
    http: ClientSession, photo: Path, gone: str
) -> None:
    os.truncate(photo, 12_000_000)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(500_000)
        os.truncate(photo, 600_000)
        await reader.read()

    if gone == "before":
        photo.unlink()
    error = await failing(handler, photo, http)
    assert (error.outcome, error.repeatable) == (Outcome.INVALID_REQUEST, False)
    assert "the prepared picture cannot be read" in error.reason


# Lost after it was sent


@pytest.mark.anyio
@pytest.mark.parametrize("reset", [False, True])
async def test_an_answer_lost_after_the_request_is_ambiguous(http: ClientSession, photo: Path, reset: bool) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        if reset:
            writer.transport.abort()

    error = await failing(handler, photo, http)
    assert (error.outcome, error.repeatable, error.receipt.http_status) == (Outcome.AMBIGUOUS, False, None)


@pytest.mark.anyio
async def test_an_answer_cut_off_is_ambiguous(http: ClientSession, photo: Path) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(response(GOOD, length=len(GOOD) + 5))
        await writer.drain()

    error = await failing(handler, photo, http)
    assert (error.outcome, error.repeatable, error.receipt.http_status) == (Outcome.AMBIGUOUS, False, 200)


# Time


def silent(*, after: bytes = b"", dripping: bool = False) -> Handler:
    """A handler that reads the request, says `after` and then nothing, or a space now and then."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(after)
        while not reader.at_eof():
            if dripping:
                writer.write(b" ")
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.05)

    return handler


@pytest.mark.anyio
@pytest.mark.parametrize(
    "handler",
    [
        silent(),
        silent(after=response(b"", length=1_000)),
        silent(after=response(b"", length=1_000), dripping=True),
        silent(after=b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["silence", "headers then silence", "dripping", "only a 100"],
)
async def test_the_deadline_ends_a_call_in_time(http: ClientSession, photo: Path, handler: Handler) -> None:
    started = asyncio.get_running_loop().time()
    error = await failing(handler, photo, http, seconds=0.4)
    assert (error.outcome, error.repeatable) == (Outcome.TIMEOUT, False)
    assert 0.35 < asyncio.get_running_loop().time() - started < 0.9


@pytest.mark.anyio
async def test_a_server_that_does_not_read_is_left_at_the_deadline(http: ClientSession, photo: Path) -> None:
    os.truncate(photo, 14_000_000)
    done = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()

    started = asyncio.get_running_loop().time()
    error = await failing(handler, photo, http, seconds=0.4)
    done.set()
    assert error.outcome is Outcome.TIMEOUT
    assert asyncio.get_running_loop().time() - started < 0.9


@asynccontextmanager
async def full_backlog() -> AsyncIterator[str]:
    """An address where no connection comes about: its queue is full and nobody accepts."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        for one in waiting:
            one.close()


@pytest.mark.anyio
async def test_a_connection_that_does_not_come_about_ends_at_the_deadline(http: ClientSession, photo: Path) -> None:
    async with full_backlog() as url:
        with pytest.raises(ProviderFailed) as caught:
            await gemini.submit(call(photo, url, seconds=0.3), http)
    assert caught.value.outcome is Outcome.TIMEOUT


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_connection_is_given_up_after_five_seconds_and_may_be_tried_again(
    http: ClientSession, photo: Path
) -> None:
    started = asyncio.get_running_loop().time()
    async with full_backlog() as url:
        with pytest.raises(ProviderFailed) as caught:
            await gemini.submit(call(photo, url, seconds=30), http)
    assert (caught.value.outcome, caught.value.repeatable) == (Outcome.NETWORK, True)
    assert 4.9 < asyncio.get_running_loop().time() - started < 5.5


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_long_deadline_is_not_rounded_up_to_a_whole_second(http: ClientSession, photo: Path) -> None:
    loop = asyncio.get_running_loop()
    seconds = int(loop.time()) + 7.05 - loop.time()
    started = loop.time()
    assert (await failing(silent(), photo, http, seconds=seconds)).outcome is Outcome.TIMEOUT
    assert loop.time() - started < seconds + 0.3


@pytest.mark.anyio
async def test_nothing_is_sent_after_the_deadline(http: ClientSession, photo: Path) -> None:
    requests: list[tuple[str, dict[str, str], bytes]] = []
    error = await failing(answering(with_=response(GOOD), requests=requests), photo, http, seconds=0)
    assert error.outcome is Outcome.TIMEOUT
    assert requests == []


# Answers of another kind


@pytest.mark.anyio
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_no_redirect_is_followed(http: ClientSession, photo: Path, status: str) -> None:
    asked: list[tuple[str, dict[str, str], bytes]] = []
    async with serving(answering(with_=response(GOOD), requests=asked)) as elsewhere:
        moved = response(b"", status=status, headers=f"Location: {elsewhere}/?key={KEY}\r\n")
        error = await failing(answering(with_=moved), photo, http)
    assert (error.outcome, error.repeatable) == (Outcome.BAD_RESPONSE, False)
    assert asked == []


@pytest.mark.anyio
@pytest.mark.parametrize("chunked", [False, True])
async def test_an_answer_over_32_megabytes_is_not_read(http: ClientSession, photo: Path, chunked: bool) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(response(b"", length=50_000_000))
        await reader.read()

    async def chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(50):
            writer.write(b"100000\r\n" + b" " * 1_048_576 + b"\r\n")
            await writer.drain()

    error = await failing(chunks if chunked else handler, photo, http)
    assert (error.outcome, error.reason) == (Outcome.BAD_RESPONSE, "the answer is longer than 32 MB")
    assert (error.repeatable, error.receipt.http_status) == (True, 200)


@pytest.mark.anyio
@pytest.mark.parametrize("closing", [False, True])
async def test_an_error_that_comes_before_the_request_is_read_counts(
    http: ClientSession, photo: Path, closing: bool
) -> None:
    os.truncate(photo, 14_000_000)
    left = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(response(b"too large", status="413 Payload Too Large"))
        await writer.drain()
        if not closing:
            await left.wait()

    error = await failing(handler, photo, http)
    left.set()
    if closing and error.outcome is Outcome.NETWORK:
        return  # the connection's reset may overtake the answer: then half a request was sent
    assert (error.outcome, error.reason) == (Outcome.INVALID_REQUEST, "HTTP 413: too large")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "handler",
    [
        silent(after=response(b"", status="503 Unavailable", length=1_000)),
        answering(with_=response(b"x" * 2_000_000, status="503 Unavailable")),
    ],
    ids=["never comes", "too long"],
)
async def test_an_errors_status_counts_without_its_text(http: ClientSession, photo: Path, handler: Handler) -> None:
    error = await failing(handler, photo, http)
    assert (error.outcome, error.reason, error.repeatable) == (Outcome.PROVIDER_UNAVAILABLE, "HTTP 503", True)


@pytest.mark.anyio
async def test_an_answer_that_is_not_http_is_a_bad_response(http: ClientSession, photo: Path) -> None:
    error = await failing(answering(with_=b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), photo, http)
    assert (error.outcome, error.repeatable) == (Outcome.BAD_RESPONSE, True)


@pytest.mark.anyio
async def test_a_call_that_is_cut_off_leaves_nothing_open(http: ClientSession, photo: Path) -> None:
    os.truncate(photo, 14_000_000)
    done = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.transport.abort()

    async with serving(handler) as url:
        before = len(list(Path("/proc/self/fd").iterdir())), len(asyncio.all_tasks())
        calls = [asyncio.create_task(gemini.submit(call(photo, url), http)) for _ in range(8)]
        await asyncio.sleep(0.2)
        for one in calls:
            one.cancel()
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(one) for one in ended] == [asyncio.CancelledError] * 8
        done.set()
        await asyncio.sleep(0.1)
        assert (len(list(Path("/proc/self/fd").iterdir())), len(asyncio.all_tasks())) == before


# Against the simulator: the whole of the protocol


@pytest.fixture
async def simulators(anyio_backend: str, http: ClientSession) -> AsyncIterator[str]:
    """Their address. At the end nothing may have been malformed."""
    async with serving_simulators() as served:
        yield served.url
        async with http.get(f"{served.url}/__emu/violations") as response:
            assert await response.json() == []


async def play(http: ClientSession, url: str, name: str, *, times: int | None = None, **parameters: Any) -> None:
    document = {"match": {}, "behaviour": {"name": name, **parameters}, "times": times}
    async with http.post(f"{url}/__emu/gemini/scenario", json=document) as response:
        assert response.status == 201, await response.text()


def sample(url: str, *, key: str = SIMULATOR_KEY, **given: Any) -> Call:
    return call(SAMPLE, f"{url}/gemini", key=key, **given)


PICTURES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ok", {}),
    ("ok", {"mime": "image/png"}),
    ("instant", {}),
    ("slow", {"seconds": 0.1}),
    ("text_then_picture", {}),
    ("thought_drafts", {"drafts": 2}),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "parameters"), PICTURES)
async def test_the_simulator_changes_the_photo(
    http: ClientSession, simulators: str, name: str, parameters: dict[str, Any]
) -> None:
    await play(http, simulators, name, **parameters)
    image = await gemini.submit(sample(simulators, size="1K"), http)
    with Pillow.open(io.BytesIO(image.data)) as picture:
        picture.load()
        assert picture.get_format_mimetype() == parameters.get("mime", "image/jpeg")
        assert name == "instant" or picture.size == (1264, 848)
    receipt = image.receipt
    assert (receipt.model, receipt.http_status, bool(receipt.request_id)) == (DEFAULT, 200, True)
    assert receipt.usage is not None
    assert receipt.usage["image_tokens"] == 1120
    assert receipt.cost_usd is not None
    assert 0.0336 < receipt.cost_usd < 0.05
    async with http.get(f"{simulators}/__emu/requests") as response:
        seen = (await response.json())[-1]
    assert seen["prompt"] == "Studio portrait"
    if name != "instant":
        assert seen["pictures"][0]["sha256"] == hashlib.sha256(SAMPLE.read_bytes()).hexdigest()


UNCHECKED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("picture_cut", {}),
    ("picture_wrong_type", {}),
    ("picture_bomb", {}),
    ("picture_bomb", {"kind": "png_header"}),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "parameters"), UNCHECKED)
async def test_a_picture_that_is_none_is_left_for_the_caller_to_find_out(
    http: ClientSession, simulators: str, name: str, parameters: dict[str, Any]
) -> None:
    await play(http, simulators, name, **parameters)
    assert (await gemini.submit(sample(simulators), http)).data


AT_ONCE: tuple[tuple[str, dict[str, Any], Outcome, bool, bool], ...] = (
    # behaviour, its parameters, what it comes to, whether it may be repeated, whether it costs
    ("thought_only", {}, Outcome.NO_IMAGE, True, True),
    ("text_only", {}, Outcome.NO_IMAGE, True, True),
    ("no_image", {}, Outcome.NO_IMAGE, True, True),
    ("image_other", {}, Outcome.NO_IMAGE, True, True),
    ("max_tokens", {}, Outcome.NO_IMAGE, False, True),
    ("finish_reason", {}, Outcome.NO_IMAGE, True, True),
    ("finish_reason", {"reason": "SPII"}, Outcome.CONTENT_BLOCKED, False, True),
    ("content_without_parts", {}, Outcome.NO_IMAGE, True, True),
    ("candidate_without_content", {}, Outcome.CONTENT_BLOCKED, False, True),
    ("candidate_without_content", {"reason": "NO_IMAGE"}, Outcome.NO_IMAGE, True, True),
    ("image_safety", {}, Outcome.CONTENT_BLOCKED, False, True),
    ("recitation", {}, Outcome.CONTENT_BLOCKED, False, True),
    ("prompt_blocked", {}, Outcome.CONTENT_BLOCKED, False, True),
    ("rate_limited", {}, Outcome.RATE_LIMITED, True, False),
    ("rate_limited", {"retry_delay_seconds": 3}, Outcome.RATE_LIMITED, True, False),
    ("rate_limited", {"retry_delay_seconds": 1.5}, Outcome.RATE_LIMITED, True, False),
    ("quota_per_day", {}, Outcome.QUOTA_EXHAUSTED, False, False),
    ("quota_zero", {}, Outcome.QUOTA_EXHAUSTED, False, False),
    ("internal", {}, Outcome.PROVIDER_UNAVAILABLE, True, False),
    ("unavailable", {}, Outcome.PROVIDER_UNAVAILABLE, True, False),
    ("deadline_exceeded", {}, Outcome.PROVIDER_UNAVAILABLE, True, False),
    ("list_wrapped_error", {}, Outcome.PROVIDER_UNAVAILABLE, True, False),
    ("plain_text_error", {}, Outcome.PROVIDER_UNAVAILABLE, True, False),
    ("html_502", {}, Outcome.PROVIDER_UNAVAILABLE, True, False),
    ("echo_key_error", {}, Outcome.PROVIDER_UNAVAILABLE, True, False),
    ("permission_denied", {}, Outcome.AUTH, False, False),
    ("key_leaked", {}, Outcome.AUTH, False, False),
    ("region_not_allowed", {}, Outcome.AUTH, False, False),
    ("model_gone", {}, Outcome.MODEL_RETIRED, False, False),
    ("redirect", {}, Outcome.BAD_RESPONSE, False, False),
    ("redirect", {"status": 307}, Outcome.BAD_RESPONSE, False, False),
    ("html_200", {}, Outcome.BAD_RESPONSE, True, False),
    ("empty_body", {}, Outcome.BAD_RESPONSE, True, False),
    ("truncated_json", {}, Outcome.BAD_RESPONSE, True, False),
    ("deep_json", {}, Outcome.BAD_RESPONSE, True, False),
    *(
        ("wrong_shape", {"shape": shape}, Outcome.BAD_RESPONSE, True, False)
        for shape in ("candidates_object", "candidates_null", "candidates_numbers", "parts_texts", "data_number")
    ),
    *(("wrong_shape", {"shape": shape}, Outcome.BAD_RESPONSE, True, False) for shape in ("list", "number", "null")),
    ("huge_body", {}, Outcome.BAD_RESPONSE, True, False),
    ("huge_body", {"megabytes": 1000, "compressed": True}, Outcome.BAD_RESPONSE, True, False),
    ("invalid_base64", {}, Outcome.BAD_RESPONSE, True, True),
    ("picture_zero_bytes", {}, Outcome.BAD_RESPONSE, True, True),
    ("reset_before", {}, Outcome.AMBIGUOUS, False, False),
    ("reset_after", {}, Outcome.AMBIGUOUS, False, False),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "parameters", "outcome", "repeatable", "costs"), AT_ONCE)
async def test_every_behaviour_without_a_picture_has_its_outcome(
    http: ClientSession,
    simulators: str,
    name: str,
    parameters: dict[str, Any],
    outcome: Outcome,
    repeatable: bool,
    costs: bool,
) -> None:
    await play(http, simulators, name, **parameters)
    with pytest.raises(ProviderFailed) as caught:
        await gemini.submit(sample(simulators), http)
    error = caught.value
    assert (error.outcome, error.repeatable) == (outcome, repeatable)
    assert error.retry_after_seconds == parameters.get("retry_delay_seconds")
    assert (error.receipt.cost_usd is not None) == costs
    assert error.receipt.model == DEFAULT
    assert SIMULATOR_KEY not in f"{error} {error.receipt}"
    assert error.reason.isprintable()


SLOW: tuple[tuple[str, dict[str, Any]], ...] = (
    ("silent", {}),
    ("headers_then_silence", {}),
    ("drip", {"interval_seconds": 0.05}),
    ("slow", {"seconds": 30}),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "parameters"), SLOW)
async def test_no_behaviour_outlasts_the_deadline(
    http: ClientSession, simulators: str, name: str, parameters: dict[str, Any]
) -> None:
    await play(http, simulators, name, **parameters)
    started = asyncio.get_running_loop().time()
    with pytest.raises(ProviderFailed) as caught:
        await gemini.submit(sample(simulators, seconds=0.5), http)
    assert (caught.value.outcome, caught.value.repeatable) == (Outcome.TIMEOUT, False)
    assert asyncio.get_running_loop().time() - started < 1.0


def test_no_behaviour_of_the_simulator_is_left_out() -> None:
    tried = {name for table in (PICTURES, UNCHECKED, AT_ONCE, SLOW) for name, *_ in table}
    assert tried == set(CATALOGUE)


@pytest.mark.anyio
@pytest.mark.parametrize("model", [name for name, model in MODELS.items() if not model.retired])
async def test_everything_providers_json_offers_is_taken(http: ClientSession, simulators: str, model: str) -> None:
    await play(http, simulators, "instant")
    known = MODELS[model].capabilities
    for name, values in (("size", "sizes"), ("aspect_ratio", "aspect_ratios"), ("thinking_level", "thinking_levels")):
        for value in known[values]:
            assert (await gemini.submit(sample(simulators, model=model, **{name: value}), http)).data


@pytest.mark.anyio
async def test_size_and_ratio_are_those_of_the_order(http: ClientSession, simulators: str) -> None:
    image = await gemini.submit(sample(simulators, size="2K", aspect_ratio="9:16", thinking_level="Minimal"), http)
    assert Pillow.open(io.BytesIO(image.data)).size == (1536, 2752)
    assert (image.receipt.cost_usd or 0) > 0.0504


@pytest.mark.anyio
async def test_a_retired_model_and_a_wrong_key_are_told_apart(http: ClientSession, simulators: str) -> None:
    for given, outcome, status in (
        ({"model": "gemini-2.5-flash-image"}, Outcome.MODEL_RETIRED, 404),
        ({"key": "another-key"}, Outcome.AUTH, 400),
    ):
        with pytest.raises(ProviderFailed) as caught:
            await gemini.submit(sample(simulators, **given), http)
        assert (caught.value.outcome, caught.value.receipt.http_status) == (outcome, status)
        checked = {"key": SIMULATOR_KEY, "model": DEFAULT, **given}
        with pytest.raises(ProviderFailed) as caught:
            await gemini.check_key(f"{simulators}/gemini", **checked, http=http)
        assert (caught.value.outcome, caught.value.receipt.http_status) == (outcome, status)


@pytest.mark.anyio
async def test_a_good_key_passes_its_check_without_a_picture_being_made(http: ClientSession, simulators: str) -> None:
    await gemini.check_key(f"{simulators}/gemini", key=SIMULATOR_KEY, model=DEFAULT, http=http)
    async with http.get(f"{simulators}/__emu/gemini/stats") as response:
        assert (await response.json())["billed"] == 0


@pytest.mark.anyio
async def test_a_page_that_is_no_model_does_not_pass_for_one(http: ClientSession) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(response(b"<html>Sign in</html>"))

    async with serving(handler) as url:
        with pytest.raises(ProviderFailed) as caught:
            await gemini.check_key(url, key=KEY, model=DEFAULT, http=http)
    assert caught.value.outcome is Outcome.BAD_RESPONSE


@pytest.mark.anyio
async def test_sixteen_calls_at_once_do_not_disturb_each_other(http: ClientSession, simulators: str) -> None:
    await play(http, simulators, "unavailable", times=5)
    calls = (gemini.submit(sample(simulators), http) for _ in range(16))
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(one, ProviderFailed) for one in ended) == 5
    assert sum(isinstance(one, Image) for one in ended) == 11
