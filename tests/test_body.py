"""What every way of losing an answer means, shown on the Gemini driver over real loopback HTTP."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from runner.driver import Outcome, ProviderFailed
from runner.drivers import gemini
from tests.gemini_calls import DEFAULT, GOOD, KEY, answering, at, call, failing, read_head, read_request, silent
from tests.loopback import Handler, response


@pytest.fixture
async def http(anyio_backend: str) -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(os.urandom(300_000))
    return path


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

    async with at(handler) as url:
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


# Answers of another kind


@pytest.mark.anyio
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_no_redirect_is_followed(http: ClientSession, photo: Path, status: str) -> None:
    asked: list[tuple[str, dict[str, str], bytes]] = []
    async with at(answering(with_=response(GOOD), requests=asked)) as elsewhere:
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

    async with at(handler) as url:
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
