"""Logging out, and seeing and ending sessions, over HTTP."""

import httpx
import pytest

from tests.administrators import ADMIN_PASSWORD, bearer, browser, give_passwords, token
from tests.logins import lines
from tests.serving import Api

pytestmark = pytest.mark.anyio


@pytest.fixture
async def api(api: Api) -> Api:
    give_passwords(api.services.settings, {"serg": ADMIN_PASSWORD, "igor": "igor has another one"})
    return api


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
