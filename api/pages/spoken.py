"""What runners, the queue, providers and the health check have said, in the page's language.

Rows and JSON keep it in English. A sentence of ours is found among phrases.py's and said in the catalogue's words, with
its facts; anything else is somebody else's and is quoted as it is.
"""

import re
from functools import cache

from api.pages.language import words
from api.pages.phrases import ANSWERS, BARE, CALLS, HEALTH, OUTCOMES, PICTURES, QUEUE
from photochanger.errors import Failure

PLACEHOLDER = re.compile(r"%\((\w+)\)s")
SHAPES = {
    "code": r"[A-Za-z][A-Za-z0-9_]*|no finish reason|an unreadable reason",
    "reason": r"[A-Z][A-Z0-9_]+",
    "count": r"\d+(?:\.\d+)?",
    "status": r"\d{3}",
    "model": r"\S+",
    "mime": r"\S+",
}
"""What a fact must look like; all others are any text."""
QUOTES = {"ru": "«\u2068{}\u2069»", "en": "“\u2068{}\u2069”"}
"""Whatever direction the quoted letters run in, the page's own go on as they were."""


def said(text: str, *, language: str) -> str:
    """The sentence in this language; what is not ours, in quotation marks. Plain text, not yet escaped."""
    known = _known(text, language=language)
    return _quoted(text, language=language) if known is None else known


def outcome_word(outcome: str, *, language: str) -> str:
    """How an attempt ended, in words."""
    return words(language).ugettext(OUTCOMES[outcome]) if outcome in OUTCOMES else outcome


def is_known(text: str) -> bool:
    """Whether it is a sentence of ours."""
    return _known(text, language="en") is not None


def _known(text: str, *, language: str) -> str | None:
    told = words(language).ugettext
    if text in _SENTENCES:
        return str(told(text))
    head, _, rest = text.partition(": ")
    if head in OUTCOMES and rest:
        return f"{told(OUTCOMES[head])}: {said(rest, language=language)}"
    for sentence in _SENTENCES:
        if text.startswith(f"{sentence} "):
            return f"{told(sentence)} {_after_a_stop(text[len(sentence) + 1 :], language=language)}"
    for pattern, phrase in _compiled():
        if found := pattern.fullmatch(text):
            facts = {name: _fact(name, value, language=language) for name, value in found.groupdict().items()}
            return str(told(phrase)) % facts
    return None


def _after_a_stop(text: str, *, language: str) -> str:
    """A sentence that was begun with a capital because another one stands before it."""
    known = _known(text, language=language) or _known(text[:1].lower() + text[1:], language=language)
    return _quoted(text, language=language) if known is None else known[:1].upper() + known[1:]


def _fact(name: str, value: str, *, language: str) -> str:
    if name == "words":
        return _quoted(value, language=language)
    if name == "told":
        return said(value, language=language)
    if name == "code":
        return _phrase(value, language=language)
    return value


def _phrase(text: str, *, language: str) -> str:
    return str(words(language).ugettext(text)) if text in ANSWERS else text


def _quoted(text: str, *, language: str) -> str:
    shown = "".join(character if character.isprintable() else " " for character in text)
    return QUOTES[language].format(shown)


_SENTENCES = frozenset(failure.sentence for failure in Failure)


@cache
def _compiled() -> list[tuple[re.Pattern[str], str]]:
    phrases = (*CALLS, *ANSWERS, *QUEUE, *PICTURES, *HEALTH, *BARE)
    return [(re.compile(_pattern(phrase), re.DOTALL), phrase) for phrase in phrases]


def _pattern(phrase: str) -> str:
    parts = PLACEHOLDER.split(phrase)
    return "".join(
        f"(?P<{part}>{SHAPES.get(part, '.+?')})" if index % 2 else re.escape(part) for index, part in enumerate(parts)
    )
