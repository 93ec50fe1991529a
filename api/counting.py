"""Counts what booths ask for and get: a decorator around the handler, and two words from inside it."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps

from starlette.requests import Request
from starlette.responses import Response

from photochanger import metrics
from photochanger.db import UNAVAILABLE
from photochanger.errors import Failure, Refusal
from photochanger.slots import Slot

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(kw_only=True)
class _Upload:
    """What is known of a request so far. The slot's names come from its row, never from the request."""

    began: float
    slot_id: str | None = None
    provider: str = ""
    receiving: bool = False
    taken_in: bool = False


def counted(handler: Handler) -> Handler:
    """Count the answer. A request whose handler is cut off has none."""

    @wraps(handler)
    async def counting(request: Request) -> Response:
        upload = request.state.upload = _Upload(began=time.monotonic())
        try:
            response = await handler(request)
        except Exception as error:
            _count(upload, _failure_of(error))
            raise
        finally:
            _received(upload)
        _count(upload, None)
        return response

    return counting


def for_slot(request: Request, slot: Slot) -> None:
    """The upload names a slot that takes photos."""
    upload: _Upload = request.state.upload
    upload.slot_id, upload.provider, upload.receiving = slot.slot_id, slot.provider, True
    metrics.upload_began(slot_id=slot.slot_id, provider=slot.provider)


def taken_in(request: Request, *, arrived: float, received: float) -> None:
    """The photo has its job now. `arrived`, `received` (all of the body): by the monotonic clock."""
    upload: _Upload = request.state.upload
    upload.taken_in = True
    _received(upload)
    metrics.stage("upload", received - arrived)
    metrics.stage("admit", time.monotonic() - received)


def _received(upload: _Upload) -> None:
    if upload.receiving:
        upload.receiving = False
        metrics.upload_ended()


def _count(upload: _Upload, failure: Failure | None) -> None:
    metrics.answered(failure)
    if upload.slot_id is not None:
        metrics.slot_answered(failure, slot_id=upload.slot_id, provider=upload.provider)
        if upload.taken_in:
            metrics.DURATION.labels(upload.slot_id).observe(time.monotonic() - upload.began)


def _failure_of(error: Exception) -> Failure:
    if isinstance(error, Refusal):
        return error.failure
    return Failure.DATABASE_UNAVAILABLE if isinstance(error, UNAVAILABLE) else Failure.INTERNAL_ERROR
