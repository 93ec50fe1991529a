"""From a template to an answer: one environment per language, one function that makes a page."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse

from api.access import csrf_token
from api.contract import document
from api.pages.assets import release
from api.pages.formats import Formats, zone_of
from api.pages.language import COOKIE, LANGUAGES, language_of, marked, words
from api.pages.spoken import outcome_word, said
from photochanger import __version__
from photochanger.errors import Failure
from photochanger.sessions import Session

THEME_COOKIE = "photochanger_theme"
THEMES = ("light", "dark")
YEAR_SECONDS = 365 * 24 * 3600
COMPRESSED = [Middleware(GZipMiddleware, minimum_size=1000)]
"""For the routes of pages only: pictures are compressed already, and a booth's answer must not wait in a buffer."""

VARY = {"Vary": "Accept, Accept-Language, Cookie, HX-Request"}
"""All else that a page's headers say is in api/headers.py."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """An entry of the header: where it leads and how it looks."""

    path: str
    icon: str
    title: str


PLACES = (
    Place(path="/jobs", icon="images", title=marked("Photos")),
    Place(path="/statistics", icon="chart-column", title=marked("Statistics")),
    Place(path="/settings", icon="settings", title=marked("Settings")),
)


def wants_page(request: Request) -> bool:
    """Whether a person's browser asks, for a page: it navigates, or htmx asks for a part of one.

    Every browser that navigates names `text/html` and no picture that all of them can show; `<img>` names pictures,
    programs name JSON or take anything (`*/*`). Java's old client names HTML *and* JPEG: it gets the picture.
    """
    if request.url.path.startswith(("/api/", "/ingest/")):
        return False
    if is_part(request):
        return True
    named = {entry.partition(";")[0].strip().lower() for entry in request.headers.get("accept", "").split(",")}
    return "text/html" in named and not named & {"application/json", "image/jpeg", "image/gif"}


def is_part(request: Request) -> bool:
    """htmx asks: the changing part of a page is enough."""
    return request.headers.get("hx-request") == "true"


def page(
    request: Request,
    template: str,
    *,
    status: int = 200,
    now: datetime | None = None,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> HTMLResponse:
    """The answer: this template with its context. `now` is the database's, where the page speaks of its moments."""
    language = language_of(request)
    formats = Formats(language=language, zone=zone_of(request), now=now or datetime.now(UTC))
    session: Session | None = getattr(request.state, "session", None)
    theme = request.cookies.get(THEME_COOKIE)
    body = (
        environment(language)
        .get_template(template)
        .render(
            **context,
            fmt=formats,
            request=request,
            language=language,
            languages=LANGUAGES,
            theme=theme if theme in THEMES else None,
            session=session,
            csrf=None if session is None else csrf_token(request),
            places=PLACES,
        )
    )
    response = HTMLResponse(body, status, headers={**VARY, **(headers or {})})
    if request.query_params.get("lang") == language:
        response.set_cookie(COOKIE, language, max_age=YEAR_SECONDS, path="/", samesite="lax")
    return response


def query_with(request: Request, **changes: str) -> str:
    """This page's query with these changes. What no page of ours asks for is dropped: it may be anything."""
    known = [(name, value) for name, value in request.query_params.multi_items() if name in _parameters()]
    return urlencode([*((name, value) for name, value in known if name not in changes), *changes.items()])


@cache
def _parameters() -> frozenset[str]:
    """The names in the queries of all pages, by the contract."""
    pages = [item["get"] for item in document()["paths"].values() if "pages" in item.get("get", {}).get("tags", ())]
    asked = [one for page in pages for one in page.get("parameters", ()) if one.get("in") == "query"]
    return frozenset(one["name"] for one in asked)


@cache
def environment(language: str) -> Environment:
    """Jinja with the words of this language. A name that a handler has not given is an error, never a gap."""
    made = Environment(
        loader=PackageLoader("api"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.install_gettext_translations(words(language), newstyle=True)  # type: ignore[attr-defined]
    made.globals.update(
        asset=release().url,
        query_with=query_with,
        version=__version__,
        said=partial(said, language=language),
        outcome_word=partial(outcome_word, language=language),
        failures={failure.code: failure.sentence for failure in Failure},
    )
    return made
