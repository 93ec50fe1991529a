"""JSON as Google's APIs read it: known fields only, in camelCase or snake_case, of the right type.

A shape is `Message({...})`, `Many(shape)`, `Choice((...))` or one of the scalars. `read` gives the value back with
camelCase names and without nulls, which mean "not set".
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from photochanger.errors import PhotoChangerError


class FieldMistake(PhotoChangerError):
    """A field that is unknown, or has a value it cannot have. `field` is its path in snake_case."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


@dataclass(frozen=True)
class Scalar:
    """A value of one of these Python types; `name` is Google's for it."""

    name: str
    types: tuple[type, ...]


@dataclass(frozen=True)
class Choice:
    """A text out of these, in any case; read as it is written here."""

    values: tuple[str, ...]


@dataclass(frozen=True)
class Many:
    """A list."""

    of: "Shape"


@dataclass(frozen=True)
class Message:
    """An object with these fields, named in camelCase."""

    fields: "Mapping[str, Shape]"


Shape: TypeAlias = Scalar | Choice | Many | Message

TEXT = Scalar("TYPE_STRING", (str,))
BYTES = Scalar("TYPE_BYTES", (str,))
"""Base64. Whether it is any is not checked here: pictures are large."""
BOOL = Scalar("TYPE_BOOL", (bool,))
WHOLE = Scalar("TYPE_INT32", (int,))
NUMBER = Scalar("TYPE_FLOAT", (int, float))
ANYTHING = Scalar("google.protobuf.Value", (object,))


def read(value: Any, shape: Shape, *, path: str = "") -> Any:
    """The value in its shape. Raises `FieldMistake`."""
    match shape:
        case Message(fields):
            return _message(value, fields, path=path)
        case Many(of):
            if not isinstance(value, list):
                raise _wrong(path, "list", value)
            return [read(item, of, path=f"{path}[{position}]") for position, item in enumerate(value)]
        case Choice(values):
            for known in values:
                if isinstance(value, str) and value.lower() == known.lower():
                    return known
            raise _wrong(path, "enum", value)
        case Scalar(name, types):
            fits = isinstance(value, types) and (bool in types or object in types or not isinstance(value, bool))
            if not fits:
                raise _wrong(path, name, value)
            return value


def _message(value: Any, fields: Mapping[str, Shape], *, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(path, "message", value)
    found: dict[str, Any] = {}
    for given, item in value.items():
        name = given if given in fields else _camel(given)
        if name not in fields:
            at = f" at '{path}'" if path else ""
            raise FieldMistake(
                path, f'Invalid JSON payload received. Unknown name "{given[:80]}"{at}: Cannot find field.'
            )
        if name in found:
            raise FieldMistake(path, f"Invalid JSON payload received. Repeated name \"{given}\" at '{path}'.")
        if item is not None:
            found[name] = read(item, fields[name], path=f"{path}.{snake(name)}".lstrip("."))
    return found


def _wrong(path: str, expected: str, value: Any) -> FieldMistake:
    return FieldMistake(path, f"Invalid value at '{path or 'request'}' ({expected}), {json.dumps(value)[:80]}")


def _camel(name: str) -> str:
    """`mime_type` → `mimeType`; a name with capitals is not snake_case and stays unknown."""
    if not re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)+", name):
        return ""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def snake(name: str) -> str:
    """`mimeType` → `mime_type`."""
    return re.sub(r"([A-Z])", lambda letter: "_" + letter[1].lower(), name)
