"""What goes wrong below an answer: connections that are reset, fall silent, drip or flood."""

import asyncio
import itertools
import socket
import struct
from collections.abc import Iterable

from aiohttp import web

HANG_UP = struct.pack("ii", 1, 0)
"""SO_LINGER for 0 seconds: the connection ends with a reset, not with a goodbye."""


def reset(request: web.Request) -> web.Response:
    """Reset the connection. The answer that aiohttp wants all the same reaches nobody."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, HANG_UP)
        request.transport.abort()
    return web.Response(status=500)


async def silence() -> web.Response:
    """Never answer. Ends with the client's patience: the server cancels the handler when the client goes."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets the event")


async def headers_then_silence(request: web.Request, *, content_type: str) -> web.StreamResponse:
    """Begin an answer of a megabyte, and never go on."""
    response = web.StreamResponse(headers={"Content-Type": content_type, "Content-Length": str(1024 * 1024)})
    await response.prepare(request)
    return await silence()


async def drip(request: web.Request, body: bytes, *, content_type: str, interval_seconds: float) -> web.StreamResponse:
    """Send the body a byte at a time."""
    response = web.StreamResponse(headers={"Content-Type": content_type, "Content-Length": str(len(body))})
    await response.prepare(request)
    for position in range(len(body)):
        await response.write(body[position : position + 1])
        await asyncio.sleep(interval_seconds)
    return response


async def flood(
    request: web.Request, chunks: Iterable[bytes], *, content_type: str, compressed: bool
) -> web.StreamResponse:
    """Send the chunks without saying how many there will be, compressed if the client allows it."""
    response = web.StreamResponse(headers={"Content-Type": content_type})
    response.enable_chunked_encoding()
    if compressed:
        response.enable_compression()
    await response.prepare(request)
    for chunk in chunks:
        await response.write(chunk)
    await response.write_eof()
    return response


def filler(length_bytes: int) -> Iterable[bytes]:
    """That many bytes of base64 text, a megabyte at a time."""
    chunk = b"A" * (1024 * 1024)
    whole, rest = divmod(length_bytes, len(chunk))
    return itertools.chain(itertools.repeat(chunk, whole), [chunk[:rest]])
