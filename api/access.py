"""Who may call what. A route is open, or its handler is wrapped in `administrators`: there is nothing between.

An administrator comes with `Authorization: Bearer …` (programs) or with the session cookie (pages). A session may be
used only in the way it was opened for. A browser sends its cookie along with whatever a foreign page makes it send: so
what changes something must come from a page of ours, by its `Origin`, and bring the session's token.
"""

import hmac
from collections.abc import Awaitable, Callable
from functools import wraps
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from api.bodies import form_fields
from api.request_log import note
from api.state import services
from photochanger import sessions
from photochanger.errors import Failure, Refusal
from photochanger.sessions import Session

Handler = Callable[[Request], Awaitable[Response]]

COOKIE = "photochanger_session"
SECURE_COOKIE = f"__Host-{COOKIE}"
"""On https: a browser takes a name like this only with `Secure`, for this host alone."""
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf_token"
FORM_TYPE = "application/x-www-form-urlencoded"


def administrators(handler: Handler) -> Handler:
    """Let in who is logged in; 401 `login_required` for others. The handler finds the session in `session_of`.

    With a cookie, what is no GET must come from a page of ours and bring `csrf_token` in the header `X-CSRF-Token` or
    in a field of an urlencoded form; else 403 `forbidden`.
    """

    @wraps(handler)
    async def guarded(request: Request) -> Response:
        request.state.session = await _session(request)
        note(request, account=request.state.session.account)
        if request.state.session.kind == "cookie" and request.method not in SAFE_METHODS:
            check_origin(request)
            await _check_token(request)
        return await handler(request)

    guarded.for_administrators = True  # type: ignore[attr-defined]
    return guarded


def session_of(request: Request) -> Session:
    """Of a request that `administrators` has let in."""
    found: Session = request.state.session
    return found


def cookie_name(request: Request) -> str:
    """What the session's cookie is called on this connection: on https nothing but the safe name counts."""
    return SECURE_COOKIE if request.url.scheme == "https" else COOKIE


def csrf_token(request: Request) -> str:
    """For the forms of a page, and for htmx's headers: this session's token."""
    return services(request).tokens.csrf_token(session_of(request).session_id)


def check_origin(request: Request) -> None:
    """Raises `Refusal` (`forbidden`) for what a foreign page has sent, or who does not tell where it comes from."""
    told = request.headers.get("origin") or _origin(request.headers.get("referer", ""))
    ours = {_origin(str(request.base_url)), _origin(services(request).settings.public_base_url or "")}
    if not told or told.lower() not in ours:
        raise Refusal(Failure.FORBIDDEN)


def _origin(url: str) -> str:
    """`https://host:port` of an address; empty for what has none."""
    try:
        parts = urlsplit(url)
        default = {"http": 80, "https": 443}.get(parts.scheme)
        port = "" if parts.port in {None, default} else f":{parts.port}"
    except ValueError:
        return ""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{port}" if host else ""


async def _check_token(request: Request) -> None:
    given = request.headers.get(CSRF_HEADER)
    if given is None and request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM_TYPE:
        given = (await form_fields(request)).get(CSRF_FIELD)
    if not hmac.compare_digest((given or "").encode(), csrf_token(request).encode()):
        raise Refusal(Failure.FORBIDDEN, "The page is out of date: load it again.")


async def current_session(request: Request) -> Session | None:
    """The session that this request brings, if it brings one that counts. For pages that anybody may open."""
    here = services(request)
    authorization = request.headers.get("authorization", "")
    scheme, _, token = authorization.partition(" ")
    if authorization:
        kind, token = "bearer", token.strip() if scheme.lower() == "bearer" else ""
    else:
        kind, token = "cookie", request.cookies.get(cookie_name(request), "")
    session_id = here.tokens.session_id(token) if token else None
    if session_id is None:
        return None
    async with here.db.at_once() as conn:
        found = await sessions.find(conn, session_id)
    return found if found is not None and found.kind == kind else None


async def _session(request: Request) -> Session:
    found = await current_session(request)
    if found is None:
        raise Refusal(Failure.LOGIN_REQUIRED)
    return found
