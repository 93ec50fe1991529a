"""Who may call what. A route is open, or its handler is wrapped in `administrators`: there is nothing between.

An administrator comes with `Authorization: Bearer …` (programs) or with the session cookie (pages). A session may be
used only in the way it was opened for.
"""

from collections.abc import Awaitable, Callable
from functools import wraps

from starlette.requests import Request
from starlette.responses import Response

from api.request_log import note
from api.state import services
from photochanger import sessions
from photochanger.errors import Failure, Refusal
from photochanger.sessions import Session

Handler = Callable[[Request], Awaitable[Response]]

COOKIE = "photochanger_session"
SECURE_COOKIE = f"__Host-{COOKIE}"
"""On https: a browser takes a name like this only with `Secure`, for this host alone."""


def administrators(handler: Handler) -> Handler:
    """Let in who is logged in; 401 `login_required` for others. The handler finds the session in `session_of`."""

    @wraps(handler)
    async def guarded(request: Request) -> Response:
        request.state.session = await _session(request)
        note(request, account=request.state.session.account)
        return await handler(request)

    guarded.for_administrators = True  # type: ignore[attr-defined]
    return guarded


def session_of(request: Request) -> Session:
    """Of a request that `administrators` has let in."""
    found: Session = request.state.session
    return found


async def _session(request: Request) -> Session:
    here = services(request)
    authorization = request.headers.get("authorization", "")
    scheme, _, token = authorization.partition(" ")
    if authorization:
        kind, token = "bearer", token.strip() if scheme.lower() == "bearer" else ""
    else:
        kind, token = "cookie", request.cookies.get(SECURE_COOKIE) or request.cookies.get(COOKIE) or ""
    session_id = here.tokens.session_id(token) if token else None
    if session_id is not None:
        async with here.db.at_once() as conn:
            found = await sessions.find(conn, session_id)
        if found is not None and found.kind == kind:
            return found
    raise Refusal(Failure.LOGIN_REQUIRED)
