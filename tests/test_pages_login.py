"""Logging in and out over HTTP: where one comes from is where one goes back to."""

import re

import httpx
import pytest

from tests.administrators import ADMIN_PASSWORD, browser, give_passwords
from tests.people import HTMX, PERSON
from tests.serving import Api

pytestmark = pytest.mark.anyio


async def login(http: httpx.AsyncClient, api: Api, *, password: str, back: str = "/", **headers: str) -> httpx.Response:
    form = {"username": "serg", "password": password, "next": back}
    return await http.post(f"{api.url}/login", data=form, headers={**PERSON, "Origin": api.url, **headers})


async def test_who_is_not_logged_in_is_sent_to_the_login_and_back(api: Api, http: httpx.AsyncClient) -> None:
    give_passwords(api.services.settings)
    answer = await http.get(f"{api.url}/?q=1", headers=PERSON)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/%3Fq%3D1")
    form = await http.get(api.url + answer.headers["location"], headers=PERSON)
    assert 'name="next" value="/?q=1"' in form.text
    entered = await login(http, api, password=ADMIN_PASSWORD, back="/?q=1")
    assert (entered.status_code, entered.headers["location"]) == (303, "/?q=1")
    inside = await http.get(f"{api.url}/?q=1", headers=PERSON)
    assert (inside.status_code, "Слоты AI-обработки" in inside.text) == (200, True)
    again = await http.get(f"{api.url}/login", headers=PERSON)
    assert (again.status_code, again.headers["location"]) == (303, "/")


async def test_a_session_that_ended_leads_htmx_to_the_login_and_back(api: Api, http: httpx.AsyncClient) -> None:
    headers = {**PERSON, **HTMX, "HX-Current-URL": f"{api.url}/?problems=1"}
    answer = await http.get(f"{api.url}/", headers=headers)
    assert answer.headers["hx-redirect"] == "/login?next=/%3Fproblems%3D1"
    assert (await http.get(f"{api.url}/")).json()["failure_reason"] == "login_required"


async def test_a_wrong_password_says_so_and_keeps_the_name(api: Api, http: httpx.AsyncClient) -> None:
    give_passwords(api.services.settings)
    answer = await login(http, api, password="wrong", back="/?q=1")
    assert answer.status_code == 401
    assert "Неверное имя или пароль" in answer.text
    assert 'value="serg"' in answer.text
    assert 'value="/?q=1"' in answer.text
    assert "wrong" not in answer.text
    for _ in range(9):
        await login(http, api, password="wrong")
    locked = await login(http, api, password=ADMIN_PASSWORD)
    assert (locked.status_code, "Попробуйте через 15 минут" in locked.text) == (429, True)


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
async def test_a_login_never_leads_elsewhere(api: Api, http: httpx.AsyncClient, back: str) -> None:
    give_passwords(api.services.settings)
    assert (await login(http, api, password=ADMIN_PASSWORD, back=back)).headers["location"] == "/"


async def test_a_foreign_page_logs_nobody_in(api: Api, http: httpx.AsyncClient) -> None:
    give_passwords(api.services.settings)
    answer = await login(http, api, password=ADMIN_PASSWORD, Origin="https://evil.example")
    assert (answer.status_code, "Так нельзя" in answer.text) == (403, True)
    assert "set-cookie" not in answer.headers


async def test_logging_out_ends_the_session(api: Api, http: httpx.AsyncClient) -> None:
    headers = {**PERSON, **await browser(api)}
    inside = await http.get(f"{api.url}/", headers=headers)
    (token,) = re.findall(r'name="csrf_token" value="([^"]+)"', inside.text)
    bare = {name: value for name, value in headers.items() if name != "X-CSRF-Token"}
    assert (await http.post(f"{api.url}/logout", headers=bare)).status_code == 403
    answer = await http.post(f"{api.url}/logout", data={"csrf_token": token}, headers=bare)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert (await http.get(f"{api.url}/", headers=headers)).status_code == 303
