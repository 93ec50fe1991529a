"""The Turbotext driver over real loopback HTTP: what it sends, what lost answers mean, where the key goes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import ClientSession

from photochanger import providers
from runner.driver import Image, Outcome, Pending, ProviderFailed
from runner.drivers import turbotext
from tests.loopback import Handler, response, serving
from tests.turbotext_calls import FACE, KEY, PHOTO, PROVIDER, STYLE, call, exchange

Requests = list[tuple[str, dict[str, str], bytes]]

METADATA_URL = "http://169.254.169.254/latest/meta-data/"
QUEUED = json.dumps({"success": True, "queueid": 918273}).encode()
RECONNECT = json.dumps({"action": "reconnect"}).encode()


@pytest.fixture
async def http(anyio_backend: str) -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


def finished(url: str) -> bytes:
    return json.dumps({"success": True, "uploaded_image": url, "limits": {"foto_limit": 120}}).encode()


@asynccontextmanager
async def at(handler: Handler) -> AsyncIterator[str]:
    """A server's address."""
    async with serving(handler) as port:
        yield f"http://127.0.0.1:{port}"


def answering(*answers: bytes, requests: Requests | None = None) -> Handler:
    """A handler that reads each request whole and gives the next of these answers; the last one again and again."""
    left = list(answers)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            if requests is not None:
                requests.append((head[0], headers, body))
            writer.write(left.pop(0) if len(left) > 1 else left[0])
            await writer.drain()

    return handler


async def reading_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await reader.read(65536)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def not_submitted(handler: Handler, http: ClientSession, **given: Any) -> ProviderFailed:
    async with at(handler) as url:
        with pytest.raises(ProviderFailed) as caught:
            await turbotext.submit(call(url, **given), http)
    assert KEY not in f"{caught.value} {caught.value.receipt}"
    assert "provider-media" not in f"{caught.value}"
    return caught.value


async def not_polled(handler: Handler, http: ClientSession, *, seconds: float = 10.0) -> ProviderFailed:
    async with at(handler) as url:
        with pytest.raises(ProviderFailed) as caught:
            await turbotext.poll(exchange(call(url), seconds=seconds), "918273", http)
    assert KEY not in f"{caught.value} {caught.value.receipt}"
    return caught.value


# What is sent


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "settings", "fields"),
    [
        ("mix_images", {}, {"url_image_target": PHOTO, "url": STYLE}),
        (
            "mix_images",
            {"prompt": "Ван Гог & co=1"},
            {"url_image_target": PHOTO, "url": STYLE, "content": "Ван Гог & co=1"},
        ),
        ("deepfake_photo", {}, {"url": PHOTO, "url_image_target": FACE}),
        ("deepfake_photo", {"face_restore": True}, {"url": PHOTO, "url_image_target": FACE, "face_restore": "True"}),
        ("deepfake_photo", {"face_restore": False}, {"url": PHOTO, "url_image_target": FACE, "face_restore": "False"}),
        ("generate_image2image", {"prompt": "x"}, {"url": PHOTO, "content": "x"}),
        (
            "generate_image2image",
            {
                "prompt": "x",
                "strength": 0,
                "seed": 10**10,
                "scale": 0.1,
                "negative_prompt": "a b",
                "original_language": "en",
            },
            {"url": PHOTO, "content": "x", "strength": "0", "seed": "10000000000", "scale": "0.1"}
            | {"negative_prompt": "a b", "original_language": "en"},
        ),
        (
            "generate_image2image",
            {"prompt": "x", "strength": 80.0, "seed": 1e10, "scale": 20.0, "negative_prompt": "", "retries": 2},
            {"url": PHOTO, "content": "x", "strength": "80", "seed": "10000000000", "scale": "20"},
        ),
        ("replace_object", {"prompt": "a hat"}, {"url": PHOTO, "content": "a hat"}),
    ],
)
async def test_each_method_gets_its_links_and_settings(
    http: ClientSession, method: str, settings: dict[str, Any], fields: dict[str, str]
) -> None:
    requests: Requests = []
    async with at(answering(response(QUEUED), requests=requests)) as url:
        accepted = await turbotext.submit(call(url, method=method, **settings), http)
    assert (accepted.reference, accepted.poll_after_seconds) == ("918273", 2.0)
    assert (accepted.receipt.model, accepted.receipt.http_status) == ("turbotext", 200)
    ((line, headers, body),) = requests
    assert line == f"POST /api_ai/{method} HTTP/1.1"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert dict(parse_qsl(body.decode("ascii"), strict_parsing=True)) == {"do": "create_queue", **fields}


@pytest.mark.anyio
async def test_a_poll_asks_the_same_address_for_its_reference(http: ClientSession) -> None:
    requests: Requests = []
    async with at(answering(response(RECONNECT), requests=requests)) as url:
        pending = await turbotext.poll(exchange(call(url)), "918273", http)
    assert pending == Pending(poll_after_seconds=2.0)
    ((line, headers, body),) = requests
    assert (line, body) == ("POST /api_ai/mix_images HTTP/1.1", b"do=get_result&queueid=918273")
    assert headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.anyio
@pytest.mark.parametrize("prompt", ["\ud800", "\x00", "a" * 4_000, "ж" * 4_000])
async def test_any_prompt_can_be_sent(http: ClientSession, prompt: str) -> None:
    requests: Requests = []
    async with at(answering(response(QUEUED), requests=requests)) as url:
        await turbotext.submit(call(url, prompt=prompt), http)
    assert dict(parse_qsl(requests[0][2].decode("ascii")))["content"] == prompt.replace("\ud800", "?")


@pytest.mark.anyio
@pytest.mark.parametrize("key", [None, "", "two\nlines", "ключ", "nul\x00"])
async def test_a_key_that_is_none_is_not_sent(http: ClientSession, key: str | None) -> None:
    requests: Requests = []
    error = await not_submitted(answering(response(QUEUED), requests=requests), http, key=key)
    assert (error.outcome, error.repeatable, requests) == (Outcome.AUTH, False, [])


@pytest.mark.anyio
async def test_a_call_without_its_links_or_its_method_is_not_made(http: ClientSession) -> None:
    requests: Requests = []
    async with at(answering(response(QUEUED), requests=requests)) as url:
        without = replace(call(url), links={"photo": PHOTO})
        for given, told in ((without, "no public link for: style"), (call(url, method=None), "names no method")):
            with pytest.raises(ProviderFailed) as caught:
                await turbotext.submit(given, http)
            assert (caught.value.outcome, caught.value.repeatable) == (Outcome.INVALID_REQUEST, False)
            assert told in caught.value.reason
    assert requests == []


@pytest.mark.parametrize("operation", [one for one in PROVIDER.operations.values() if one.enabled])
def test_every_operation_of_providers_json_has_the_roles_its_method_needs(operation: providers.Operation) -> None:
    wanted = turbotext.PICTURES[operation.options["method"]].values()
    assert sorted(wanted) == sorted(["photo", *operation.media_roles])
    assert operation.requires_public_media


def test_every_setting_of_providers_json_reaches_the_form() -> None:
    for_the_runner = {"retries", "repeat_interrupted"}
    known = {name for one in PROVIDER.operations.values() for name in one.settings_schema["properties"]}
    assert known - for_the_runner == set(turbotext.FIELDS)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("strength", [0, 40, 80], [-1, 81, 40.5, "40"]),
        ("seed", [1, 10**10], [0, 10**10 + 1]),
        ("scale", [0.1, 7.5, 20], [0.09, 20.1]),
        ("negative_prompt", ["", " a\n" + "b " * 79, "x" * 1000], ["a " * 81, "x" * 1001]),
        ("original_language", ["ru", "en"], ["", "RU"]),
        ("prompt", ["x", " x "], ["", "  \n", "x" * 4001]),
    ],
)
def test_providers_json_takes_what_turbotext_takes(name: str, good: list[Any], bad: list[Any]) -> None:
    def mistakes(value: Any) -> dict[str, str]:
        settings = {"prompt": "x", name: value}
        return providers.load().mistakes("turbotext", "image_edit", settings)

    assert [mistakes(value) for value in good] == [{} for _ in good]
    assert all(mistakes(value) for value in bad)


# A photo is bought once


@pytest.mark.anyio
async def test_a_lost_answer_to_a_submit_is_ambiguous(http: ClientSession) -> None:
    error = await not_submitted(reading_only, http)
    assert (error.outcome, error.repeatable) == (Outcome.AMBIGUOUS, False)
    error = await not_submitted(answering(response(QUEUED, length=len(QUEUED) + 5) + b""), http, seconds=0.4)
    assert (error.outcome, error.repeatable) == (Outcome.TIMEOUT, False)


@pytest.mark.anyio
async def test_what_was_never_sent_may_be_sent_again(http: ClientSession) -> None:
    async with at(silent) as url:
        pass
    with pytest.raises(ProviderFailed) as caught:
        await turbotext.submit(call(url), http)
    assert (caught.value.outcome, caught.value.repeatable) == (Outcome.NETWORK, True)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "answer",
    [
        response(b"<html>Sign in</html>"),
        response(b""),
        response(b'{"success": true}'),
        response(b'{"success": true, "queueid": null}'),
        response(b'{"success": true, "queueid": -1}'),
        response(b'{"success": true, "queueid": true}'),
        response(b"", status="302 Found", headers="Location: /elsewhere\r\n"),
        response(b"", length=50_000_000),
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    ],
)
async def test_an_unreadable_answer_to_a_submit_is_not_followed_by_another(http: ClientSession, answer: bytes) -> None:
    requests: Requests = []
    error = await not_submitted(answering(answer, requests=requests), http)
    assert (error.outcome, error.repeatable) == (Outcome.BAD_RESPONSE, False)
    assert len(requests) == 1


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
