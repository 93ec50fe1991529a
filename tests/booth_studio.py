"""Servers for the simulated booth: one that takes its forms apart, and one below HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import web
from multipart import MultipartSegment, PushMultipartParser, parse_options_header

from simulators.booth import Plan, open_session, shoot, take
from simulators.booth_report import Answer
from simulators.sample import SAMPLE

PASSWORD = "sésame öffne dich"
PICTURE = SAMPLE.read_bytes()[:5000]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Studio:
    """Takes forms apart, keeps what came, and answers as told."""

    url: str = ""
    answer: Callable[[str], Awaitable[web.StreamResponse]] | None = None
    headers: list[Mapping[str, str]] = field(default_factory=list)
    slots: list[str] = field(default_factory=list)
    forms: list[dict[str, bytes]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    async def ingest(self, request: web.Request) -> web.StreamResponse:
        form: dict[str, bytes] = {}
        boundary = parse_options_header(request.headers["Content-Type"])[1]["boundary"]
        with PushMultipartParser(boundary, strict=True) as parser:
            for event in parser.parse(await request.read()):
                if isinstance(event, MultipartSegment):
                    name, form[event.name] = event.name, b""
                    self.files += [event.filename] if event.filename else []
                elif event:
                    form[name] += event
        self.headers.append(request.headers)
        self.slots.append(request.match_info["slot"])
        self.forms.append(form)
        if self.answer is not None:
            return await self.answer(request.match_info["slot"])
        return picture()


def picture() -> web.Response:
    return web.Response(body=PICTURE, content_type="image/jpeg", headers={"X-Job-Id": "ab" * 16})


@asynccontextmanager
async def opened() -> AsyncIterator[Studio]:
    """A studio that takes photos in."""
    studio, app = Studio(), web.Application(client_max_size=2**26)
    app.router.add_post("/ingest/{slot}", studio.ingest)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    studio.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield studio
    await runner.cleanup()


@asynccontextmanager
async def raw(serve: Serve) -> AsyncIterator[str]:
    """A server below HTTP; gives its address."""

    tasks: set[asyncio.Task[None]] = set()

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(cast("asyncio.Task[None]", asyncio.current_task()))
        with suppress(ConnectionError):
            await serve(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(once, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.wait_for(asyncio.gather(*tasks), 5)


async def read_form(reader: asyncio.StreamReader) -> None:
    end = b""
    while not end.endswith(b"--\r\n"):
        end = (end + await reader.read(2**16))[-4:]


async def one(url: str, **options: Any) -> Answer:
    plan = Plan(url=url, password=PASSWORD, **options)
    async with open_session() as session:
        return await shoot(session, take(plan, booth=1, number=1))


def refusing(status: int, reason: str) -> Callable[[str], Awaitable[web.StreamResponse]]:
    async def answer(slot: str) -> web.StreamResponse:
        body = {"status": "error", "failure_reason": reason, "details": f"This is why,\x1b[2J {slot}."}
        return web.json_response(body, status=status, headers={"X-Job-Id": "cd" * 16})

    return answer
