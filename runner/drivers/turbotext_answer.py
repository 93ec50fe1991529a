"""What Turbotext's answers mean. Pure functions over the whole answer; any junk ends in `ProviderFailed`.

    action: reconnect                        → not finished
    forbidden_content, also beside success   → CONTENT_BLOCKED
    success: false                           → by the words of `error`, else INVALID_REQUEST
    success: true, with a picture's address  → Result
    success: true, without one               → NO_IMAGE
    anything else                            → BAD_RESPONSE

An answer of 500 and above to `create_queue` that does not say what became of the photo (a gateway's, a crash's) is
AMBIGUOUS: it may be in the queue and paid for. 503 says that the request was not taken.

Flags come as true and as "True", numbers as 5 and as "5". Error codes are known from client notes only, so words
decide. What is nearly JSON is read too, see turbotext_json.py.
"""

import re
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from runner.body import Answer, clean
from runner.cost import cost_usd
from runner.driver import Exchange, Outcome, ProviderFailed, Receipt
from runner.drivers.turbotext_json import parsed

PICTURE_SIZE = "any"
"""A picture has one price, whatever its size: `"price": {"per_picture_usd": {"any": 0.05}}`."""
MOST_CREDITS = 10**9
NO = frozenset({"", "false", "0", "no", "none", "null"})
QUEUEID = re.compile(r"(?!(?:none|null|true|false|nan|0+)\Z)[a-z0-9][a-z0-9_.:-]{0,99}", re.IGNORECASE)
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
LINK = re.compile(r"https?:\S+")
UNAVAILABLE = frozenset({408, *range(500, 600)})
NOT_TAKEN = frozenset({501, 503, 505})
"""Of 500 and above, what a server says before it does anything."""
WHOLE_SECONDS = re.compile(r"\d{1,6}")
ERRORS = (
    (re.compile(r"forbidden_content|nsfw"), Outcome.CONTENT_BLOCKED, "the content is forbidden"),
    (re.compile(r"quality_limit"), Outcome.INVALID_REQUEST, "the provider refused the picture's quality"),
    (re.compile(r"limit|лимит"), Outcome.QUOTA_EXHAUSTED, "the photo credits are used up"),
    (re.compile(r"busy"), Outcome.PROVIDER_UNAVAILABLE, "the provider is busy"),
    (re.compile(r"url_error"), Outcome.INVALID_REQUEST, "the provider could not fetch our picture"),
    (re.compile(r"face_"), Outcome.INVALID_REQUEST, "the provider found no face in the picture"),
    (re.compile(r"size_error"), Outcome.INVALID_REQUEST, "the provider refused the picture's size"),
)
"""The first that is found in the error's words counts."""


class Method(NamedTuple):
    """One thing the API offers to a key."""

    name: str
    description: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished picture: where it is, and what was said about it."""

    url: str
    receipt: Receipt


def queueid(answer: Answer, *, key: str | None, receipt: Receipt) -> str:
    """The reference of a photo that was taken into the queue. Raises `ProviderFailed`."""
    try:
        document = _document(answer, key=key, receipt=receipt)
    except ProviderFailed as failed:
        if failed.outcome is Outcome.PROVIDER_UNAVAILABLE and _tells_nothing(answer):
            reason = f"{failed.reason}: the photo may be in the queue"
            raise ProviderFailed(Outcome.AMBIGUOUS, reason, receipt=failed.receipt) from failed
        raise
    receipt = replace(receipt, http_status=answer.status)
    if _flag(document.get("success")) is False:
        raise _error(document, key=key, receipt=receipt)
    given = document.get("queueid")
    found = str(given).strip() if isinstance(given, int | str) and not isinstance(given, bool) else ""
    if not QUEUEID.fullmatch(found):
        if _flag(document.get("success")) is None and _words(document):
            raise _error(document, key=key, receipt=receipt)
        raise ProviderFailed(Outcome.BAD_RESPONSE, "the answer has no usable queueid", receipt=receipt)
    return found


def result(answer: Answer, exchange: Exchange, *, receipt: Receipt) -> Result | None:
    """The finished picture; None while the provider is still at it."""
    document = _document(answer, key=exchange.key, receipt=receipt)
    credits_left = _credits_left(document)
    receipt = replace(receipt, http_status=answer.status, usage=credits_left)
    if _text(document.get("action")).lower() == "reconnect":
        return None
    data = document.get("data")
    data = data if isinstance(data, dict) else {}
    if _is_forbidden(data.get("forbidden_content")) or _is_forbidden(document.get("forbidden_content")):
        raise ProviderFailed(Outcome.CONTENT_BLOCKED, "the content is forbidden", receipt=receipt)
    success = _flag(document.get("success"))
    location = _location(document, data)
    if success and location:
        cost = cost_usd(exchange.model, None, pictures=1, size=PICTURE_SIZE)
        return Result(url=_absolute(location, exchange.base_url), receipt=replace(receipt, cost_usd=cost))
    if success is False or _words(document):
        raise _error(document, key=exchange.key, receipt=receipt)
    if success:
        raise ProviderFailed(Outcome.NO_IMAGE, "finished, but no picture is named", receipt=receipt)
    raise _unreadable("the answer says neither success nor failure", receipt)


def methods(answer: Answer, *, key: str | None) -> list[Method]:
    """What `available_api` lists. An entry that cannot be read is left out."""
    receipt = Receipt(http_status=answer.status)
    document = _document(answer, key=key, receipt=receipt)
    if _flag(document.get("success")) is False:
        raise _error(document, key=key, receipt=receipt)
    data = document.get("data")
    listed = document.get("available_api", data.get("available_api") if isinstance(data, dict) else None)
    if isinstance(listed, dict):
        listed = [{"name": name, "description": description} for name, description in listed.items()]
    if not isinstance(listed, list):
        raise _unreadable("the answer lists no methods", receipt)
    entries = [entry if isinstance(entry, dict) else {"name": entry} for entry in listed]
    return [
        Method(clean(_text(entry["name"]), key=key), clean(_text(entry.get("description")), key=key))
        for entry in entries
        if _text(entry.get("name"))
    ]


def _document(answer: Answer, *, key: str | None, receipt: Receipt) -> dict[str, Any]:
    """The object of a 2xx answer. Raises `ProviderFailed`."""
    document = parsed(answer.body)
    receipt = replace(receipt, http_status=answer.status)
    if answer.status >= 300:
        raise _failure(answer, document if isinstance(document, dict) else {}, key=key, receipt=receipt)
    if not isinstance(document, dict):
        raise _unreadable("the answer is not Turbotext's JSON", receipt)
    return document


def _failure(answer: Answer, document: dict[str, Any], *, key: str | None, receipt: Receipt) -> ProviderFailed:
    """What an answer of 300 and above means: its words where they are known, else its status."""
    by_words = _error(document, key=key, receipt=receipt)
    known = any(words.search(_words(document).lower()) for words, *_ in ERRORS)
    match answer.status:
        case 401 | 403:
            outcome = Outcome.AUTH
        case _ if known:
            outcome = by_words.outcome
        case 402:
            outcome = Outcome.QUOTA_EXHAUSTED
        case 429:
            outcome = Outcome.RATE_LIMITED
        case status if status in UNAVAILABLE:
            outcome = Outcome.PROVIDER_UNAVAILABLE
        case status if status < 400:
            outcome = Outcome.BAD_RESPONSE  # a redirect, which is not followed
        case _:
            outcome = Outcome.INVALID_REQUEST
    header = answer.headers.get("Retry-After", "").strip()
    repeatable = outcome in {Outcome.RATE_LIMITED, Outcome.PROVIDER_UNAVAILABLE, Outcome.BAD_RESPONSE}
    return ProviderFailed(
        outcome,
        f"HTTP {answer.status}: {by_words.reason}" if _words(document) else f"HTTP {answer.status}",
        repeatable=repeatable,
        retry_after_seconds=float(header) if repeatable and WHOLE_SECONDS.fullmatch(header) else None,
        receipt=receipt,
    )


def _tells_nothing(answer: Answer) -> bool:
    """Whether an answer of 500 and above leaves open if the request was carried out."""
    document = parsed(answer.body)
    said = document if isinstance(document, dict) else {}
    refused = _flag(said.get("success")) is False or bool(_words(said))
    return answer.status >= 500 and answer.status not in NOT_TAKEN and not refused


def _error(document: dict[str, Any], *, key: str | None, receipt: Receipt) -> ProviderFailed:
    """What the words of an `error` mean. They may quote our links, which are secrets: these are taken out."""
    words = _words(document)
    outcome, sentence = Outcome.INVALID_REQUEST, "the provider refused the request"
    for pattern, meant, told in ERRORS:
        if pattern.search(words.lower()):
            outcome, sentence = meant, told
            break
    reason = f"{sentence}: {clean(LINK.sub('[link]', words), key=key)}".rstrip(": ")
    return ProviderFailed(outcome, reason, repeatable=outcome is Outcome.PROVIDER_UNAVAILABLE, receipt=receipt)


def _words(document: dict[str, Any]) -> str:
    """What `error` says: a text, a number, or a list or object of such."""
    error = document.get("error")
    parts = error.values() if isinstance(error, dict) else error if isinstance(error, list) else [error]
    return " ".join(str(part) for part in parts if isinstance(part, str | int) and not isinstance(part, bool)).strip()


def _unreadable(reason: str, receipt: Receipt) -> ProviderFailed:
    return ProviderFailed(Outcome.BAD_RESPONSE, reason, repeatable=True, receipt=receipt)


def _location(document: dict[str, Any], data: dict[str, Any]) -> str:
    """Where the picture is, as it was said: beside `data`, inside it, or the first of its list."""
    images = data.get("image")
    first = images[0] if isinstance(images, list) and images else images
    named = (document.get("uploaded_image"), data.get("uploaded_image"), first)
    return next((text for place in named if (text := _text(place))), "")


def _absolute(location: str, base_url: str) -> str:
    if SCHEME.match(location):
        return location
    if location.startswith("//"):
        return f"{base_url.partition(':')[0]}:{location}"
    return f"{base_url}/{location.lstrip('/')}"


def _credits_left(document: dict[str, Any]) -> dict[str, int] | None:
    limits = document.get("limits")
    given = limits.get("foto_limit") if isinstance(limits, dict) else None
    if isinstance(given, str) and given.strip().isascii() and given.strip().isdigit() and len(given) < 12:
        given = int(given)
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= MOST_CREDITS:
        return {"photo_credits_left": given}
    return None


def _flag(value: object) -> bool | None:
    """True, "True" and 1; False, "False" and 0; None for anything else."""
    if not isinstance(value, str | int):
        return None
    return {"true": True, "1": True, "false": False, "0": False}.get(str(value).strip().lower())


def _is_forbidden(value: object) -> bool:
    """Whatever is not plainly a no counts as a yes."""
    return bool(value.strip().lower() not in NO if isinstance(value, str) else value)


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""
