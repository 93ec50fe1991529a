"""Reading what a provider's answer says. Whatever is not what it should be counts as not said, and raises nothing."""

import json
import re
from collections.abc import Sequence
from typing import Any

from runner.body import Answer, clean

MOST_TOKENS = 10_000_000
"""A larger count is junk, not usage."""
_TAG = re.compile(r"<[^<>]*>")


def parsed(body: bytes) -> Any:
    """The JSON of a body; None when it is none, or nested too deeply to be read."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def text_of(value: object) -> str:
    """Text as it is; anything else is none."""
    return value if isinstance(value, str) else ""


def count_of(value: object) -> int:
    """A count of tokens; 0 for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS:
        return value
    return 0


def words_of_page(body: bytes) -> str:
    """What a proxy's page says, without its tags."""
    return _TAG.sub(" ", body.decode("utf-8", "replace"))


def header(answer: Answer, names: Sequence[str], *, key: str | None) -> str | None:
    """The first of these headers that is there, cut at 200 characters."""
    found = next((answer.headers[name] for name in names if answer.headers.get(name)), "")
    return clean(found, key=key)[:200] or None
