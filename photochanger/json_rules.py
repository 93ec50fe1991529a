"""JSON from outside against a JSON Schema (Draft 2020-12): a sentence for each field that cannot be taken.

Stricter than the draft where it is lax about what people mean: 48.0 is no whole number, NaN is no number, a pattern's
end is the end of the text. A text that the database cannot keep is refused wherever it stands. No sentence repeats what
was given: it may be a secret, or a book.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

from jsonschema import Draft202012Validator, TypeChecker, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

MOST_MISTAKES = 50
MOST_DEPTH = 32
"""A document that is nested deeper is not looked at: whoever describes it would run out of stack."""
WHOLE = "body"
"""The place of a mistake that is the whole document's."""
MOST_NAME_CHARACTERS = 100
NOUNS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


def _is_integer(_: TypeChecker, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_: TypeChecker, value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _pattern(_: Validator, pattern: str, value: object, _schema: Mapping[str, Any]) -> Iterator[ValidationError]:
    """Python's `$` would let a line break follow."""
    ended = pattern[:-1] + r"\Z" if pattern.endswith("$") and not pattern.endswith(r"\$") else pattern
    if isinstance(value, str) and not re.search(ended, value):
        yield ValidationError("does not match")


_Strict: type[Validator] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    validators={"pattern": _pattern},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": _is_integer, "number": _is_number}),
)


def mistakes(schema: Mapping[str, Any], document: Any, *, at: tuple[str, ...] = ()) -> dict[str, str]:
    """A sentence by the place of each mistake (`settings.prompt`), up to 50. Empty: the document can be taken.

    `at` is where in a larger document this one stands.
    """
    try:
        unkeepable = list(_unkeepable(document))
    except _TooDeepError:
        return {WHOLE: "It is nested too deep."}
    found: dict[str, str] = {}
    for place, sentence in chain(unkeepable, _of_schema(schema, document)):
        if len(found) == MOST_MISTAKES:
            break
        found.setdefault(".".join(_readable(name) for name in (*at, *place)) or WHOLE, sentence)
    return found


class _TooDeepError(Exception):
    pass


def _of_schema(schema: Mapping[str, Any], document: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    for error in _Strict(schema).iter_errors(document):
        place = tuple(map(str, error.absolute_path))
        broken: Mapping[str, Any] = error.schema if isinstance(error.schema, Mapping) else {}
        given: Any = error.instance
        if error.validator == "required":
            missing = [name for name in broken["required"] if name not in given]
            yield from (((*place, name), "It is missing.") for name in missing)
        elif error.validator == "additionalProperties":
            unknown = [name for name in given if name not in broken.get("properties", {})]
            yield from (((*place, name), "There is no such field.") for name in unknown)
        else:
            say = _SENTENCES.get(str(error.validator))
            yield place, "It cannot be like this." if say is None else say(broken)


def _kind(schema: Mapping[str, Any]) -> str:
    """What it must be, with the range that a number must keep."""
    types = schema.get("type", [])
    nouns = [NOUNS[name] for name in ([types] if isinstance(types, str) else types)]
    if not {"integer", "number"}.isdisjoint([types] if isinstance(types, str) else types):
        least, above, most = schema.get("minimum"), schema.get("exclusiveMinimum"), schema.get("maximum")
        if least is not None:
            nouns[0] += f" from {least}" + (f" to {most}" if most is not None else "")
        else:
            nouns[0] += f" above {above}" if above is not None else ""
            nouns[0] += f" up to {most}" if most is not None else ""
    if "enum" in schema:
        return _choice(schema)
    return f"It must be {' or '.join(nouns) or 'a number in its range'}."


def _choice(schema: Mapping[str, Any]) -> str:
    return f"It must be one of: {', '.join(map(str, schema['enum']))}."


def _form(schema: Mapping[str, Any]) -> str:
    if "description" in schema:
        return f"It must be {schema['description']}."
    if "examples" in schema:
        return f"It must look like one of: {', '.join(map(str, schema['examples']))}."
    return "It does not have the form that is asked for."


_SENTENCES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "type": _kind,
    "minimum": _kind,
    "exclusiveMinimum": _kind,
    "maximum": _kind,
    "enum": _choice,
    "pattern": _form,
    "minLength": lambda schema: f"It must have at least {schema['minLength']} character(s).",
    "maxLength": lambda schema: f"It may have at most {schema['maxLength']} characters.",
    "maxItems": lambda schema: f"It may have at most {schema['maxItems']} entries.",
}


def _unkeepable(document: object) -> Iterator[tuple[tuple[str, ...], str]]:
    """Texts with a NUL, or with half of a surrogate pair: PostgreSQL keeps neither."""
    waiting: list[tuple[tuple[str, ...], object]] = [((), document)]
    while waiting:
        place, value = waiting.pop()
        if len(place) > MOST_DEPTH:
            raise _TooDeepError
        if isinstance(value, str) and ("\0" in value or not _encodable(value)):
            yield place, "It has characters that cannot be kept."
        elif isinstance(value, dict):
            waiting += (((*place, str(name)), inner) for name, inner in value.items())
        elif isinstance(value, list):
            waiting += (((*place, str(number)), inner) for number, inner in enumerate(value))


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _readable(name: str) -> str:
    """A name as it may stand in an answer and in a log."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:MOST_NAME_CHARACTERS])
