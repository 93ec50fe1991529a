"""How a request to Turbotext comes: a Bearer key in its head, an urlencoded form in its body, nothing in its URL."""

from urllib.parse import parse_qsl

from aiohttp import web

from simulators.turbotext_request import Refused

FORM_TYPE = "application/x-www-form-urlencoded"
MAX_FORM_BYTES = 64 * 1024
MAX_FIELDS = 40


async def form_of(request: web.Request) -> dict[str, str]:
    """The form's fields. Only a form without any may come without a content type. Raises `Refused`."""
    if request.query_string:
        raise Refused("parameters belong into the body, not into the URL")
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise Refused("the form is too large", error="size_error") from None
    if body and (request.content_type != FORM_TYPE or (request.charset or "utf-8").lower() != "utf-8"):
        raise Refused(f"Content-Type must be {FORM_TYPE}, not {request.headers.get('Content-Type')}")
    return _fields(body)


def _fields(body: bytes) -> dict[str, str]:
    if len(body) > MAX_FORM_BYTES:
        raise Refused(f"the form has more than {MAX_FORM_BYTES} bytes", error="size_error")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as error:
        raise Refused(f"the body is no urlencoded form: {error}") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Refused("a parameter is there twice")
    return fields
