"""What OpenAI's answers mean. Pure functions over the whole answer; any junk ends in `ProviderFailed`.

    200 with a picture         → Image
    200 with an empty list     → NO_IMAGE, which costs all the same
    200 of another shape       → BAD_RESPONSE
    300 and above              → by the envelope's code, then its type, then the status

An error is `{"error": {message, type, param, code}}`, or a page of Cloudflare's. A refusal for the content is a 400
like any malformed request: only code and type tell. They are open sets; what is unknown is never repeated.

5xx may have been billed, and is repeated all the same, if the deadline allows: it says that there will be no picture,
and a guest without one costs more than the few cents. A connection lost without any answer is another matter (body.py).
"""

import binascii
import re
from typing import Any

from runner.body import Answer, clean
from runner.cost import cost_usd, tokens_usd
from runner.driver import Call, Image, Outcome, ProviderFailed, Receipt
from runner.reading import count_of, header, parsed, text_of, words_of_page

BLOCKED = frozenset({"moderation_blocked", "content_policy_violation"})
USER_ERRORS = frozenset({"image_generation_user_error", "user_error"})
MALFORMED = ("invalid_", "unknown_", "unsupported_", "missing_")
"""Codes that begin like this are about the request, even under a type of `USER_ERRORS`."""
USED_UP = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
UNAVAILABLE = frozenset({408, 409, *range(500, 600)})
"""409: OpenAI's own clients repeat it as they do a 408."""
REPEATABLE = frozenset({Outcome.RATE_LIMITED, Outcome.PROVIDER_UNAVAILABLE})
REQUEST_ID_HEADERS = ("x-request-id", "cf-ray")
"""What OpenAI calls this exchange, for its support."""
SECONDS = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,9})?")
MILLISECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


def image(answer: Answer, call: Call) -> Image:
    """The picture of a 2xx answer. Raises `ProviderFailed`, with what the answer cost."""
    document = parsed(answer.body)
    pictures = field(document, "data")
    encoded = field(pictures[0], "b64_json") if isinstance(pictures, list) and pictures else None
    data = _decoded(encoded)
    if data is not None:
        return Image(data=data, receipt=_receipt(document, answer, call, pictures=1))
    if isinstance(document, dict) and pictures == [] and field(document, "error") is None:
        outcome, reason = Outcome.NO_IMAGE, "the answer's list of pictures is empty"
    elif encoded is not None:
        outcome, reason = Outcome.BAD_RESPONSE, "the picture is not base64"
    else:
        outcome, reason = Outcome.BAD_RESPONSE, "the answer holds no list of pictures"
    raise ProviderFailed(outcome, reason, repeatable=True, receipt=_receipt(document, answer, call, pictures=0))


def failure(answer: Answer, *, model: str, key: str | None) -> ProviderFailed:
    """What an answer of 300 and above means."""
    document = parsed(answer.body)
    error = field(document, "error")
    code, kind = text_of(field(error, "code")), text_of(field(error, "type"))
    message = text_of(field(error, "message")) or text_of(error)
    outcome = _outcome(answer.status, code=code, kind=kind)
    told = message or (words_of_page(answer.body) if document is None else "")
    return ProviderFailed(
        outcome,
        clean(f"HTTP {answer.status} {code or kind}".rstrip() + f": {told}", key=key).rstrip(": "),
        repeatable=outcome in REPEATABLE and answer.headers.get("x-should-retry") != "false",
        retry_after_seconds=_hint(answer) if outcome in REPEATABLE else None,
        receipt=Receipt(model=model, http_status=answer.status, request_id=header(answer, REQUEST_ID_HEADERS, key=key)),
    )


def field(node: object, name: str) -> Any:
    """A field of an object; None where there is no such thing."""
    return node.get(name) if isinstance(node, dict) else None


def _decoded(encoded: object) -> bytes | None:
    try:
        return binascii.a2b_base64(encoded, strict_mode=True) if isinstance(encoded, str) and encoded else None
    except ValueError:
        return None


def _outcome(status: int, *, code: str, kind: str) -> Outcome:
    if status in UNAVAILABLE:
        return Outcome.PROVIDER_UNAVAILABLE
    if status < 400:
        return Outcome.BAD_RESPONSE  # a redirect, which is not followed
    if USED_UP & {code, kind}:
        return Outcome.QUOTA_EXHAUSTED
    if status == 429:
        return Outcome.RATE_LIMITED
    if status in {401, 403}:
        return Outcome.AUTH
    if BLOCKED & {code, kind} or (kind in USER_ERRORS and not code.startswith(MALFORMED)):
        return Outcome.CONTENT_BLOCKED
    if code == "model_not_found":
        return Outcome.MODEL_RETIRED
    return Outcome.INVALID_REQUEST


def _hint(answer: Answer) -> float | None:
    """`retry-after-ms`, the exact one, else `Retry-After` in seconds."""
    exact, rough = (answer.headers.get(name, "").strip() for name in ("retry-after-ms", "Retry-After"))
    if MILLISECONDS.fullmatch(exact):
        return float(exact) / 1000
    return float(rough) if SECONDS.fullmatch(rough) else None


def _receipt(document: object, answer: Answer, call: Call, *, pictures: int) -> Receipt:
    usage = _usage(field(document, "usage"))
    if usage is not None:
        kinds = ("input_text", "input_image", "output_text", "output_image")
        cost = tokens_usd(call.model, {kind: usage[f"{kind}_tokens"] for kind in kinds})
    else:
        quality = text_of(field(document, "quality")) or call.settings.get("quality", "auto")
        cost = cost_usd(call.model, None, pictures=pictures, size=quality)
    return Receipt(
        model=call.model.name,
        http_status=answer.status,
        request_id=header(answer, REQUEST_ID_HEADERS, key=call.key),
        usage=usage,
        cost_usd=cost,
    )


def _usage(told: object) -> dict[str, int] | None:
    """Tokens by what they are. What is not told apart counts as the picture's, which is the dearer."""
    if not isinstance(told, dict) or not told:
        return None
    usage = {name: count_of(told.get(name)) for name in ("input_tokens", "output_tokens", "total_tokens")}
    for side in ("input", "output"):
        text = min(count_of(field(told.get(f"{side}_tokens_details"), "text_tokens")), usage[f"{side}_tokens"])
        usage[f"{side}_text_tokens"] = text
        usage[f"{side}_image_tokens"] = usage[f"{side}_tokens"] - text
    return usage
