"""How every simulator takes a request: it is written into the journal, and what is no success becomes an answer."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from photochanger.errors import PhotoChangerError
from simulators.stage import Stage

Entry = dict[str, Any]
Handler = Callable[[web.Request, Entry], Awaitable[web.StreamResponse]]


class NoSuccess(PhotoChangerError, ABC):
    """An answer that is no success. `violation`: the request was malformed, which is a mistake of whoever sent it."""

    def __init__(self, message: str, *, violation: bool) -> None:
        self.message = message
        self.violation = violation
        super().__init__(message)

    @abstractmethod
    def response(self) -> web.Response:
        """It as the provider says it."""


def noted(
    stage: Stage, handler: Handler, *, key_of: Callable[[web.Request], str | None]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A handler whose requests are noted, never with their key; the status stays None for a client that goes early."""

    async def handle(request: web.Request) -> web.StreamResponse:
        key = key_of(request)
        entry = stage.journal.open(provider=stage.provider, method=request.method, path=request.path, key=key)
        started = asyncio.get_running_loop().time()
        entry["status"] = None
        try:
            response = await handler(request, entry)
        except NoSuccess as error:
            entry["error"] = error.message if key is None else error.message.replace(key, "****")
            if error.violation:
                stage.journal.violation(entry, entry["error"])
            response = error.response()
        finally:
            entry["seconds"] = round(asyncio.get_running_loop().time() - started, 3)
        entry["status"] = response.status
        if "x-request-id" in response.headers:
            entry["request_id"] = response.headers["x-request-id"]
        return response

    return handle


def bearer_of(request: web.Request) -> str | None:
    """The key, where it comes as a bearer token."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key if scheme == "Bearer" and key else None
