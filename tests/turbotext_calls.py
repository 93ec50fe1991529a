"""Calls of Turbotext as the runner makes them, for the driver's tests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from photochanger import providers
from photochanger.images import PreparedPicture
from runner.driver import Call, Exchange
from tests.loopback import Handler, serving

PROVIDER = providers.load().by_name["turbotext"]
METHODS = {operation.options["method"]: name for name, operation in PROVIDER.operations.items()}
KEY = "vip-key-vip-key-vip-key"
PHOTO, STYLE, FACE = (f"https://photos.example/public/provider-media/{number:032x}" for number in (1, 2, 3))


def call(
    url: str, *, method: str | None = "mix_images", seconds: float = 10.0, key: str | None = KEY, **settings: Any
) -> Call:
    """A photo to be changed by this method, with a link for every role."""
    picture = PreparedPicture(path=Path("photo.jpg"), mime="image/jpeg", size_bytes=5, width=640, height=480)
    return Call(
        job_id="0" * 32,
        operation=METHODS.get(method, "object_replace"),
        settings=settings,
        options={"method": method},
        model=PROVIDER.models["turbotext"],
        photo=picture,
        links={"photo": PHOTO, "style": STYLE, "face": FACE},
        base_url=url,
        key=key,
        deadline=asyncio.get_running_loop().time() + seconds,
    )


def exchange(of: Call, *, seconds: float = 10.0) -> Exchange:
    """A later poll of the same job."""
    given = {name: value for name, value in vars(of).items() if name not in ("photo", "links", "templates")}
    return Exchange(**given | {"deadline": asyncio.get_running_loop().time() + seconds})


Requests = list[tuple[str, dict[str, str], bytes]]


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
