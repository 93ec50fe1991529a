"""The Turbotext driver's polls and downloads: polling is free, and the key goes to Turbotext alone."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession

from runner.driver import Image, Outcome, Pending, ProviderFailed
from runner.drivers import turbotext
from tests.loopback import Handler, response
from tests.turbotext_calls import KEY, Requests, answering, at, call, exchange, reading_only, silent

METADATA_URL = "http://169.254.169.254/latest/meta-data/"
RECONNECT = json.dumps({"action": "reconnect"}).encode()


@pytest.fixture
async def http(anyio_backend: str) -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


def finished(url: str) -> bytes:
    return json.dumps({"success": True, "uploaded_image": url, "limits": {"foto_limit": 120}}).encode()


async def not_polled(handler: Handler, http: ClientSession, *, seconds: float = 10.0) -> ProviderFailed:
    async with at(handler) as url:
        with pytest.raises(ProviderFailed) as caught:
            await turbotext.poll(exchange(call(url), seconds=seconds), "918273", http)
    assert KEY not in f"{caught.value} {caught.value.receipt}"
    return caught.value


@pytest.mark.anyio
async def test_a_poll_asks_the_same_address_for_its_reference(http: ClientSession) -> None:
    requests: Requests = []
    async with at(answering(response(RECONNECT), requests=requests)) as url:
        pending = await turbotext.poll(exchange(call(url)), "918273", http)
    assert pending == Pending(poll_after_seconds=2.0)
    ((line, headers, body),) = requests
    assert (line, body) == ("POST /api_ai/mix_images HTTP/1.1", b"do=get_result&queueid=918273")
    assert headers["authorization"] == f"Bearer {KEY}"


# Polling is free


@pytest.mark.anyio
@pytest.mark.parametrize(
    "handler",
    [
        reading_only,
        answering(response(b"<html>Sign in</html>")),
        answering(response(b"{'success': ")),
        answering(response(b'{"status": "processing"}')),
        answering(response(b"", status="302 Found", headers="Location: /elsewhere\r\n")),
        answering(response(b"", status="502 Bad Gateway")),
        answering(response(b"", length=50_000_000)),
        answering(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    ],
)
async def test_a_poll_that_fails_may_be_made_again(http: ClientSession, handler: Handler) -> None:
    error = await not_polled(handler, http)
    assert error.repeatable
    assert error.outcome in (Outcome.NETWORK, Outcome.BAD_RESPONSE, Outcome.PROVIDER_UNAVAILABLE)
    assert error.receipt.request_id == "918273"


@pytest.mark.anyio
async def test_one_silent_poll_does_not_cost_the_job(http: ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turbotext, "POLL_SECONDS", 0.2)
    error = await not_polled(silent, http)
    assert (error.outcome, error.repeatable) == (Outcome.NETWORK, True)
    error = await not_polled(silent, http, seconds=0.1)
    assert (error.outcome, error.repeatable) == (Outcome.TIMEOUT, False)


# The download


async def polled(http: ClientSession, *answers: bytes, path: str = "download.php?f=x.png") -> tuple[Any, Requests]:
    """What a poll brings that finds the picture at this path, and is given these answers there."""
    requests: Requests = []
    left = list(answers)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            line = (await reader.readuntil(b"\r\n")).decode()
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            requests.append((line, {"authorization": "yes"} if "authorization" in head else {}, b""))
            if line.startswith("POST"):
                await reader.readexactly(len(b"do=get_result&queueid=918273"))
                writer.write(response(finished(path)))
            else:
                writer.write(left.pop(0))
            await writer.drain()

    async with at(handler) as url:
        try:
            return await turbotext.poll(exchange(call(url)), "918273", http), requests
        except ProviderFailed as failed:
            return failed, requests


def keys_sent(requests: Requests) -> list[bool]:
    """For each download, whether the key went along."""
    return ["authorization" in headers for line, headers, _ in requests if line.startswith("GET")]


@pytest.mark.anyio
async def test_the_picture_is_downloaded_without_the_key(http: ClientSession) -> None:
    image, requests = await polled(http, response(b"PICTURE"))
    assert isinstance(image, Image)
    assert image.data == b"PICTURE"
    assert image.receipt.usage == {"photo_credits_left": 120}
    assert keys_sent(requests) == [False]


@pytest.mark.anyio
@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
async def test_the_key_is_shown_only_when_the_provider_itself_asks_for_it(http: ClientSession, status: str) -> None:
    image, requests = await polled(http, response(status=status), response(b"PICTURE"))
    assert isinstance(image, Image)
    assert keys_sent(requests) == [False, True]
    failed, requests = await polled(http, response(status=status), response(status=status))
    assert (failed.outcome, failed.repeatable) == (Outcome.BAD_RESPONSE, False)
    assert keys_sent(requests) == [False, True]


@pytest.mark.anyio
async def test_the_key_does_not_follow_a_redirect_to_another_host(http: ClientSession) -> None:
    away = response(status="302 Found", headers="Location: https://127.0.0.1/x\r\n")
    failed, requests = await polled(http, response(status="401 Unauthorized"), away)
    assert (failed.outcome, failed.repeatable) == (Outcome.BAD_RESPONSE, False)
    assert keys_sent(requests) == [False, True]


@pytest.mark.anyio
@pytest.mark.parametrize("path", [METADATA_URL, "http://127.0.0.1:1/x", "https://localhost/x", "file:///etc/passwd"])
async def test_a_picture_elsewhere_in_the_house_is_not_fetched(http: ClientSession, path: str) -> None:
    failed, requests = await polled(http, path=path)
    assert (failed.outcome, failed.repeatable) == (Outcome.BAD_RESPONSE, False)
    assert keys_sent(requests) == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "outcome", "repeatable", "after"),
    [
        ("404 Not Found", Outcome.BAD_RESPONSE, True, 1.0),
        ("410 Gone", Outcome.BAD_RESPONSE, False, None),
        ("500 Internal Server Error", Outcome.PROVIDER_UNAVAILABLE, True, None),
    ],
)
async def test_a_picture_that_is_not_there_yet_is_asked_for_again_and_one_that_is_gone_is_not(
    http: ClientSession, status: str, outcome: Outcome, repeatable: bool, after: float | None
) -> None:
    failed, _ = await polled(http, response(status=status))
    assert (failed.outcome, failed.repeatable, failed.retry_after_seconds) == (outcome, repeatable, after)
    assert failed.receipt.usage == {"photo_credits_left": 120}
    assert failed.receipt.http_status == int(status.split()[0])
