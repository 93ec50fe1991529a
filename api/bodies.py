"""JSON in and out: bodies of requests within limits, moments as the contract writes them."""

import json
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from photochanger import moments
from photochanger.errors import Failure, Refusal

MAX_JSON_BYTES = 256 * 1024
MAX_FORM_BYTES = 256 * 1024
MAX_FORM_FIELDS = 200


async def json_object(request: Request, *, optional: bool = False, not_numbers: bool = False) -> dict[str, Any]:
    """The body, which must be one JSON object of up to 256 KiB; `optional`: or nothing, which counts as empty.

    `not_numbers`: NaN and Infinity, which are Python's and not JSON's, come as floats to one who names their field.
    Raises `Refusal`: 413, or 400 for anything else.
    """
    raw = bytearray()
    try:
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > MAX_JSON_BYTES:
                raise Refusal(Failure.PAYLOAD_TOO_LARGE, f"The body may have {MAX_JSON_BYTES // 1024} KiB.")
    except ClientDisconnect:
        raise Refusal(Failure.INVALID_REQUEST, "The client was gone before the body was complete.") from None
    return {} if optional and not raw else parsed_object(raw, what="The body", not_numbers=not_numbers)


def parsed_object(raw: bytes | bytearray, *, what: str, not_numbers: bool = False) -> dict[str, Any]:
    """One JSON object. Raises `Refusal` (400), which calls it `what`."""
    try:
        loaded = json.loads(raw.decode("utf-8"), parse_constant=float if not_numbers else _no_constant)
    except (RecursionError, ValueError):
        raise Refusal(Failure.INVALID_REQUEST, f"{what} must be JSON.") from None
    if not isinstance(loaded, dict):
        raise Refusal(Failure.INVALID_REQUEST, f"{what} must be a JSON object.")
    return loaded


async def form_fields(request: Request) -> dict[str, str]:
    """An urlencoded form of up to 256 KiB; the first field of a name counts. Raises `Refusal`: 413, or 400.

    May be asked for again: Starlette keeps the body.
    """
    declared = request.headers.get("content-length")
    if declared is None:
        raise Refusal(Failure.INVALID_REQUEST, "A form must tell its length.")
    if int(declared) > MAX_FORM_BYTES:
        raise Refusal(Failure.PAYLOAD_TOO_LARGE, f"The form may have {MAX_FORM_BYTES // 1024} KiB.")
    try:
        text = (await request.body()).decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FORM_FIELDS)
    except ClientDisconnect:
        raise Refusal(Failure.INVALID_REQUEST, "The client was gone before the form was complete.") from None
    except ValueError:
        raise Refusal(Failure.INVALID_REQUEST, "The form is broken.") from None
    return dict(reversed(pairs))


def _no_constant(name: str) -> None:
    raise ValueError(name)


def moment(value: datetime | None) -> str | None:
    """RFC 3339 in UTC with milliseconds: `2026-11-05T18:00:00.000Z`. None stays None."""
    return None if value is None else moments.written(value)
