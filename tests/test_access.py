"""Who may call what, over the whole table of routes: a session, and for cookies a page of ours."""

import json
import re
from collections.abc import AsyncIterator

import httpx
import pytest

from api.contract import document
from tests.administrators import bearer, browser
from tests.routes import METHODS, OPEN, SAFE_METHODS, Operation, described, operations, resolved
from tests.serving import Api

pytestmark = pytest.mark.anyio

CLOSED = [operation for operation in operations() if operation.closed]
CHANGING = [operation for operation in CLOSED if operation.method not in SAFE_METHODS]


def refused(answer: httpx.Response, operation: Operation) -> bool:
    """401; a page, which is for people, may send them to the login instead."""
    if not operation.path.startswith("/api/") and answer.status_code == 303:
        return answer.headers["location"].partition("?")[0] == "/login"
    return answer.status_code == 401 and (answer.content == b"" or answer.json()["failure_reason"] == "login_required")


def test_the_open_list_names_nothing_that_has_gone() -> None:
    assert {operation.path for operation in operations()} >= OPEN
    assert CHANGING


@pytest.mark.parametrize("operation", CLOSED, ids=str)
async def test_without_a_session_nothing_but_the_open_list_answers(
    api: Api, http: httpx.AsyncClient, operation: Operation
) -> None:
    strangers = [
        {},
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic c2VyZzp4"},
        {"Authorization": f"Bearer {api.services.tokens.new()}"},  # signed, and no session
        {"Cookie": f"photochanger_session={api.services.tokens.new()}"},
    ]
    for headers in strangers:
        answer = await http.request(operation.method, f"{api.url}{operation.url}", headers=headers)
        assert refused(answer, operation), (headers, answer.status_code)


async def test_a_method_that_a_route_does_not_take_is_refused_for_everybody(api: Api, http: httpx.AsyncClient) -> None:
    known = operations()
    headers = await bearer(api)
    for path, url in {(one.path, one.url) for one in known}:
        # What stands for an id in one path may be a word of another: `…/register`.
        taken = {
            one.method for one in known if one.url == url or re.fullmatch(re.sub("{[^}]*}", "[^/]+", one.path), url)
        }
        for method in set(METHODS) - taken:
            answer = await http.request(method, f"{api.url}{url}", headers=headers)
            assert (path, method, answer.status_code) == (path, method, 405)
            assert taken >= set(answer.headers["allow"].split(", "))


def test_the_contract_says_of_every_closed_route_how_to_come_in() -> None:
    closed = {(one.method, one.path) for one in CLOSED}
    for method, path, operation in described():
        responses = operation["responses"]
        security = operation.get("security", document()["security"])
        assert (bool(security) and {} not in security) == ((method, path) in closed), (method, path)
        if (method, path) in closed and path.startswith("/api/"):
            assert "401" in responses, (method, path)
            assert method in SAFE_METHODS or "403" in responses, (method, path)


# --- cookies


@pytest.mark.parametrize("operation", CHANGING, ids=str)
async def test_a_cookie_alone_changes_nothing(api: Api, http: httpx.AsyncClient, operation: Operation) -> None:
    good = await browser(api)
    others = (await browser(api, account="igor"))["X-CSRF-Token"]
    wrong = [
        {**good, "X-CSRF-Token": ""},
        {**good, "X-CSRF-Token": others},
        {**good, "X-CSRF-Token": good["X-CSRF-Token"][:-1]},
        {**good, "Origin": "https://evil.example"},
        {**good, "Origin": "null"},
        {**good, "Origin": api.url.replace("http://", "https://")},
        {**good, "Origin": f"{api.url}0"},
        {**good, "Origin": f"{api.url}.evil.example"},
        {**good, "Origin": "", "Referer": "https://evil.example/"},
        {name: value for name, value in good.items() if name != "X-CSRF-Token"},
        {name: value for name, value in good.items() if name != "Origin"},
    ]
    for headers in wrong:
        answer = await http.request(operation.method, f"{api.url}{operation.url}", headers=headers)
        assert (headers, answer.status_code) == (headers, 403)
        assert answer.json()["failure_reason"] == "forbidden"
    answer = await http.request(operation.method, f"{api.url}{operation.url}", headers=good)
    assert answer.status_code not in {401, 403}


@pytest.mark.parametrize("operation", CHANGING, ids=str)
async def test_a_program_needs_neither_origin_nor_token(
    api: Api, http: httpx.AsyncClient, operation: Operation
) -> None:
    headers = {**await bearer(api), "Origin": "https://evil.example"}
    answer = await http.request(operation.method, f"{api.url}{operation.url}", headers=headers)
    assert answer.status_code not in {401, 403}


async def test_a_booth_needs_no_origin(api: Api, http: httpx.AsyncClient) -> None:
    headers = {**await browser(api, csrf=False), "Origin": "https://evil.example"}
    answer = await http.post(f"{api.url}/ingest/slot-001", content=b"x", headers=headers)
    assert (answer.status_code, answer.json()["failure_reason"]) == (400, "invalid_request")


async def test_the_referer_counts_where_a_browser_sends_no_origin(api: Api, http: httpx.AsyncClient) -> None:
    headers = await browser(api)
    del headers["Origin"]
    headers["Referer"] = f"{api.url}/settings?tab=sessions"
    assert (await http.post(f"{api.url}/api/logout", headers=headers)).status_code == 204


async def test_a_plain_form_brings_the_token_in_a_field(api: Api, http: httpx.AsyncClient) -> None:
    headers = await browser(api)
    token = headers.pop("X-CSRF-Token")
    url = f"{api.url}/api/logout"
    for form in ({}, {"csrf_token": ""}, {"csrf_token": token[::-1]}, {"token": token}):
        assert (await http.post(url, data=form, headers=headers)).status_code == 403
    as_json = {**headers, "Content-Type": "application/json"}
    assert (await http.post(url, content=json.dumps({"csrf_token": token}), headers=as_json)).status_code == 403
    assert (await http.post(url, data={"a": "б", "csrf_token": token}, headers=headers)).status_code == 204


async def test_a_form_that_is_too_long_or_broken_is_refused_before_it_is_read(
    api: Api, http: httpx.AsyncClient
) -> None:
    headers = {**await browser(api, csrf=False), "Content-Type": "application/x-www-form-urlencoded"}
    url = f"{api.url}/api/logout"
    for body, status in (
        (b"a=" + b"x" * 300_000, 413),
        (b"a=1&" * 300, 400),
        (b"csrf_token=%ff", 400),
        (b"csrf_token=\xff", 400),
    ):
        assert (await http.post(url, content=body, headers=headers)).status_code == status

    async def pieces() -> AsyncIterator[bytes]:
        yield b"csrf_token=x"

    assert (await http.post(url, content=pieces(), headers=headers)).status_code == 400


# --- nothing secret in the contract


def test_secrets_go_in_and_never_out() -> None:
    """A property with a telling name is `writeOnly`; only the login gives a token."""
    telling = ("password", "api_key", "access_token", "secret")
    for method, path, operation in described():
        for told in operation["responses"].values():
            for content in resolved(told).get("content", {}).values():
                names = set(resolved(content.get("schema", {})).get("properties", {}))
                found = {name for name in names if name in telling}
                assert found <= ({"access_token"} if path == "/api/login" else set()), (method, path)
