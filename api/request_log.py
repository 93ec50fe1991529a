"""One canonical line per request, and the security headers of every answer.

Handlers add what they learn with `note(request, job=…, slot=…)`.
"""

import time
from collections.abc import Callable
from typing import Any

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.headers import with_security

log = structlog.get_logger()

BODY_IS_READ = "photochanger.body_is_read"
"""In a request's scope once its body has been read to the end: there is nothing more to wait for."""
QUIET_PATHS = {"/livez", "/healthz", "/metrics"}


def note(request: Request, **facts: Any) -> None:
    """Add to this request's line."""
    request.scope.setdefault("photochanger.facts", {}).update(facts)


def noted(scope: Scope) -> dict[str, Any]:
    """What has been added so far."""
    facts: dict[str, Any] = scope.get("photochanger.facts", {})
    return facts


class RequestLog:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, answer_crash: Callable[[Request, Exception], ASGIApp]) -> None:
        self._app = app
        self._answer_crash = answer_crash

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        facts = scope.setdefault("photochanger.facts", {})
        status, size = 0, 0

        async def observe(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = with_security(scope, message["headers"])
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
            await send(message)

        async def watch() -> Message:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                scope[BODY_IS_READ] = True
            return message

        try:
            await self._app(scope, watch, observe)
        except Exception as error:
            if status:  # the answer has begun: all that is left is to break it off
                raise
            await self._answer_crash(Request(scope), error)(scope, watch, observe)
        finally:
            if scope["path"] not in QUIET_PATHS or status >= 400:
                log.info(
                    "request_finished",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    seconds=round(time.monotonic() - started, 4),
                    bytes_out=size,
                    address=(scope.get("client") or ("",))[0],
                    **facts,
                )
