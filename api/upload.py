"""Reading a form with a picture: fields into memory within limits, the picture to disk once, hashed on the way.

Booths and administrators send the same kind of form; only the picture's part has another name.

The parts come in any order. Each is checked as soon as it is complete: a wrong password ends an upload of 15 MB at its
first kilobyte, when the booth sends it first.
"""

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from api.passwords import MAX_PASSWORD_BYTES
from api.turns import Turns
from photochanger.errors import Failure, Refusal
from photochanger.media import Media, storage_refusal

PHOTO_FIELD = "fileToUpload"
MAX_FIELDS = 40
MAX_FIELD_BYTES = 64 * 1024
MAX_FORM_BYTES = 256 * 1024
"""What all that is not the photo may take: fields, part headers, boundaries."""
KEPT_CHARACTERS = 1000
WRITE_BYTES = 256 * 1024
MOST_PIECES = 512
"""A client may send its photo byte by byte."""
SILENCE_SECONDS = 10.0
RATE_WINDOW_SECONDS = 30.0
LEAST_BYTES_PER_SECOND = 20_000
HASHES: dict[int, str] = {32: "md5", 40: "sha1", 64: "sha256"}
"""By the number of hex digits."""


@dataclass(kw_only=True)
class Upload:
    """A form as it was received. `fields` has the first part of each name, as bytes; the password is taken out."""

    photo_path: str
    fields: dict[str, bytes] = field(default_factory=dict)
    photo_bytes: int | None = None
    digests: dict[str, str] = field(default_factory=dict)

    def kept_fields(self) -> dict[str, str]:
        """What the job's row keeps: text, cut, without the characters PostgreSQL cannot store."""
        return {
            _text(name.encode()): _text(value)
            for name, value in self.fields.items()
            if name not in {"hash", "password"}
        }


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace").replace("\0", "")[:KEPT_CHARACTERS]


class UploadReader:
    """Reads one request. `check_password` is called with the password's bytes the moment its part is complete.

    `photo_field` is the name of the picture's part. Whoever is logged in sends no password.
    """

    def __init__(
        self,
        request: Request,
        *,
        media: Media,
        photo_path: str,
        limit_bytes: int,
        seconds: float,
        turns: Turns,
        check_password: Callable[[bytes], Awaitable[None]] | None = None,
        photo_field: str = PHOTO_FIELD,
    ) -> None:
        self._request = request
        self._media = media
        self._limit_bytes = limit_bytes
        self._seconds = seconds
        self._check_password = check_password
        self._turns = turns
        self._began = time.monotonic()
        self._photo_field = photo_field
        self._upload = Upload(photo_path=photo_path)

    async def read(self) -> Upload:
        """The whole form. Raises `Refusal`; the caller removes the photo's file, whatever happens."""
        parser = PushMultipartParser(
            self._boundary(),
            max_header_size=4096,
            max_header_count=8,
            max_segment_count=MAX_FIELDS + 1,
            header_charset="latin-1",  # a file's name may come in any code page, and does not matter
        )
        sink: _Part | None = None
        try:
            async for chunk in self._chunks():
                if parser.closed:
                    continue
                for event in parser.parse(chunk):
                    if isinstance(event, MultipartSegment):
                        sink = self._open_part(event.name.encode("latin-1").decode("utf-8", "replace"))
                    elif event and sink is not None:
                        await sink.write(event)
                    elif event is None and sink is not None:
                        await sink.close()
                        await self._part_done(sink)
                        sink = None
            parser.close()
        except MultipartError as error:
            raise Refusal(Failure.INVALID_REQUEST, f"The form is broken: {error}.") from error
        finally:
            if sink is not None:
                await sink.abort()
        return self._upload

    def _boundary(self) -> str:
        kind, options = parse_options_header(self._request.headers.get("content-type", ""))
        boundary: str = options.get("boundary", "")
        if kind.lower() != "multipart/form-data" or not 0 < len(boundary) <= 200:
            raise Refusal(Failure.INVALID_REQUEST, "The form must be multipart/form-data with a boundary.")
        return boundary

    def _open_part(self, name: str) -> "_Part":
        if name != self._photo_field:
            return _TextPart(name)
        if self._upload.photo_bytes is not None:
            raise Refusal(Failure.INVALID_REQUEST, f"There is more than one {self._photo_field}.")
        known = HASHES.get(len(self._upload.fields.get("hash", b"").strip()))
        wanted = {"sha256", known} if known else set(HASHES.values())
        return _PhotoPart(
            self._media,
            self._upload.photo_path,
            hashes=wanted,
            limit_bytes=self._limit_bytes,
            turn=lambda: self._turns.turn(since=self._began),
        )

    async def _part_done(self, part: "_Part") -> None:
        if isinstance(part, _PhotoPart):
            self._upload.photo_bytes = part.size
            self._upload.digests = {name: digest.hexdigest() for name, digest in part.digests.items()}
        elif isinstance(part, _TextPart) and part.name not in self._upload.fields:
            self._upload.fields[part.name] = bytes(part.value)
            if part.name == "password" and self._check_password is not None:
                await self._check_password(bytes(part.value))

    async def _chunks(self) -> AsyncIterator[bytes]:
        """The body, within its time and its size."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds
        window_ends, window_bytes, total = loop.time() + RATE_WINDOW_SECONDS, 0, 0
        stream = self._request.stream()
        while True:
            chunk = await self._next_chunk(stream, seconds_left=deadline - loop.time())
            if chunk is None:
                return
            total += len(chunk)
            window_bytes += len(chunk)
            if total > self._limit_bytes + MAX_FORM_BYTES:
                raise Refusal(Failure.PAYLOAD_TOO_LARGE)
            if loop.time() >= window_ends:
                if window_bytes < LEAST_BYTES_PER_SECOND * RATE_WINDOW_SECONDS:
                    raise Refusal(Failure.UPLOAD_STALLED, "The upload is too slow.")
                window_ends, window_bytes = loop.time() + RATE_WINDOW_SECONDS, 0
            yield chunk

    async def _next_chunk(self, stream: AsyncIterator[bytes], *, seconds_left: float) -> bytes | None:
        try:
            async with asyncio.timeout(max(0.0, min(SILENCE_SECONDS, seconds_left))):
                return await anext(stream)
        except StopAsyncIteration:
            return None
        except TimeoutError:
            if seconds_left <= SILENCE_SECONDS:
                raise Refusal(Failure.TIMEOUT, "The upload took all the time there was for the picture.") from None
            raise Refusal(Failure.UPLOAD_STALLED) from None
        except ClientDisconnect:
            raise Refusal(Failure.INVALID_REQUEST, "The client was gone before the form was complete.") from None


class _TextPart:
    """A field: kept in memory, up to 64 KiB."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.value = bytearray()

    async def write(self, data: bytes) -> None:
        if self.name == "password":  # the rest of one that is too long to be right is not kept
            self.value += data[: MAX_PASSWORD_BYTES + 1 - len(self.value)]
            return
        self.value += data
        if len(self.value) > MAX_FIELD_BYTES:
            raise Refusal(Failure.INVALID_REQUEST, "A field is too long.")

    async def close(self) -> None:
        pass

    async def abort(self) -> None:
        pass


class _PhotoPart:
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


_Part = _TextPart | _PhotoPart
