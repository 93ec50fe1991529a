"""How every failure leaves: one handler for the whole family, and an answer that reaches a client still sending.

A client that is in the middle of its upload reads no answer if the connection is closed under it: it sees a reset. So
the answer goes out at once, what still comes is read and thrown away for a while, and only then does the exchange end.
"""

import asyncio
from contextlib import suppress
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler, Receive, Scope, Send

from api.pages.rendering import wants_page
from api.pages.trouble import trouble_page
from api.request_log import BODY_IS_READ, note
from photochanger.db import UNAVAILABLE
from photochanger.errors import Failure, Refusal

log = structlog.get_logger()

DISCARD_SECONDS = 5.0
DISCARD_BYTES = 24 * 1024 * 1024


class _Patient(Response):
    """An answer that reaches a client which is still sending."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": bytes(self.body), "more_body": True})
        if not scope.get(BODY_IS_READ, False):
            with suppress(TimeoutError):
                async with asyncio.timeout(DISCARD_SECONDS):
                    await _discard(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class RefusalResponse(_Patient, JSONResponse):
    """The JSON answer to a refused request."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.body(), refusal.failure.status, headers=refusal.headers())


class RefusalPage(_Patient):
    """What a person's browser gets instead: a page that says what happened and what to do."""

    def __init__(self, page: Response) -> None:
        super().__init__(page.body, page.status_code)
        self.raw_headers = page.raw_headers


async def _discard(receive: Receive) -> None:
    discarded = 0
    while discarded <= DISCARD_BYTES:
        message = await receive()
        discarded += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return


def answer(request: Request, refusal: Refusal) -> Response:
    """Its answer; the request's line says why."""
    note(request, failure_reason=refusal.failure.code, details=refusal.details)
    if refusal.job_id is not None:
        note(request, job=refusal.job_id)
    return RefusalPage(trouble_page(request, refusal)) if wants_page(request) else RefusalResponse(refusal)


async def refuse(request: Request, error: Exception) -> Response:
    """A deliberate failure."""
    assert isinstance(error, Refusal)
    return answer(request, error)


async def refuse_without_database(request: Request, error: Exception) -> Response:
    """The database is away, restarting, locked up or out of connections."""
    note(request, error=type(error).__name__)
    return answer(request, Refusal(Failure.DATABASE_UNAVAILABLE, retry_after_seconds=2))


async def refuse_unrouted(request: Request, error: Exception) -> Response:
    """No such address, or not with this method."""
    assert isinstance(error, HTTPException)
    known = error.status_code == Failure.METHOD_NOT_ALLOWED.status
    response = answer(request, Refusal(Failure.METHOD_NOT_ALLOWED if known else Failure.NOT_FOUND))
    response.headers.update(error.headers or {})  # `Allow` says with which methods
    return response


def refuse_after_crash(request: Request, error: Exception) -> Response:
    """A mistake of ours: the traceback goes to the log, never into the answer."""
    note(request, error=type(error).__name__)
    log.error("request_crashed", path=request.url.path, exc_info=error)
    return answer(request, Refusal(Failure.INTERNAL_ERROR))


HANDLERS: dict[Any, ExceptionHandler] = {
    Refusal: refuse,
    HTTPException: refuse_unrouted,
    **dict.fromkeys(UNAVAILABLE, refuse_without_database),
}
"""`RequestLog` answers for everything else, with `refuse_after_crash`."""
