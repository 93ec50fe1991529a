"""Has each answer to a booth recorded, once it is out: that it went, or that the booth had gone.

No answer waits for it. What is out is noted in memory and written by a task of its own, all that has gathered in one
statement; when the database cannot take it, it is forgotten with a line in the log.
"""

import asyncio
import time
from contextlib import suppress

import structlog
from psycopg import Error
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.request_log import noted
from photochanger import sent_answers
from photochanger.db import UNAVAILABLE, Database
from photochanger.sent_answers import SentAnswer

log = structlog.get_logger()

MOST_WAITING = 1000
"""Beyond this while the database is slow, answers go unrecorded."""
CLOSING_SECONDS = 2.0
FAILURES: tuple[type[Exception], ...] = (*UNAVAILABLE, Error)


class SentAnswers:
    """The answers of this process that are still to be recorded."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: list[tuple[SentAnswer, float]] = []
        self._writing: asyncio.Task[None] | None = None

    def note(self, answer: SentAnswer) -> None:
        """It is out, or broke off, at this moment."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append((answer, time.monotonic()))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Write what is still to be written, if that is quickly done."""
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=CLOSING_SECONDS)
            self._writing.cancel()
            with suppress(asyncio.CancelledError):
                await self._writing

    async def _write(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting, []
            now = time.monotonic()
            try:
                async with self._db.direct() as conn:
                    await sent_answers.record(conn, [(answer, now - out_at) for answer, out_at in taken])
            except FAILURES as error:
                log.warning("sent_answers_not_recorded", count=len(taken), error=type(error).__name__)


class TellSent:
    """ASGI middleware for booths' routes: counts what goes out of an answer about a job, and looks who is there."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, size, began, complete, gone = 0, 0, 0.0, False, False

        async def watch() -> Message:
            nonlocal gone
            message = await receive()
            # After the answer's end a server says so too.
            gone = gone or (message["type"] == "http.disconnect" and not complete)
            return message

        async def count(message: Message) -> None:
            nonlocal status, size, began, complete, gone
            if message["type"] == "http.response.start":
                status, began = message["status"], time.monotonic()
                gone = gone or ("job" in noted(scope) and await _has_gone(receive))
            await send(message)
            if message["type"] == "http.response.body" and not gone:
                size += len(message.get("body", b""))
                complete = not message.get("more_body", False)

        await self._app(scope, watch, count)
        facts = noted(scope)
        if "job" in facts and status:
            answer = SentAnswer(
                job_id=facts["job"],
                http_status=status,
                size_bytes=size,
                seconds=time.monotonic() - began,
                gone=gone,
                joined=facts["joined"],
            )
            here: SentAnswers = scope["app"].state.services.sent_answers
            here.note(answer)


async def _has_gone(receive: Receive) -> bool:
    """Whether the client hung up. The request's body has been read to its end: nothing else is to come."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0):
            return bool((await receive())["type"] == "http.disconnect")
    return False
