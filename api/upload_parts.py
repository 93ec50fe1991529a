"""The parts of a form on their way in: a text stays in memory, the photo goes to disk and is hashed on the way."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from api.passwords import MAX_PASSWORD_BYTES
from photochanger.errors import Failure, Refusal
from photochanger.media import Media, storage_refusal

WRITE_BYTES = 256 * 1024
MOST_PIECES = 512
"""A client may send its photo byte by byte."""


class TextPart:
    """A field: kept in memory, up to its limit."""

    def __init__(self, name: str, *, limit_bytes: int) -> None:
        self.name = name
        self.value = bytearray()
        self._limit_bytes = limit_bytes

    async def write(self, data: bytes) -> None:
        """More of it. Raises `Refusal` past its limit."""
        if self.name == "password":  # the rest of one that is too long to be right is not kept
            self.value += data[: MAX_PASSWORD_BYTES + 1 - len(self.value)]
            return
        self.value += data
        if len(self.value) > self._limit_bytes:
            raise Refusal(Failure.INVALID_REQUEST, "A field is too long.")

    async def close(self) -> None:
        """It is complete."""

    async def abort(self) -> None:
        """It will not be."""


class PhotoPart:
    """The photo: written and hashed in a thread, a quarter of a megabyte at a time, in the pieces in which it came."""

    def __init__(
        self,
        media: Media,
        path: str,
        *,
        hashes: set[str],
        limit_bytes: int,
        turn: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        self.size = 0
        self._turn = turn
        self.digests = {name: hashlib.new(name, usedforsecurity=False) for name in hashes}
        self._media, self._folder = media, path.partition("/")[0]
        self._descriptor: int | None = media.new_file(path)
        self._limit_bytes = limit_bytes
        self._pieces: list[bytes] = []
        self._pieces_bytes = 0

    async def write(self, data: bytes) -> None:
        """More of it. Raises `Refusal`: past its limit, or `storage_full`."""
        self.size += len(data)
        if self.size > self._limit_bytes:
            raise Refusal(Failure.PAYLOAD_TOO_LARGE)
        self._pieces.append(data)
        self._pieces_bytes += len(data)
        if self._pieces_bytes >= WRITE_BYTES or len(self._pieces) == MOST_PIECES:
            await self._flush()

    async def close(self) -> None:
        """On disk before its row: a disk that turns out to be full only now still refuses the photo."""
        await self._flush()
        try:
            await asyncio.to_thread(self._sync)
        except OSError as error:
            raise storage_refusal(error) from error
        await self.abort()

    async def abort(self) -> None:
        """Let go of the file; whoever named it removes it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    async def _flush(self) -> None:
        pieces, self._pieces, self._pieces_bytes = self._pieces, [], 0
        try:
            async with self._turn():
                await asyncio.to_thread(self._write_and_hash, pieces)
        except OSError as error:
            raise storage_refusal(error) from error

    def _write_and_hash(self, pieces: list[bytes]) -> None:
        assert self._descriptor is not None
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            for digest in self.digests.values():
                digest.update(piece)

    def _sync(self) -> None:
        assert self._descriptor is not None
        os.fsync(self._descriptor)
        self._media.sync(self._folder)


Part = TextPart | PhotoPart
