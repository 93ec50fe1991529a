"""What Gemini's answers mean. Pure functions over the whole answer; any junk ends in `ProviderFailed`.

    200 with a picture                          → Image
    200, blocked (finishReason, blockReason)    → CONTENT_BLOCKED
    200 with words, drafts or nothing           → NO_IMAGE, which may cost all the same
    200 of another shape                        → BAD_RESPONSE
    300 and above                               → by the status, refined by the envelope's details; never billed

Keys are read in camelCase, as Google answers, and in snake_case, as some proxies do. Names of reasons are an open
set: an unknown one never gives a picture. An error is `{"error": {code, status, message, details}}`, the same in a
one-element list, or whatever a proxy says. Facts: Google's documentation, and its SDK's list of August 2026.
"""

import binascii
import re
from typing import Any, NamedTuple

from runner.body import Answer, clean
from runner.cost import cost_usd
from runner.driver import Call, Image, Outcome, ProviderFailed, Receipt
from runner.reading import MOST_TOKENS, count_of, header, parsed, text_of, words_of_page

BLOCKED = frozenset(
    {
        *("SAFETY", "PROHIBITED_CONTENT", "RECITATION", "BLOCKLIST", "SPII"),
        *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
    }
)
GIVES_A_PICTURE = frozenset({"", "STOP", "MAX_TOKENS", "FINISH_REASON_UNSPECIFIED"})
DEFAULT_SIZE = "1K"
REQUEST_ID_HEADERS = ("x-request-id", "x-goog-request-id")
CAPITAL = re.compile(r"[A-Z]")
URL_SAFE = str.maketrans("-_", "+/")
UNAVAILABLE = frozenset({408, *range(500, 600)})
DURATION = re.compile(r"(\d{1,6}(?:\.\d{1,9})?)s")
WHOLE_SECONDS = re.compile(r"\d{1,6}")
LIMIT_ZERO = re.compile(r"\blimit:\s*0(?![\d.])", re.IGNORECASE)
BAD_KEY = re.compile(r"\bAPI[ _]key (?:not valid|not found|expired|invalid)", re.IGNORECASE)
PER_DAY = re.compile(r"per_?day", re.IGNORECASE)


class Without(NamedTuple):
    """Why an answer has no picture to give."""

    outcome: Outcome
    reason: str
    repeatable: bool = False


def image(answer: Answer, call: Call) -> Image:
    """The picture of a 2xx answer. Raises `ProviderFailed`, with what the answer cost."""
    document = parsed(answer.body)
    verdict = _verdict(document)
    receipt = _receipt(document, answer, call, pictures=1 if isinstance(verdict, bytes) else 0)
    if isinstance(verdict, bytes):
        return Image(data=verdict, receipt=receipt)
    raise ProviderFailed(
        verdict.outcome, clean(verdict.reason, key=call.key), repeatable=verdict.repeatable, receipt=receipt
    )


def failure(answer: Answer, *, model: str, key: str | None) -> ProviderFailed:
    """What an answer of 300 and above means."""
    document = parsed(answer.body)
    if isinstance(document, list) and document:
        document = document[0]
    error = field(document, "error")
    message = text_of(field(error, "message")) or text_of(error)
    details = field(error, "details")
    details = details if isinstance(details, list) else []
    name = text_of(field(error, "status"))
    outcome = _outcome(answer.status, name, message, details)
    told = message or (words_of_page(answer.body) if document is None else "")
    repeatable = outcome in {Outcome.RATE_LIMITED, Outcome.PROVIDER_UNAVAILABLE}
    return ProviderFailed(
        outcome,
        clean(f"HTTP {answer.status} {name}".rstrip() + f": {told}", key=key).rstrip(": "),
        repeatable=repeatable,
        retry_after_seconds=_hint(details, answer) if repeatable else None,
        receipt=Receipt(model=model, http_status=answer.status, request_id=_request_id(answer, document, key=key)),
    )


def field(node: object, name: str) -> Any:
    """A field by its camelCase name, else by its snake_case one; None where there is no such thing."""
    if not isinstance(node, dict):
        return None
    return node[name] if name in node else node.get(CAPITAL.sub(lambda capital: f"_{capital[0].lower()}", name))


def _verdict(document: object) -> bytes | Without:
    candidates = field(document, "candidates")
    if block := field(field(document, "promptFeedback"), "blockReason"):
        return Without(Outcome.CONTENT_BLOCKED, f"the request was blocked: {text_of(block)}".rstrip(": "))
    if not isinstance(document, dict) or not isinstance(candidates, list | None):
        return _misshapen("the answer is not Gemini's JSON")
    if candidates:
        return _verdict_on(candidates[0])
    if any(field(document, name) is not None for name in ("candidates", "promptFeedback", "usageMetadata")):
        return Without(Outcome.NO_IMAGE, "no candidates", repeatable=True)
    return _misshapen("the answer holds nothing of Gemini's")


def _verdict_on(candidate: object) -> bytes | Without:
    finish = field(candidate, "finishReason")
    reason = "" if finish in (None, "") else text_of(finish) or "an unreadable reason"
    said = text_of(field(candidate, "finishMessage"))
    if reason in BLOCKED:
        return Without(Outcome.CONTENT_BLOCKED, f"{reason}: {said}".rstrip(": "))
    content = field(candidate, "content")
    parts = field(content, "parts")
    if not isinstance(candidate, dict) or not isinstance(content, dict | None) or not isinstance(parts, list | None):
        return _misshapen("a candidate of another shape")
    if not all(isinstance(part, dict) for part in parts or ()):
        return _misshapen("a part of another shape")
    parts = parts or []
    final = [part for part in parts if field(part, "thought") in (None, False)]
    pictures = [inline for part in final if (inline := field(part, "inlineData")) is not None]
    if pictures and reason in GIVES_A_PICTURE:
        return _decoded(field(pictures[-1], "data"))
    words = said or " ".join(text_of(field(part, "text")) for part in final)
    drafts = " but drafts" if any(field(part, "inlineData") is not None for part in parts) and not pictures else ""
    told = f"{reason or 'no finish reason'}, no picture{drafts}: {words}".rstrip(": ")
    return Without(Outcome.NO_IMAGE, told, repeatable=reason != "MAX_TOKENS")


def _decoded(data: object) -> bytes | Without:
    """Both alphabets of base64, with or without padding."""
    if not isinstance(data, str) or not data:
        return _misshapen("a picture without its bytes")
    try:
        standard = data.translate(URL_SAFE) if "-" in data or "_" in data else data
        padding = "=" * (-len(standard) % 4)
        return binascii.a2b_base64(standard + padding if padding else standard, strict_mode=True)
    except ValueError:
        return _misshapen("the picture is not base64")


def _misshapen(reason: str) -> Without:
    return Without(Outcome.BAD_RESPONSE, reason, repeatable=True)


def _receipt(document: object, answer: Answer, call: Call, *, pictures: int) -> Receipt:
    usage = _usage(field(document, "usageMetadata"))
    size = call.settings.get("size", DEFAULT_SIZE)
    return Receipt(
        model=clean(text_of(field(document, "modelVersion")), key=call.key)[:100] or call.model.name,
        http_status=answer.status,
        request_id=_request_id(answer, document, key=call.key),
        usage=usage,
        cost_usd=cost_usd(call.model, usage, pictures=pictures, size=size),
    )


def _request_id(answer: Answer, document: object, *, key: str | None) -> str | None:
    """What the provider calls this exchange, for its support."""
    said = text_of(field(document, "responseId"))
    return clean(said, key=key)[:200] or header(answer, REQUEST_ID_HEADERS, key=key)


def _usage(metadata: object) -> dict[str, int] | None:
    if not isinstance(metadata, dict) or not metadata:
        return None
    details = field(metadata, "candidatesTokensDetails")
    image_details = [one for one in details if field(one, "modality") == "IMAGE"] if isinstance(details, list) else []
    return {
        "prompt_tokens": count_of(field(metadata, "promptTokenCount")),
        "candidates_tokens": count_of(field(metadata, "candidatesTokenCount")),
        "thoughts_tokens": count_of(field(metadata, "thoughtsTokenCount")),
        "total_tokens": count_of(field(metadata, "totalTokenCount")),
        "image_tokens": min(sum(count_of(field(one, "tokenCount")) for one in image_details), MOST_TOKENS),
    }


def _outcome(status: int, name: str, message: str, details: list[Any]) -> Outcome:
    reasons = [text_of(field(detail, "reason")) for detail in details]
    bad_key = any(reason.startswith("API_KEY_") for reason in reasons) or BAD_KEY.search(message)
    match status:
        case 401 | 403:
            return Outcome.AUTH
        case 400 if bad_key or name == "FAILED_PRECONDITION":
            return Outcome.AUTH
        case 404:
            return Outcome.MODEL_RETIRED
        case 429:
            return Outcome.QUOTA_EXHAUSTED if _used_up(message, details) else Outcome.RATE_LIMITED
        case _ if status in UNAVAILABLE:
            return Outcome.PROVIDER_UNAVAILABLE
        case _ if status < 400:
            return Outcome.BAD_RESPONSE  # a redirect, which is not followed
    return Outcome.INVALID_REQUEST


def _used_up(message: str, details: list[Any]) -> bool:
    """Whether waiting a minute is no use: the day's quota is gone, or there never was one."""
    lists = [field(detail, "violations") for detail in details]
    violations = [violation for some in lists if isinstance(some, list) for violation in some]
    return LIMIT_ZERO.search(message) is not None or any(
        PER_DAY.search(text_of(field(violation, "quotaId")))
        or PER_DAY.search(text_of(field(violation, "quotaMetric")))
        or field(violation, "quotaValue") in ("0", 0)
        for violation in violations
    )


def _hint(details: list[Any], answer: Answer) -> float | None:
    """RetryInfo's protobuf duration ("38s", "1.5s"), else a `Retry-After` in seconds."""
    for detail in details:
        if found := DURATION.fullmatch(text_of(field(detail, "retryDelay"))):
            return float(found[1])
    header = answer.headers.get("Retry-After", "").strip()
    return float(header) if WHOLE_SECONDS.fullmatch(header) else None
