"""Reading a form with a picture: fields into memory within limits, the picture to disk once, hashed on the way.

Booths and administrators send the same kind of form; only the picture's part has another name (`Form`).

The parts come in any order. Each is checked as soon as it is complete: a wrong password ends an upload of 15 MB at its
first kilobyte, when the booth sends it first.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from api.turns import Turns
from api.upload_parts import Part, PhotoPart, TextPart
from photochanger.errors import Failure, Refusal
from photochanger.media import Media
from photochanger.photo import StoredPhoto, stored_photo

MAX_FIELDS = 40
MAX_FORM_BYTES = 256 * 1024
"""What all that is not the photo may take: fields, part headers, boundaries."""
KEPT_CHARACTERS = 1000
SILENCE_SECONDS = 10.0
RATE_WINDOW_SECONDS = 30.0
LEAST_BYTES_PER_SECOND = 20_000
HASHES: dict[int, str] = {32: "md5", 40: "sha1", 64: "sha256"}
"""By the number of hex digits."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a form is made of, whoever sends it."""

    photo_field: str
    """The part that is the photo; any other is a text."""
    max_field_bytes: int
    hashes: frozenset[str]
    """Of the photo, where the form does not say by its part `hash` which one it needs. SHA-256 is always made."""


BOOTH_FORM = Form(photo_field="fileToUpload", max_field_bytes=64 * 1024, hashes=frozenset({"md5", "sha1", "sha256"}))


@dataclass(kw_only=True)
class Upload:
    """A form as it was received. `fields` has the first part of each name, as bytes; the password is taken out."""

    form: Form
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

    async def stored(self, media: Media) -> StoredPhoto:
        """The photo, with what its first bytes say. Raises `Refusal` when there is none, or it is no photo."""
        if self.photo_bytes is None:
            raise Refusal(Failure.INVALID_REQUEST, f"The part {self.form.photo_field} is missing.")
        sha256 = bytes.fromhex(self.digests["sha256"])
        return await asyncio.to_thread(stored_photo, media, self.photo_path, size_bytes=self.photo_bytes, sha256=sha256)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace").replace("\0", "")[:KEPT_CHARACTERS]


class UploadReader:
    """Reads one request. `check_password` is called with the password's bytes the moment its part is complete.

    Whoever is logged in sends no password.
    """

    def __init__(
        self,
        request: Request,
        *,
        form: Form,
        media: Media,
        photo_path: str,
        limit_bytes: int,
        seconds: float,
        turns: Turns,
        check_password: Callable[[bytes], Awaitable[None]] | None = None,
    ) -> None:
        self._request = request
        self._form = form
        self._media = media
        self._limit_bytes = limit_bytes
        self._seconds = seconds
        self._check_password = check_password
        self._turns = turns
        self._began = time.monotonic()
        self._upload = Upload(form=form, photo_path=photo_path)

    async def read(self) -> Upload:
        """The whole form. Raises `Refusal`; the caller removes the photo's file, whatever happens."""
        parser = PushMultipartParser(
            self._boundary(),
            max_header_size=4096,
            max_header_count=8,
            max_segment_count=MAX_FIELDS + 1,
            header_charset="latin-1",  # a file's name may come in any code page, and does not matter
        )
        sink: Part | None = None
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

    def _open_part(self, name: str) -> Part:
        if name != self._form.photo_field:
            return TextPart(name, limit_bytes=self._form.max_field_bytes)
        if self._upload.photo_bytes is not None:
            raise Refusal(Failure.INVALID_REQUEST, f"There is more than one {name}.")
        known = HASHES.get(len(self._upload.fields.get("hash", b"").strip()))
        wanted = {"sha256"} | ({known} if known else self._form.hashes)
        return PhotoPart(
            self._media,
            self._upload.photo_path,
            hashes=wanted,
            limit_bytes=self._limit_bytes,
            turn=lambda: self._turns.turn(since=self._began),
        )

    async def _part_done(self, part: Part) -> None:
        if isinstance(part, PhotoPart):
            self._upload.photo_bytes = part.size
            self._upload.digests = {name: digest.hexdigest() for name, digest in part.digests.items()}
        elif isinstance(part, TextPart) and part.name not in self._upload.fields:
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
