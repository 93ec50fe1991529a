"""A client below HTTP libraries: one that waits for `100 Continue`, sends in pieces, half-closes, or resets.

And a booth's form as it sends it, and waiting for what should come of it.
"""

import asyncio
import hashlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, select

from photochanger.tables import job
from tests.serving import PASSWORD, Api

BOUNDARY = b"----a-booths-boundary"
FORM_TYPE = b"Content-Type: multipart/form-data; boundary=" + BOUNDARY
Part = tuple[str, bytes] | tuple[str, bytes, str]
"""A field's name and value; for a file its name, bytes and file name."""


@dataclass(frozen=True, kw_only=True)
class RawAnswer:
    """What came back. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    interim: list[int] = field(default_factory=list)
    """The statuses that came before it, as 100."""

    def reason(self) -> tuple[int, str]:
        """The status and the failure reason."""
        return self.status, json.loads(self.body)["failure_reason"]

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """All of it, as fast as the server takes it."""
        self.writer.write(data)
        await self.writer.drain()

    async def send_on(self, data: Iterable[bytes], *, pause_seconds: float = 0.0) -> int:
        """Go on sending until all is out or the connection is lost; how many bytes were taken."""
        sent = 0
        with suppress(ConnectionError):
            for piece in data:
                await self.send(piece)
                sent += len(piece)
                await asyncio.sleep(pause_seconds)
        return sent

    async def head(self) -> tuple[int, dict[str, str]]:
        """The next status line and its headers, interim ones as well."""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split()[1]), {name.lower(): value for name, value in headers.items()}

    async def answer(self, *, seconds: float = 20.0) -> RawAnswer:
        """The next final answer."""
        async with asyncio.timeout(seconds):
            interim = []
            status, headers = await self.head()
            while status < 200:
                interim.append(status)
                status, headers = await self.head()
            body = await self.reader.readexactly(int(headers["content-length"]))
            return RawAnswer(status=status, headers=headers, body=body, interim=interim)

    async def silent_for(self, seconds: float) -> bool:
        """True when nothing comes and the connection stays open that long."""
        try:
            await asyncio.wait_for(self.reader.read(1), seconds)
        except TimeoutError:
            return True
        except ConnectionError:
            pass
        return False

    async def ends(self, *, seconds: float) -> bytes:
        """What still comes until the server ends the connection. Raises `TimeoutError` when it does not."""
        rest = b""
        async with asyncio.timeout(seconds):
            with suppress(ConnectionError):
                while piece := await self.reader.read(65536):
                    rest += piece
        return rest

    def half_close(self) -> None:
        """Nothing more will be sent; the answer would still be read."""
        self.writer.write_eof()

    def reset(self) -> None:
        """Gone without a word."""
        plain: socket.socket = self.writer.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Wire]:
    """A connection to the server of this URL."""
    target = urlsplit(url)
    reader, writer = await asyncio.open_connection(target.hostname, target.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def send_all_then_read(url: str, data: bytes) -> bytes:
    """What a simple client sees: it sends to the end before it reads. Blocks; raises `ConnectionError` on a reset."""
    target = urlsplit(url)
    assert target.hostname is not None
    with socket.create_connection((target.hostname, target.port or 80), timeout=20) as plain:
        plain.sendall(data)
        received = plain.recv(65536)
        while received and b"\r\n\r\n" not in received:
            received += plain.recv(65536)
        return received


def form(*fields: Part) -> bytes:
    """A multipart body."""
    body = b""
    for name, value, *file_name in fields:
        file = f'; filename="{file_name[0]}"\r\nContent-Type: image/jpeg' if file_name else ""
        head = f'--{BOUNDARY.decode()}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        body += head.encode() + value + b"\r\n"
    return body + b"--" + BOUNDARY + b"--\r\n"


def parts(photo: bytes, *, password: bytes = PASSWORD, hash_: bytes | None = None) -> tuple[Part, Part, Part]:
    """What the form of a booth cannot do without."""
    digest = hash_ if hash_ is not None else hashlib.md5(photo).hexdigest().encode()
    return ("password", password), ("hash", digest), ("fileToUpload", photo, "IMG_0001.JPG")


def pieces(body: bytes, size: int) -> Iterator[bytes]:
    """The same in small."""
    return (body[start : start + size] for start in range(0, len(body), size))


def chunked(data: bytes, *, size: int = 65536) -> bytes:
    """The same body in `Transfer-Encoding: chunked`, without its end."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces(data, size))


LAST_CHUNK = b"0\r\n\r\n"


def post(path: str, *headers: bytes, length: int | None = None) -> bytes:
    """The head of a POST; `length` gives a Content-Length, None a chunked body."""
    size = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % length
    lines = [b"POST %b HTTP/1.1" % path.encode(), b"Host: 127.0.0.1", size, *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def eventually(condition: Callable[[], bool | Awaitable[bool]], *, seconds: float = 10.0) -> None:
    """Wait until it holds. Raises `AssertionError` when it does not in time."""
    for _ in range(round(seconds / 0.02)):
        holds = condition()
        if holds if isinstance(holds, bool) else await holds:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come about in time")


async def jobs_in(api: Api) -> int:
    """How many jobs there are, whatever became of them."""
    async with api.db.at_once() as conn:
        return int((await conn.execute(select(func.count()).select_from(job))).scalar_one())


async def queued(api: Api, count: int = 1) -> None:
    """Wait until there are that many jobs."""

    async def there() -> bool:
        return await jobs_in(api) == count

    await eventually(there)
