"""Who is logged in, and from where. All administrators may end any session: there are no ranks among them."""

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.access import administrators, session_of
from api.bodies import moment
from api.login import clear_session_cookie
from api.state import services
from photochanger import audit, sessions
from photochanger.errors import Failure, Refusal
from photochanger.sessions import Session

PUBLIC_ID = re.compile(r"[0-9a-f]{32}")


@administrators
async def me(request: Request) -> JSONResponse:
    """`GET /api/me`: the session that asks."""
    return JSONResponse(_body(request, session_of(request)))


@administrators
async def session_list(request: Request) -> JSONResponse:
    """`GET /api/sessions`: all that count, the last seen first."""
    async with services(request).db.at_once() as conn:
        found = await sessions.open_sessions(conn)
    return JSONResponse({"sessions": [_body(request, session) for session in found]})


@administrators
async def end_session(request: Request) -> Response:
    """`DELETE /api/sessions/{session_id}`: it counts no longer, from now on and everywhere."""
    public_id, asking = request.path_params["session_id"], session_of(request)
    if not PUBLIC_ID.fullmatch(public_id):
        raise Refusal(Failure.NOT_FOUND, "There is no such session.")
    async with services(request).db.begin() as conn:
        account = await sessions.end_by_public_id(conn, public_id)
        if account is None:
            raise Refusal(Failure.NOT_FOUND, "There is no such session.")
        await audit.record(conn, "session_ended", actor=asking.account, account=account, session=public_id)
    response = Response(status_code=204)
    if public_id == asking.public_id:
        clear_session_cookie(response, request)
    return response


def _body(request: Request, session: Session) -> dict[str, Any]:
    return {
        "session_id": session.public_id,
        "account": session.account,
        "kind": session.kind,
        "current": session.session_id == session_of(request).session_id,
        "created_at": moment(session.created_at),
        "last_seen_at": moment(session.last_seen_at),
        "ends_at": moment(session.ends_at),
        "address": session.address,
        "user_agent": session.user_agent,
    }
