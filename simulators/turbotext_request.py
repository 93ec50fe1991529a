"""What Turbotext is asked: a form of the right shape, checked against what the method takes.

The methods and their parameters are those of the vendor's page (https://www.turbotext.ru/photo_ai/docs/info). It does
not name the method behind "object replacement", so its name is given from outside, and its parameters are a guess.
"""

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from simulators.noting import NoSuccess

AVAILABLE_API = "available_api"
OBJECT_REPLACE = "object_replace"
CREATE_QUEUE = "create_queue"
GET_RESULT = "get_result"
MAX_URL_CHARACTERS = 2048
MAX_NEGATIVE_WORDS = 80
MAX_SEED = 10**10


class Refused(NoSuccess):
    """An answer that is no success: `error` is what it says, `status` its HTTP status.

    `violation`: the request was malformed, which is a mistake of whoever sent it; the text names the mistake.
    """

    def __init__(self, message: str, *, error: str = "params_error", status: int = 200, violation: bool = True) -> None:
        self.error = error
        self.status = status
        super().__init__(message, violation=violation)

    def response(self) -> web.Response:
        """A document as every other of Turbotext's, mostly with status 200."""
        return web.json_response({"success": False, "error": self.error}, status=self.status)


@dataclass(frozen=True, kw_only=True)
class Field:
    """One parameter of a method, as text in the form."""

    accepts: Callable[[str], bool]
    expects: str
    required: bool = False
    default: str = ""


@dataclass(frozen=True, kw_only=True)
class Method:
    """One of the API's methods. `photo` names the parameter with the photo to change, `second` the other picture's."""

    name: str
    description: str
    photo: str
    second: str | None
    effect: str
    """What the second picture does to the photo: `style` or `paste`."""
    fields: Mapping[str, Field]
    answers: tuple[str, ...]
    """What `data` holds of the finished job."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A well-formed create_queue; its pictures are not fetched yet."""

    method: Method
    values: Mapping[str, str]
    """Every parameter, defaults filled in."""
    pictures: Mapping[str, str]
    """The URLs given, by parameter, the photo to change first."""

    @property
    def content(self) -> str:
        """The prompt; empty where the method takes none."""
        return self.values.get("content", "")

    @property
    def seed(self) -> int:
        """As asked for; else one that follows from the prompt."""
        return int(self.values.get("seed") or zlib.crc32(self.content.encode()) or 1)


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 -- raises for a port that is none
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and len(value) <= MAX_URL_CHARACTERS


def _is_scale(value: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?", value, re.ASCII) is not None and 0.1 <= float(value) <= 20


def _whole(least: int, most: int, *, default: str = "") -> Field:
    return Field(
        accepts=lambda value: re.fullmatch(r"\d{1,12}", value, re.ASCII) is not None and least <= int(value) <= most,
        expects=f"a whole number from {least} to {most}",
        default=default,
    )


def _text(*, required: bool) -> Field:
    return Field(
        accepts=lambda value: bool(value.strip()) or not required, expects="a text that is not empty", required=required
    )


URL = Field(accepts=_is_url, expects="an absolute http or https URL", required=True)
GENERATING: Mapping[str, Field] = {
    "content": _text(required=True),
    "strength": _whole(0, 80, default="40"),
    "seed": _whole(1, MAX_SEED),
    "scale": Field(accepts=_is_scale, expects="a number from 0.1 to 20", default="7.5"),
    "negative_prompt": Field(
        accepts=lambda value: len(value.split()) <= MAX_NEGATIVE_WORDS, expects=f"at most {MAX_NEGATIVE_WORDS} words"
    ),
    "original_language": Field(
        accepts=lambda value: re.fullmatch("[a-z]{2}", value) is not None,
        expects="a language's two letters",
        default="ru",
    ),
    "user_id": _whole(1, MAX_SEED, default="1"),
}


def methods(*, object_replace: str = OBJECT_REPLACE) -> Mapping[str, Method]:
    """The methods that make pictures, by name."""
    known = [
        Method(
            name=object_replace,
            description="Замена объекта",
            photo="url",
            second="url_image_target",
            effect="paste",
            fields={"url": URL, "url_image_target": Field(accepts=_is_url, expects=URL.expects), **GENERATING},
            answers=("prompt", "width", "height", "seed", "forbidden_content"),
        ),
        Method(
            name="generate_image2image",
            description="Изменение изображения по описанию",
            photo="url",
            second=None,
            effect="",
            fields={"url": URL, **GENERATING},
            answers=("user_id", "image", "prompt", "width", "height", "scale", "seed", "strength", "original_language"),
        ),
        Method(
            name="mix_images",
            description="Микс-фото",
            photo="url_image_target",
            second="url",
            effect="style",
            fields={"url_image_target": URL, "url": URL, "content": _text(required=False)},
            answers=("prompt", "width", "height", "seed", "strength", "pattern_prompt"),
        ),
        Method(
            name="deepfake_photo",
            description="Замена лица",
            photo="url",
            second="url_image_target",
            effect="paste",
            fields={
                "url": URL,
                "url_image_target": URL,
                "face_restore": Field(
                    accepts=lambda value: value in ("True", "False"), expects='"True" or "False"', default="False"
                ),
            },
            answers=("image", "width", "height", "forbidden_content", "face_restore"),
        ),
    ]
    return {method.name: method for method in known}


def read_create(fields: Mapping[str, str], *, method: Method) -> Asked:
    """What a create_queue asks for; `fields` without `do`. Raises `Refused`."""
    check_names(fields, known=method.fields, what=method.name)
    for name, field in method.fields.items():
        if name not in fields:
            if field.required:
                raise Refused(f"{method.name} needs {name}")
        elif not field.accepts(fields[name]):
            # A URL is not repeated: it may be what protects the picture.
            said = "" if field.expects == URL.expects else f", not {fields[name][:80]!r}"
            raise Refused(f"{name} must be {field.expects}{said}")
    values = {name: fields.get(name, field.default) for name, field in method.fields.items()}
    given = [name for name in (method.photo, method.second) if name is not None and fields.get(name)]
    return Asked(method=method, values=values, pictures={name: fields[name] for name in given})


def check_names(fields: Mapping[str, str], *, known: Mapping[str, Any] | tuple[str, ...], what: str) -> None:
    """Raises `Refused` for a parameter that is not known."""
    for name in fields:
        if name not in known:
            raise Refused(f"{what} takes no parameter {name[:80]!r}")
