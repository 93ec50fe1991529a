"""What a person's browser shows when something is refused, missing, gone or broken. Programs get JSON instead.

Nothing here asks the database: it may be what is away.
"""

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from api.pages.language import marked
from api.pages.rendering import is_part, page
from photochanger.errors import Failure, Refusal


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """A failure in words for people: what it is, and what can be done."""

    icon: str
    kind: str
    title: str
    sentence: str
    retry: bool = False


NOTHING_HERE = Explanation(
    icon="search",
    kind="info",
    title=marked("There is nothing here"),
    sentence=marked("The address may have been typed wrong, or the page has moved."),
)
BROKEN = Explanation(
    icon="wrench",
    kind="danger",
    title=marked("Something broke on our side"),
    sentence=marked("It has been written down. Try again in a moment; if it stays, tell the studio."),
    retry=True,
)
EXPLANATIONS = {
    Failure.RESULT_NOT_FOUND: Explanation(
        icon="image-off",
        kind="info",
        title=marked("There is no such photo"),
        sentence=marked("Check the link, or scan the code at the booth once more."),
    ),
    Failure.RESULT_EXPIRED: Explanation(
        icon="hourglass",
        kind="warn",
        title=marked("This photo is no longer kept"),
        sentence=marked("Photos stay here for a few days only. The studio may still have a print."),
    ),
    Failure.JOB_NOT_FOUND: Explanation(
        icon="image-off",
        kind="info",
        title=marked("There is no such photo"),
        sentence=marked("Its id may be wrong, or it has left the log: photos stay there for some months."),
    ),
    Failure.SLOT_NOT_FOUND: NOTHING_HERE,
    Failure.RATE_LIMITED: Explanation(
        icon="hourglass",
        kind="warn",
        title=marked("Too fast"),
        sentence=marked("Too many requests came from this network. Wait a minute and try again."),
        retry=True,
    ),
    Failure.FORBIDDEN: Explanation(
        icon="lock",
        kind="danger",
        title=marked("This is not allowed"),
        sentence=marked("The request did not come from a page of ours. Open the page again and repeat it."),
    ),
    Failure.MEDIA_LOST: Explanation(
        icon="image-off",
        kind="danger",
        title=marked("The picture is missing"),
        sentence=marked("It should still be here, but its file is gone. Please tell the studio."),
    ),
    Failure.DATABASE_UNAVAILABLE: Explanation(
        icon="database",
        kind="warn",
        title=marked("A short break"),
        sentence=marked("The database does not answer at the moment. No photo is lost; try again in a few seconds."),
        retry=True,
    ),
    Failure.INTERNAL_ERROR: BROKEN,
    Failure.VALIDATION_FAILED: Explanation(
        icon="search",
        kind="warn",
        title=marked("The address has a mistake"),
        sentence=marked("Something in it cannot be like this. Go back and choose anew."),
    ),
    Failure.PHOTO_GONE: Explanation(
        icon="image-off",
        kind="info",
        title=marked("The photo is no longer kept"),
        sentence=marked("Photos of booths are deleted once they are changed."),
    ),
}


def trouble_page(request: Request, refusal: Refusal) -> Response:
    """The page for this refusal; for somebody who is not logged in, the way to the login and back."""
    failure = refusal.failure
    if failure is Failure.LOGIN_REQUIRED:
        return _to_login(request)
    told = EXPLANATIONS.get(failure) or (NOTHING_HERE if failure.status in {404, 405} else BROKEN)
    return page(
        request,
        "trouble.html",
        status=failure.status,
        headers=refusal.headers(),
        icon=told.icon,
        kind=told.kind,
        title=told.title,
        sentence=told.sentence,
        retry=told.retry and request.method in {"GET", "HEAD"},
        public=request.url.path.startswith("/public/"),
        failure_status=failure.status,
        code=failure.code,
    )


def _to_login(request: Request) -> Response:
    """htmx follows a header and goes there as a whole: one comes back to the page from which it asked."""
    if is_part(request):
        shown = urlsplit(request.headers.get("hx-current-url", "/"))
        back = f"{shown.path or '/'}?{shown.query}" if shown.query else shown.path or "/"
        return Response(status_code=401, headers={"HX-Redirect": _login_url(back), "Cache-Control": "no-store"})
    back = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
    wanted = back if request.method in {"GET", "HEAD"} else "/"
    return Response(status_code=303, headers={"Location": _login_url(wanted), "Cache-Control": "no-store"})


def _login_url(back: str) -> str:
    return "/login" if back == "/" else f"/login?next={quote(back, safe='/')}"
