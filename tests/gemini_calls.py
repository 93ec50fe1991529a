"""Calls of Gemini as the runner makes them, and servers in its place that answer as they are told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from photochanger import providers
from photochanger.images import PreparedPicture
from runner.driver import Call, ProviderFailed
from runner.drivers import gemini
from tests.loopback import Handler, serving

MODELS = providers.load().by_name["gemini"].models
DEFAULT = "gemini-nano-banana-2.1"
KEY = "AIzaSyTestKeyTestKeyTestKeyTestKey12345"
GOOD = json.dumps(
    {
        "candidates": [{"content": {"parts": [{"inlineData": {"data": "UElDVFVSRQ=="}}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 5},
    }
).encode()


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
async def at(handler: Handler) -> AsyncIterator[str]:
    """The address of a server that does with a connection what the handler says."""
    async with serving(handler) as port:
        yield f"http://127.0.0.1:{port}"


async def read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    """The request line and the headers, in lower case."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    return head[0], {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}


async def read_request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    line, headers = await read_head(reader)
    return line, headers, await reader.readexactly(int(headers.get("content-length", "0")))


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


async def failing(handler: Handler, photo: Path, http: ClientSession, **given: Any) -> ProviderFailed:
    """How a call of such a server fails."""
    async with at(handler) as url:
        with pytest.raises(ProviderFailed) as caught:
            await gemini.submit(call(photo, url, **given), http)
    assert KEY not in f"{caught.value} {caught.value.receipt}"
    return caught.value
