"""The pages' languages: which one a request gets, and its words.

The catalogues are `api/locales/<language>.po`, read as they are at the start: nothing has to be compiled beforehand.
"""

import io
from functools import cache
from importlib.resources import files

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations
from starlette.requests import Request

DEFAULT = "ru"
LANGUAGES = {"ru": "Русский", "en": "English"}
COOKIE = "photochanger_language"
LONGEST_HEADER = 400


def language_of(request: Request) -> str:
    """`?lang=`, else the cookie, else what the browser prefers, else Russian."""
    for wanted in (request.query_params.get("lang"), request.cookies.get(COOKIE)):
        if wanted in LANGUAGES:
            return wanted
    return _preferred(request.headers.get("accept-language", ""))


def _preferred(header: str) -> str:
    """The best of ours that `Accept-Language` names (RFC 9110, 12.5.4)."""
    best, weight = DEFAULT, 0.0
    for entry in header[:LONGEST_HEADER].split(","):
        name, _, parameters = entry.strip().partition(";")
        language = name.strip().lower().partition("-")[0]
        try:
            quality = float(parameters.strip().removeprefix("q=")) if parameters else 1.0
        except ValueError:
            continue
        if language in LANGUAGES and weight < quality <= 1.0:
            best, weight = language, quality
    return best


@cache
def words(language: str) -> Translations:
    """The catalogue of one of `LANGUAGES`."""
    text = files("api").joinpath("locales", f"{language}.po").read_bytes()
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(text), locale=language))
    compiled.seek(0)
    return Translations(compiled)


def marked(message: str) -> str:
    """Marks a message for the catalogues where it is written; a template translates it where it is shown."""
    return message
