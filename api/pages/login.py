"""`/login` and `/logout` for people. Opening and ending sessions is api/login.py's; here are its form and its words."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import administrators, current_session
from api.bodies import form_fields
from api.login import clear_session_cookie, close_session, open_session, safe_next, set_session_cookie
from api.pages.language import marked
from api.pages.rendering import page
from photochanger.errors import Failure, Refusal

WRONG = marked("Name or password is wrong.")
LOCKED = marked("Too many failed attempts. Try again in %(span)s.")


async def login_page(request: Request) -> Response:
    """The form; whoever is logged in already goes on at once."""
    wanted = safe_next(request.query_params.get("next"))
    if await current_session(request) is not None:
        return RedirectResponse(wanted, 303)
    return _form(request, wanted=wanted, username="")


async def login_form(request: Request) -> Response:
    """The form, filled in: a session and back to where one came from, or the form again with what is wrong."""
    fields = await form_fields(request)
    wanted, username = safe_next(fields.get("next")), fields.get("username", "")
    try:
        token = await open_session(request, username=username, password=fields.get("password", ""), kind="cookie")
    except Refusal as refusal:
        if refusal.failure not in {Failure.INVALID_CREDENTIALS, Failure.TOO_MANY_ATTEMPTS}:
            raise
        return _form(request, wanted=wanted, username=username[:100], refusal=refusal)
    response = RedirectResponse(wanted, 303)
    set_session_cookie(response, request, token)
    return response


@administrators
async def logout_form(request: Request) -> Response:
    """The session has ended; back to the login."""
    await close_session(request)
    response = RedirectResponse("/login", 303)
    clear_session_cookie(response, request)
    return response


def _form(request: Request, *, wanted: str, username: str, refusal: Refusal | None = None) -> Response:
    locked = refusal is not None and refusal.failure is Failure.TOO_MANY_ATTEMPTS
    return page(
        request,
        "login.html",
        status=refusal.failure.status if refusal else 200,
        headers=refusal.headers() if refusal else None,
        trouble=None if refusal is None else LOCKED if locked else WRONG,
        locked_seconds=(refusal.retry_after_seconds if refusal else None) or 0,
        next=wanted,
        username=username,
        unsafe=request.url.scheme != "https" and request.url.hostname not in {"localhost", "127.0.0.1", "::1"},
    )
