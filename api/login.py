"""Logging in and out. `POST /api/login` gives programs a token; pages get a cookie through `open_session`.

Every login opens a new session. Whoever guesses is slowed down (photochanger/login_throttle.py), and learns neither
from the answer nor from its time whether there is an account of that name.
"""

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.access import COOKIE, SECURE_COOKIE, administrators, check_origin, cookie_name, session_of
from api.bodies import json_object
from api.state import Services, services
from photochanger import audit, login_throttle, sessions
from photochanger.admins import Account
from photochanger.errors import Failure, Refusal
from photochanger.login_throttle import Locked, Turn
from photochanger.sessions import IDLE_SECONDS, LONGEST_SECONDS, Kind

log = structlog.get_logger()

SHOWN_CHARACTERS = 2


async def login(request: Request) -> JSONResponse:
    """`POST /api/login` {username, password}."""
    body = await json_object(request)
    fields = {
        **{name: "must be text" for name in ("username", "password") if not isinstance(body.get(name), str)},
        **{name[:100]: "is not known" for name in body if name not in {"username", "password"}},
    }
    if fields:
        raise Refusal(Failure.VALIDATION_FAILED, facts={"fields": fields})
    token = await open_session(request, username=body["username"], password=body["password"], kind="bearer")
    return JSONResponse({"access_token": token, "token_type": "bearer", "expires_in": IDLE_SECONDS})


@administrators
async def logout(request: Request) -> Response:
    """`POST /api/logout`: the session that asks has ended."""
    await close_session(request)
    response = Response(status_code=204)
    if session_of(request).kind == "cookie":
        clear_session_cookie(response, request)
    return response


async def close_session(request: Request) -> None:
    """End the session of a request that `administrators` has let in."""
    session = session_of(request)
    async with services(request).db.begin() as conn:
        await sessions.end(conn, session.session_id)
        await audit.record(conn, "logged_out", actor=session.account, session=session.public_id)


async def open_session(request: Request, *, username: str, password: str, kind: Kind) -> str:
    """The token of a new session. Raises `Refusal`: `invalid_credentials`, or `too_many_attempts` with Retry-After.

    A cookie is given to a page of ours only (`forbidden` otherwise), and replaces the one that the request has brought.
    """
    here = services(request)
    if kind == "cookie":
        check_origin(request)
    name, address = username.strip().lower(), request.client.host if request.client else ""
    account = here.admin_passwords.accounts.find(name)
    here.admin_passwords.check_room()
    async with here.db.begin() as conn:
        turn = await login_throttle.reserve(conn, account=_counted(here, account, name), address=address)
    if isinstance(turn, Locked):
        _tell_failure(account, name, reason=turn.reason, address=address)
        raise Refusal(Failure.TOO_MANY_ATTEMPTS, retry_after_seconds=turn.retry_after_seconds)
    good = await here.admin_passwords.matches(account, password)
    token = await _begin(request, here, account, turn, kind=kind) if account is not None and good else None
    if token is None:
        reason = "unknown_account" if account is None else "wrong_password"
        _tell_failure(account, name, reason=reason, address=address)
        async with here.db.begin() as conn:
            await login_throttle.fail(conn, turn)
            await audit.record(
                conn, "auth.login.failure", actor=shown_name(account, name), reason=reason, ip=address, kind=kind
            )
        raise Refusal(Failure.INVALID_CREDENTIALS)
    log.info("auth.login.success", username=name, ip=address, kind=kind)
    return token


async def _begin(request: Request, here: Services, account: Account, turn: Turn, *, kind: Kind) -> str | None:
    """Open the session, unless the password has just been changed: then what was checked no longer counts."""
    brought = here.tokens.session_id(request.cookies.get(cookie_name(request), ""))
    address = request.client.host if request.client else ""
    async with here.db.begin() as conn:
        await login_throttle.gate(conn)
        if here.admin_passwords.accounts.find(account.name) != account:
            return None
        await login_throttle.release(conn, turn)
        await login_throttle.forgive(conn, account=account.name)
        if kind == "cookie" and brought is not None:
            await sessions.end(conn, brought)
        agent = request.headers.get("user-agent")
        token = await sessions.begin(
            conn, here.tokens, account=account.name, kind=kind, address=address, user_agent=agent
        )
        await audit.record(conn, "auth.login.success", actor=account.name, ip=address, kind=kind)
    return token


def _counted(here: Services, account: Account | None, name: str) -> str:
    """Under which name failures are counted: of an unknown one no more than its mark is kept."""
    return account.name if account is not None else f"unknown:{here.tokens.mark(name)}"


def _tell_failure(account: Account | None, name: str, *, reason: str, address: str) -> None:
    log.warning("auth.login.failure", username=shown_name(account, name), reason=reason, ip=address)


def shown_name(account: Account | None, name: str) -> str:
    """What is kept of a name: an unknown one may be a password in the wrong field, so two characters and its length."""
    if account is not None:
        return account.name
    shown = "".join(character if character.isprintable() else "?" for character in name[:SHOWN_CHARACTERS])
    return f"{shown}… ({len(name)} characters)"


def set_session_cookie(response: Response, request: Request, token: str) -> None:
    """Give the browser its session. Without https it goes over the network in the clear: the log says so, loudly."""
    name = cookie_name(request)
    if name == COOKIE:
        services(request).admin_passwords.warn_of_http()
    response.set_cookie(
        name, token, max_age=LONGEST_SECONDS, path="/", secure=name == SECURE_COOKIE, httponly=True, samesite="lax"
    )


def clear_session_cookie(response: Response, request: Request) -> None:
    """Have the browser forget it."""
    name = cookie_name(request)
    response.delete_cookie(name, path="/", secure=name == SECURE_COOKIE, httponly=True, samesite="lax")


def safe_next(path: str | None) -> str:
    """Where to go after the login: a path of this site, or `/`. To a browser `//evil` and `/\\evil` are other sites."""
    path = path or "/"
    inside = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if inside and len(path) <= 2000 and " " not in path else "/"
