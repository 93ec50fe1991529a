"""Whether a server is well that has bad clients, and one whose connections may not idle for long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn

from api.__main__ import config
from photochanger.providers import Providers
from photochanger.settings import Settings
from tests.raw_http import connect, eventually
from tests.serving import Api

LIFE = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


async def alive(api: Api) -> bool:
    async with connect(api.url) as wire:
        await wire.send(LIFE)
        return (await wire.answer(seconds=1)).status == 200


async def healthy(api: Api, http: httpx.AsyncClient) -> bool:
    return (await http.get(f"{api.url}/healthz")).status_code == 200


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
