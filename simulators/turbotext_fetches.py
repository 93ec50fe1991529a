"""Turbotext has no upload: it downloads its pictures itself, and so does the simulator, from the real URLs.

Each download is written down (`GET /__emu/turbotext/fetches`): URL, time, status, bytes, hash. Redirects are not
followed. A scenario can have a URL fetched once more later, which proves whether a link dies when it should.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp import web

from photochanger.errors import PhotoChangerError
from simulators.stage import MAX_KEPT

TIMEOUT_SECONDS = 10.0
MAX_BYTES = 20 * 1024 * 1024
CHUNK_BYTES = 256 * 1024
MAX_HELD = 32
"""Downloads held in memory at the same time; others wait their turn."""

Note = dict[str, Any]


class FetchFailed(PhotoChangerError):
    """A URL that gave no picture. The text says why."""


class Fetcher:
    """The downloads of one simulator."""

    def __init__(self, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.made: deque[Note] = deque(maxlen=MAX_KEPT)
        self.places = asyncio.Semaphore(MAX_HELD)
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None
        self._later: set[asyncio.Task[None]] = set()

    async def lifespan(self, _app: web.Application) -> AsyncIterator[None]:
        """For the application's `cleanup_ctx`."""
        async with aiohttp.ClientSession(
            timeout=self._timeout,
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "Turbotext simulator", "Accept-Encoding": "identity"},
        ) as self._session:
            yield
            for task in self._later:
                task.cancel()
            await asyncio.gather(*self._later, return_exceptions=True)

    async def fetch(self, url: str, note: Note, *, keep: bool) -> bytes:
        """Download the URL and complete the note; nothing is returned unless it is to `keep`. Raises `FetchFailed`."""
        started = asyncio.get_running_loop().time()
        note |= {"url": url, "at": datetime.now(UTC).isoformat(timespec="milliseconds"), "status": None}
        note |= {"mime": None, "length": None, "bytes": 0, "sha256": None, "error": None}
        self.made.append(note)
        try:
            return await self._download(url, note, keep=keep)
        except FetchFailed as error:
            note["error"] = str(error)
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:
            note["error"] = str(error) or type(error).__name__
            raise FetchFailed(note["error"]) from error
        finally:
            note["seconds"] = round(asyncio.get_running_loop().time() - started, 3)

    def again_later(self, url: str, note: Note, *, seconds: float, judge: Callable[[Note], None]) -> None:
        """Fetch the URL after that time and give the completed note to `judge`."""

        async def again() -> None:
            await asyncio.sleep(seconds)
            with suppress(FetchFailed):  # the note says so
                await self.fetch(url, note, keep=False)
            judge(note)

        task = asyncio.create_task(again())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _download(self, url: str, note: Note, *, keep: bool) -> bytes:
        assert self._session is not None, "the application has not started"
        digest, kept = hashlib.sha256(), bytearray()
        async with self._session.get(url, allow_redirects=False) as response:
            note |= {"status": response.status, "mime": response.headers.get("Content-Type")}
            note["length"] = response.content_length
            async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                note["bytes"] += len(chunk)
                if note["bytes"] > MAX_BYTES:
                    raise FetchFailed(f"more than {MAX_BYTES} bytes")
                digest.update(chunk)
                if keep:
                    kept += chunk
        note["sha256"] = digest.hexdigest()
        if note["status"] != 200:
            raise FetchFailed(f"status {note['status']}")
        return bytes(kept)
