"""Logging in and out over HTTP, by programs and by pages; sessions seen and ended."""

import asyncio
import json
import time
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text
from starlette.requests import Request
from starlette.responses import Response
from structlog.testing import capture_logs

from api.login import clear_session_cookie, open_session, safe_next, set_session_cookie
from photochanger import admins
from photochanger.errors import Refusal
from photochanger.tables import login_failure, processing_log, session
from tests.administrators import ADMIN_PASSWORD, bearer, browser, give_passwords, token
from tests.serving import Api

pytestmark = pytest.mark.anyio


@pytest.fixture
async def api(api: Api) -> Api:
    give_passwords(api.services.settings, {"serg": ADMIN_PASSWORD, "igor": "igor has another one"})
    return api


async def login(http: httpx.AsyncClient, api: Api, username: Any = "serg", password: Any = ADMIN_PASSWORD) -> Any:
    return await http.post(f"{api.url}/api/login", json={"username": username, "password": password})


async def lines(api: Api, event: str) -> list[Any]:
    async with api.db.at_once() as conn:
        return list(await conn.execute(select(processing_log).where(processing_log.c.event == event)))


async def failures(api: Api) -> list[Any]:
    async with api.db.at_once() as conn:
        return list(await conn.execute(select(login_failure)))


async def test_a_login_gives_a_token_that_opens_what_is_closed(api: Api, http: httpx.AsyncClient) -> None:
    answer = await login(http, api)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    given = answer.json()
    assert (given["token_type"], given["expires_in"]) == ("bearer", 8 * 3600)
    me = await http.get(f"{api.url}/api/me", headers={"Authorization": f"Bearer {given['access_token']}"})
    assert (me.status_code, me.json()["account"], me.json()["kind"]) == (200, "serg", "bearer")
    (line,) = await lines(api, "auth.login.success")
    assert (line.actor, line.details["ip"]) == ("serg", "127.0.0.1")
    assert await failures(api) == []


async def test_every_login_opens_a_session_of_its_own(api: Api, http: httpx.AsyncClient) -> None:
    tokens = {(await login(http, api)).json()["access_token"] for _ in range(3)}
    assert len(tokens) == 3


async def test_a_name_may_come_as_a_phone_writes_it(api: Api, http: httpx.AsyncClient) -> None:
    assert (await login(http, api, username="Serg ")).status_code == 200


@pytest.mark.parametrize(
    "password",
    [
        "",
        ADMIN_PASSWORD + " ",
        " " + ADMIN_PASSWORD,
        ADMIN_PASSWORD + "\0",
        ADMIN_PASSWORD[:-1],
        "x" * 100_000,
        "\ud800",
    ],
)
async def test_a_wrong_password_and_a_wrong_name_get_the_same_401(
    api: Api, http: httpx.AsyncClient, password: str
) -> None:
    body = {"username": "serg", "password": password}
    wrong = await http.post(f"{api.url}/api/login", content=_ascii_json(body))
    unknown = await http.post(f"{api.url}/api/login", content=_ascii_json({**body, "username": "nobody"}))
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert wrong.json()["failure_reason"] == "invalid_credentials"
    assert dict(wrong.headers).keys() == dict(unknown.headers).keys()


def _ascii_json(body: Any) -> bytes:
    return json.dumps(body).encode("ascii")


async def test_an_unknown_name_costs_as_much_time_as_a_wrong_password(api: Api, http: httpx.AsyncClient) -> None:
    admins.set_passwords(admins.file_of(api.services.settings), {"serg": ADMIN_PASSWORD.encode()})

    async def seconds(username: str) -> float:
        started = time.perf_counter()
        assert (await login(http, api, username=username, password="wrong one")).status_code == 401
        return time.perf_counter() - started

    known = [await seconds("serg") for _ in range(4)]
    unknown = [await seconds("nobody") for _ in range(4)]
    assert min(unknown) > 0.4 * min(known)
    assert min(known) > 0.4 * min(unknown)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"username", "password"}),
        ({"username": "serg"}, {"password"}),
        ({"username": 1, "password": None}, {"username", "password"}),
        ({"username": ["serg"], "password": {}}, {"username", "password"}),
        ({"username": "serg", "password": "x", "admin": True}, {"admin"}),
    ],
)
async def test_what_is_no_login_is_told_by_field(
    api: Api, http: httpx.AsyncClient, body: dict[str, Any], fields: set[str]
) -> None:
    answer = await http.post(f"{api.url}/api/login", json=body)
    assert (answer.status_code, answer.json()["failure_reason"]) == (422, "validation_failed")
    assert set(answer.json()["fields"]) == fields
    assert await failures(api) == []


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b'"serg"', b"\xff", b'{"username": NaN}', b"[" * 10_000])
async def test_what_is_no_json_is_an_invalid_request(api: Api, http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post(f"{api.url}/api/login", content=body)
    assert (answer.status_code, answer.json()["failure_reason"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "username", ["nul\0inside", "\ud800", "x" * 10_000, "\x1b[2J\n{{7*7}}", "a password, typed here"]
)
async def test_an_unknown_name_is_nowhere_kept_whole(api: Api, http: httpx.AsyncClient, username: str) -> None:
    with capture_logs() as logged:
        answer = await http.post(f"{api.url}/api/login", content=_ascii_json({"username": username, "password": "x"}))
    assert answer.status_code == 401
    (told,) = [line for line in logged if line["event"] == "auth.login.failure"]
    (line,) = await lines(api, "auth.login.failure")
    assert told["reason"] == line.details["reason"] == "unknown_account"
    assert told["ip"] == "127.0.0.1"
    assert told["username"] == line.actor
    assert line.actor.endswith(f"… ({len(username)} characters)")
    assert len(line.actor) < 30
    assert username.strip() not in repr(logged) + repr(line) + repr(await failures(api))


async def test_a_known_name_is_told_with_its_failure(api: Api, http: httpx.AsyncClient) -> None:
    with capture_logs() as logged:
        await login(http, api, password="wrong one")
    (told,) = [line for line in logged if line["event"] == "auth.login.failure"]
    assert (told["username"], told["reason"], told["ip"]) == ("serg", "wrong_password", "127.0.0.1")


async def test_a_login_does_not_hold_up_the_event_loop(api: Api, http: httpx.AsyncClient) -> None:
    admins.set_passwords(admins.file_of(api.services.settings), {"serg": ADMIN_PASSWORD.encode()})

    async def longest_pause() -> float:
        """As a share of the time that four logins take: on the loop each check alone would be a quarter."""
        logins = [asyncio.create_task(login(http, api)) for _ in range(4)]
        started = since = time.perf_counter()
        longest = 0.0
        while not all(task.done() for task in logins):
            await asyncio.sleep(0.005)
            longest, since = max(longest, time.perf_counter() - since), time.perf_counter()
        assert [task.result().status_code for task in logins] == [200] * 4
        return longest / (since - started)

    pauses = [await longest_pause() for _ in range(3)]  # the machine may have paused all of us once
    assert min(pauses) < 0.2


# --- logging out, seeing and ending sessions


async def test_a_program_logs_out(api: Api, http: httpx.AsyncClient) -> None:
    headers = await bearer(api)
    answer = await http.post(f"{api.url}/api/logout", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "set-cookie" not in answer.headers
    assert (await http.post(f"{api.url}/api/logout", headers=headers)).status_code == 401
    assert [line.actor for line in await lines(api, "logged_out")] == ["serg"]


async def test_a_browser_logs_out_and_forgets_its_cookie(api: Api, http: httpx.AsyncClient) -> None:
    headers = await browser(api)
    answer = await http.post(f"{api.url}/api/logout", headers=headers)
    assert answer.status_code == 204
    assert answer.headers["set-cookie"].startswith('photochanger_session="";')
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert (await http.get(f"{api.url}/api/me", headers=headers)).status_code == 401


async def test_sessions_are_listed_without_what_would_open_them(api: Api, http: httpx.AsyncClient) -> None:
    mine, others = await token(api), await token(api, account="igor", kind="cookie")
    answer = await http.get(f"{api.url}/api/sessions", headers={"Authorization": f"Bearer {mine}"})
    found = {one["account"]: one for one in answer.json()["sessions"]}
    assert {name: (one["kind"], one["current"]) for name, one in found.items()} == {
        "serg": ("bearer", True),
        "igor": ("cookie", False),
    }
    for secret in (mine, others):
        session_id = api.services.tokens.session_id(secret)
        assert session_id is not None
        for part in (secret, secret.partition(".")[0], session_id.hex()):
            assert part not in answer.text


async def test_anybodys_session_is_ended_by_its_public_id(api: Api, http: httpx.AsyncClient) -> None:
    mine, others = await bearer(api), await bearer(api, account="igor")
    theirs = (await http.get(f"{api.url}/api/me", headers=others)).json()["session_id"]
    url = f"{api.url}/api/sessions/{theirs}"
    assert (await http.delete(url, headers=mine)).status_code == 204
    assert (await http.get(f"{api.url}/api/me", headers=others)).status_code == 401
    again = await http.delete(url, headers=mine)
    assert (again.status_code, again.json()["failure_reason"]) == (404, "not_found")
    (line,) = await lines(api, "session_ended")
    assert (line.actor, line.details["account"], line.details["session"]) == ("serg", "igor", theirs)


@pytest.mark.parametrize("public_id", ["0" * 32, "0" * 31, "0" * 64, "A" * 32, "x", "%00", "%2e%2e", "%D0%B6"])
async def test_an_unknown_session_is_not_found(api: Api, http: httpx.AsyncClient, public_id: str) -> None:
    answer = await http.delete(f"{api.url}/api/sessions/{public_id}", headers=await bearer(api))
    assert answer.status_code == 404


async def test_a_session_is_good_only_in_the_way_it_was_opened_for(api: Api, http: httpx.AsyncClient) -> None:
    program, page = await token(api), await token(api, kind="cookie")
    me = f"{api.url}/api/me"
    for headers, status in (
        ({"Authorization": f"Bearer {program}"}, 200),
        ({"Authorization": f"bearer   {program}"}, 200),
        ({"Cookie": f"photochanger_session={page}"}, 200),
        ({"Authorization": f"Bearer {page}"}, 401),
        ({"Cookie": f"photochanger_session={program}"}, 401),
        ({"Cookie": f"__Host-photochanger_session={page}"}, 401),  # here is no https
        ({"Authorization": f"Basic {program}", "Cookie": f"photochanger_session={page}"}, 401),
        ({"Authorization": f"Bearer {program}x"}, 401),
    ):
        assert (headers, (await http.get(me, headers=headers)).status_code) == (headers, status)


# --- what the pages log in with


def request_to(api: Api, *, scheme: str = "http", **headers: str) -> Request:
    """A request as a handler of this API would see it."""
    given = {"host": "studio.example", "origin": f"{scheme}://studio.example", **headers}
    app = type("App", (), {"state": type("State", (), {"services": api.services})})
    return Request(
        {
            "type": "http",
            "method": "POST",
            "scheme": scheme,
            "path": "/login",
            "query_string": b"",
            "server": ("127.0.0.1", 8000),
            "client": ("10.0.0.9", 5000),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "app": app,
        }
    )


async def test_a_page_gets_a_cookie_that_scripts_and_plain_http_do_not_get(api: Api, http: httpx.AsyncClient) -> None:
    request, response = request_to(api, scheme="https"), Response()
    given = await open_session(request, username="serg", password=ADMIN_PASSWORD, kind="cookie")
    set_session_cookie(response, request, given)
    name, *attributes = response.headers["set-cookie"].split("; ")
    assert name == f"__Host-photochanger_session={given}"
    assert set(attributes) == {"HttpOnly", "Secure", "SameSite=lax", "Path=/", f"Max-Age={7 * 24 * 3600}"}
    cleared = Response()
    clear_session_cookie(cleared, request)
    assert cleared.headers["set-cookie"].startswith("__Host-photochanger_session=")
    assert "Secure" in cleared.headers["set-cookie"]


async def test_without_https_the_cookie_has_a_plain_name_and_the_log_says_so_once(api: Api) -> None:
    request = request_to(api)
    with capture_logs() as logged:
        for _ in range(3):
            response = Response()
            set_session_cookie(response, request, "a-token")
            assert response.headers["set-cookie"].startswith("photochanger_session=a-token; HttpOnly;")
            assert "Secure" not in response.headers["set-cookie"]
    assert [(line["event"], line["log_level"]) for line in logged] == [("session_cookie_without_https", "warning")]


async def test_a_new_login_of_a_browser_ends_the_session_it_came_with(api: Api) -> None:
    first = await open_session(request_to(api), username="serg", password=ADMIN_PASSWORD, kind="cookie")
    again = request_to(api, cookie=f"photochanger_session={first}")
    second = await open_session(again, username="serg", password=ADMIN_PASSWORD, kind="cookie")
    assert first != second
    async with api.db.at_once() as conn:
        revoked = (await conn.execute(select(session.c.revoked_at).order_by(session.c.created_at))).scalars().all()
    assert [moment is not None for moment in revoked] == [True, False]


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://studio.example:81", "http://studio.example.evil"]
)
async def test_a_foreign_page_cannot_log_a_browser_in(api: Api, origin: str) -> None:
    with pytest.raises(Refusal, match="forbidden"):
        await open_session(request_to(api, origin=origin), username="serg", password=ADMIN_PASSWORD, kind="cookie")


async def test_a_password_changed_while_it_is_checked_opens_nothing(
    api: Api, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old password was right when the check began, and set-password has ended all sessions by its end."""
    checking = api.services.admin_passwords.matches

    async def slowly(*arguments: Any) -> bool:
        good = await checking(*arguments)
        give_passwords(api.services.settings, {"serg": "another password"})
        return good

    monkeypatch.setattr(api.services.admin_passwords, "matches", slowly)
    assert (await login(http, api)).status_code == 401
    async with api.db.at_once() as conn:
        assert (await conn.execute(text("SELECT count(*) FROM session"))).scalar_one() == 0


async def test_a_changed_file_counts_for_the_next_login(api: Api, http: httpx.AsyncClient) -> None:
    give_passwords(api.services.settings, {"anna": "a password of anna"})
    assert (await login(http, api)).status_code == 401
    assert (await login(http, api, username="anna", password="a password of anna")).status_code == 200
    admins.file_of(api.services.settings).unlink()
    assert (await login(http, api, username="anna", password="a password of anna")).status_code == 401


async def test_a_file_broken_meanwhile_lets_nobody_in_and_crashes_nothing_else(
    api: Api, http: httpx.AsyncClient
) -> None:
    admins.file_of(api.services.settings).write_text('{"serg": ', encoding="utf-8")
    answer = await login(http, api)
    assert (answer.status_code, answer.json()["failure_reason"]) == (500, "internal_error")
    assert "runtime_credentials" not in answer.text
    assert (await http.get(f"{api.url}/livez")).status_code == 200
    assert (await http.get(f"{api.url}/api/me", headers=await bearer(api))).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/slots/slot-001", "/stats?window=60&slot=slot-001", "/слоты", "/a//b", "/a:b@c"]
)
def test_a_path_of_this_site_may_follow_the_login(path: str) -> None:
    assert safe_next(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "", None, "//evil", "///evil", "/\\evil", "\\\\evil", "https://evil", "https:evil", "javascript:alert(1)",
        "evil", " //evil", "/\t/evil", "/\n/evil", "/\r\nSet-Cookie: a=b", "\x00/", "/\x00", "/\u2028evil", "/ evil",
        "/" + "a" * 2001,
    ],
)  # fmt: skip
def test_any_other_address_may_not(path: str | None) -> None:
    assert safe_next(path) == "/"
