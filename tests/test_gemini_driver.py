"""The Gemini driver over real loopback HTTP: what it sends, and what it refuses to send."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from runner.body import CHUNK_BYTES
from runner.driver import Outcome, ProviderFailed
from runner.drivers import gemini
from tests.gemini_calls import DEFAULT, GOOD, KEY, answering, at, call, failing, read_head
from tests.loopback import response


@pytest.fixture
async def http(anyio_backend: str) -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(os.urandom(300_000))
    return path


# What is sent


@pytest.mark.anyio
@pytest.mark.parametrize("size", [1, 2, 3, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 2])
async def test_the_photo_is_sent_with_its_exact_length(http: ClientSession, photo: Path, size: int) -> None:
    photo.write_bytes(os.urandom(size))
    requests: list[tuple[str, dict[str, str], bytes]] = []
    async with at(answering(with_=response(GOOD), requests=requests)) as url:
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
    async with at(answering(with_=response(GOOD), requests=requests)) as url:
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
    async with at(answering(with_=response(GOOD), requests=requests)) as url:
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

    async with at(counting) as url:
        for _ in range(3):
            await gemini.submit(call(photo, url), http)
    assert connections == 1


@pytest.mark.anyio
async def test_a_page_that_is_no_model_does_not_pass_for_one(http: ClientSession) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(response(b"<html>Sign in</html>"))

    async with at(handler) as url:
        with pytest.raises(ProviderFailed) as caught:
            await gemini.check_key(url, key=KEY, model=DEFAULT, http=http)
    assert caught.value.outcome is Outcome.BAD_RESPONSE
