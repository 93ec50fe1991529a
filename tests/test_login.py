"""Logging in over HTTP: who gets in, who does not, and what is told and kept of it."""

import asyncio
import json
import time
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text
from structlog.testing import capture_logs

from photochanger import admins
from photochanger.tables import login_failure
from tests.administrators import ADMIN_PASSWORD, bearer, give_passwords
from tests.logins import lines, login
from tests.serving import Api

pytestmark = pytest.mark.anyio


@pytest.fixture
async def api(api: Api) -> Api:
    give_passwords(api.services.settings, {"serg": ADMIN_PASSWORD, "igor": "igor has another one"})
    return api


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
