"""One exchange with a provider: what is sent, what comes back, and what it means when either is lost.

    nothing sent, or not all of it  → NETWORK, repeatable: nobody can have worked on half a request
    lost after all of it was sent   → AMBIGUOUS: the picture may be made and paid, so it is not bought again
    the deadline passed             → TIMEOUT

Photos are read from disk piece by piece while they are sent; answers are read up to a limit.
"""

import asyncio
import binascii
import math
import os
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    InvalidURL,
    NonHttpUrlClientError,
)

from photochanger.plain_files import open_plain
from runner.driver import Outcome, ProviderFailed, Receipt

MAX_ANSWER_BYTES = 32 * 1024 * 1024
MAX_ERROR_BYTES = 1024 * 1024
ERROR_BODY_SECONDS = 2.0
"""An error's status counts more than its text: this long its body is waited for."""
CONNECT_SECONDS = 5.0
CHUNK_BYTES = 768 * 1024
"""A multiple of 3, so that the base64 of the pieces is the base64 of the whole."""

TEXT_CHARACTERS = 4_000
URL_QUERY = re.compile(r"\?[^\s\"'<>?]*=[^\s\"'<>]*")
ENCODED_BYTES = re.compile(r"[A-Za-z0-9+/_=-]{64,}")


@dataclass(frozen=True)
class Base64Of:
    """The base64 of a file, as a piece of an upload."""

    path: Path
    size_bytes: int

    def __len__(self) -> int:
        return (self.size_bytes + 2) // 3 * 4


@dataclass(frozen=True)
class FileBytes:
    """A file as it is, as a piece of an upload."""

    path: Path
    size_bytes: int

    def __len__(self) -> int:
        return self.size_bytes


class Upload:
    """A request body of known length, made while it is sent; knows whether all of it was handed over.

    Each piece of a file is one open, read and close in a thread: a call that is cut off leaves no descriptor behind.
    """

    def __init__(self, *pieces: bytes | Base64Of | FileBytes) -> None:
        self._pieces = pieces
        self._handed_over_bytes = 0
        self.length = sum(len(piece) for piece in pieces)
        self.file_error: OSError | None = None

    @property
    def complete(self) -> bool:
        """Whether the provider may have all of it."""
        return self._handed_over_bytes >= self.length

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            for offset in range(0, 1 if isinstance(piece, bytes) else piece.size_bytes, CHUNK_BYTES):
                chunk = piece if isinstance(piece, bytes) else await self._read(piece, offset=offset)
                self._handed_over_bytes += len(chunk)
                yield chunk

    async def _read(self, piece: Base64Of | FileBytes, *, offset: int) -> bytes:
        wanted_bytes = min(CHUNK_BYTES, piece.size_bytes - offset)
        read = _base64_at if isinstance(piece, Base64Of) else _bytes_at
        try:
            return await asyncio.to_thread(read, piece.path, offset=offset, wanted_bytes=wanted_bytes)
        except OSError as error:
            self.file_error = error
            raise


def _base64_at(path: Path, *, offset: int, wanted_bytes: int) -> bytes:
    return binascii.b2a_base64(_bytes_at(path, offset=offset, wanted_bytes=wanted_bytes), newline=False)


def _bytes_at(path: Path, *, offset: int, wanted_bytes: int) -> bytes:
    with os.fdopen(open_plain(path), "rb", buffering=0) as file:
        file.seek(offset)
        data = file.read(wanted_bytes)
    if len(data) < wanted_bytes:
        raise OSError("shorter than it was")
    return data


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back. The body of an error (300 and above) is empty when it was too long, too slow or cut off."""

    status: int
    headers: Mapping[str, str]
    """Found whatever their case."""
    body: bytes


async def ask(
    http: ClientSession,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    key: str | None,
    deadline: float,
    upload: Upload | None = None,
    receipt: Receipt | None = None,
) -> Answer:
    """Send one request and read its answer, whatever its status; redirects are not followed.

    `deadline` is by the event loop's clock; `key` is only taken out of what is told. A request without an upload buys
    nothing: losing its answer is NETWORK. Raises `ProviderFailed`, with the `receipt` as far as it is known beforehand.
    """
    receipt = receipt or Receipt()
    left_seconds = deadline - asyncio.get_running_loop().time()
    if left_seconds <= 0:
        raise ProviderFailed(Outcome.TIMEOUT, "no time was left for the call", receipt=receipt)
    # aiohttp rounds timeouts above its threshold up to whole seconds; a total of 0 would mean none at all.
    timeout = ClientTimeout(
        total=left_seconds, sock_connect=min(CONNECT_SECONDS, left_seconds), ceil_threshold=math.inf
    )
    length = {} if upload is None else {"Content-Length": str(upload.length)}
    status = None
    try:
        async with http.request(
            method,
            url,
            headers={**headers, **length, "Accept-Encoding": "identity"},
            data=upload,
            timeout=timeout,
            allow_redirects=False,
            raise_for_status=False,
        ) as response:
            status = response.status
            body = await (_body(response) if status < 300 else _error_body(response))
            return Answer(status=status, headers=response.headers, body=body)
    except _TooLong as error:
        outcome, reason, repeatable = Outcome.BAD_RESPONSE, str(error), True
    except (ClientError, OSError) as error:
        outcome, reason, repeatable = _meaning(error, upload=upload, deadline=deadline)
    raise ProviderFailed(
        outcome, clean(reason, key=key), repeatable=repeatable, receipt=replace(receipt, http_status=status)
    )


class _TooLong(Exception):
    """An answer beyond its limit."""


async def _body(response: ClientResponse, *, most_bytes: int = MAX_ANSWER_BYTES) -> bytes:
    body = bytearray()
    if (response.content_length or 0) <= most_bytes:
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > most_bytes:
                break
        else:
            return bytes(body)
    raise _TooLong(f"the answer is longer than {most_bytes // 1024 // 1024} MB")


async def _error_body(response: ClientResponse) -> bytes:
    try:
        async with asyncio.timeout(ERROR_BODY_SECONDS):
            return await _body(response, most_bytes=MAX_ERROR_BYTES)
    except (ClientError, OSError, _TooLong):
        return b""


def _meaning(error: ClientError | OSError, *, upload: Upload | None, deadline: float) -> tuple[Outcome, str, bool]:
    """What a lost exchange means: outcome, reason, repeatable. A TimeoutError is an OSError too."""
    told = f"{type(error).__name__}: {error}".rstrip(": ")
    connecting = isinstance(error, ClientConnectorError | ConnectionTimeoutError)
    if upload is not None and upload.file_error is not None:
        lost = upload.file_error.strerror or upload.file_error
        return Outcome.INVALID_REQUEST, f"the prepared picture cannot be read: {lost}", False
    if isinstance(error, InvalidURL | NonHttpUrlClientError):
        return Outcome.INVALID_REQUEST, f"the provider's address is none: {told}", False
    if isinstance(error, TimeoutError) and not (connecting and asyncio.get_running_loop().time() < deadline):
        return Outcome.TIMEOUT, "the provider did not answer in time", False
    if isinstance(error, ClientResponseError):
        return Outcome.BAD_RESPONSE, f"the answer is not HTTP: {told}", True
    if connecting or upload is None or not upload.complete:
        return Outcome.NETWORK, told, True
    return Outcome.AMBIGUOUS, f"lost after the request was sent: {told}", False


def clean(text: str, *, key: str | None) -> str:
    """A provider's words as one printable line: without the key, URL queries and encoded bytes."""
    if key:
        text = text.replace(key, "[key]").replace(quote(key, safe=""), "[key]")
    text = "".join(character if character.isprintable() else " " for character in text[:TEXT_CHARACTERS])
    return ENCODED_BYTES.sub("[…]", URL_QUERY.sub("", " ".join(text.split())))
