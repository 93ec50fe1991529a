"""Too many wrong passwords over HTTP: who is told to wait, for how long, and who is not."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from api.admin_passwords import MOST_WAITING
from photochanger import login_throttle
from photochanger.login_throttle import (
    CROWD_SECONDS,
    MOST_PER_ACCOUNT,
    WINDOW_SECONDS,
)
from photochanger.providers import Providers
from tests.administrators import ADMIN_PASSWORD, give_passwords, login_failures
from tests.serving import Api, serve_api, settings_for

pytestmark = pytest.mark.anyio


async def login(http: httpx.AsyncClient, api: Api, password: str, username: str = "serg") -> httpx.Response:
    return await http.post(f"{api.url}/api/login", json={"username": username, "password": password})


async def test_a_locked_account_refuses_the_right_password_too(api: Api, http: httpx.AsyncClient) -> None:
    give_passwords(api.services.settings)
    for _ in range(MOST_PER_ACCOUNT):
        assert (await login(http, api, "wrong")).status_code == 401
    answer = await login(http, api, ADMIN_PASSWORD)
    assert (answer.status_code, answer.json()["failure_reason"]) == (429, "too_many_attempts")
    assert WINDOW_SECONDS - 60 < int(answer.headers["retry-after"]) <= WINDOW_SECONDS
    assert answer.json()["retry_after"] == int(answer.headers["retry-after"])
    async with api.db.begin() as conn:
        assert await login_throttle.forgive(conn, account="serg") == MOST_PER_ACCOUNT
    assert (await login(http, api, ADMIN_PASSWORD)).status_code == 200


async def test_an_unknown_name_is_locked_like_a_known_one(api: Api, http: httpx.AsyncClient) -> None:
    give_passwords(api.services.settings)
    known = [(await login(http, api, "wrong")).status_code for _ in range(MOST_PER_ACCOUNT + 2)]
    unknown = [(await login(http, api, "wrong", "nobody")).status_code for _ in range(MOST_PER_ACCOUNT + 2)]
    assert known == unknown == [401] * MOST_PER_ACCOUNT + [429] * 2


async def test_a_good_login_forgets_the_failures_before_it(api: Api, http: httpx.AsyncClient) -> None:
    give_passwords(api.services.settings)
    for _ in range(3):
        for _ in range(MOST_PER_ACCOUNT - 1):
            assert (await login(http, api, "wrong")).status_code == 401
        assert (await login(http, api, ADMIN_PASSWORD)).status_code == 200


async def test_fifty_wrong_logins_at_once_get_no_more_checks_than_ten(
    api: Api, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_passwords(api.services.settings)
    monkeypatch.setattr("api.admin_passwords.MOST_WAITING", 1000)
    answers = await asyncio.gather(*(login(http, api, f"wrong {number}") for number in range(50)))
    counted = Counter(answer.status_code for answer in answers)
    assert set(counted) <= {401, 429, 503}, "a busy database may lose some after they were counted"
    assert counted[401] <= MOST_PER_ACCOUNT <= counted[401] + counted[503]
    assert await login_failures(api.db) == MOST_PER_ACCOUNT


async def test_of_many_right_logins_at_once_none_locks_the_account(
    api: Api, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_passwords(api.services.settings)
    monkeypatch.setattr("api.admin_passwords.MOST_WAITING", 1000)
    answers = await asyncio.gather(*(login(http, api, ADMIN_PASSWORD) for _ in range(MOST_PER_ACCOUNT + 2)))
    assert {answer.status_code for answer in answers} <= {200, 429}
    assert sum(answer.status_code == 200 for answer in answers) >= MOST_PER_ACCOUNT
    for answer in answers:
        assert int(answer.headers.get("retry-after", "0")) <= CROWD_SECONDS
    assert await login_failures(api.db) == 0
    assert (await login(http, api, ADMIN_PASSWORD)).status_code == 200


async def test_a_crowd_is_sent_away_before_it_is_counted(
    api: Api, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_passwords(api.services.settings)
    monkeypatch.setattr(api.services.admin_passwords, "_waiting", MOST_WAITING)
    answer = await login(http, api, ADMIN_PASSWORD)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
    assert await login_failures(api.db) == 0
    monkeypatch.setattr(api.services.admin_passwords, "_waiting", 0)
    assert (await login(http, api, ADMIN_PASSWORD)).status_code == 200


async def test_the_count_holds_over_a_restart_and_for_all_processes(
    database_url: str, tmp_path: Path, known_providers: Providers, http: httpx.AsyncClient
) -> None:
    settings = settings_for(tmp_path, database_url)
    give_passwords(settings)
    async with (
        serve_api(settings, known_providers, database_url) as one,
        serve_api(settings, known_providers, database_url) as other,
    ):
        for number in range(MOST_PER_ACCOUNT):
            assert (await login(http, (one, other)[number % 2], "wrong")).status_code == 401
    async with serve_api(settings, known_providers, database_url) as restarted:
        assert (await login(http, restarted, ADMIN_PASSWORD)).status_code == 429


async def test_without_the_database_nobody_gets_in(api: Api, http: httpx.AsyncClient) -> None:
    give_passwords(api.services.settings)
    async with api.db.begin() as holder:
        await holder.execute(text("LOCK TABLE login_failure IN ACCESS EXCLUSIVE MODE"))
        answer = await login(http, api, ADMIN_PASSWORD)
    assert (answer.status_code, answer.json()["failure_reason"]) == (503, "database_unavailable")
