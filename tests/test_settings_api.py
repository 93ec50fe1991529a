"""`/api/settings`: what administrators see and change, all or nothing, and never a secret."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from photochanger import app_settings, audit
from photochanger.providers import Providers
from photochanger.tables import app_settings as settings_table
from photochanger.tables import processing_log, secret
from tests.administrators import bearer
from tests.booths import photo_bytes, post_photo
from tests.queue_rows import queue
from tests.serving import PASSWORD, Api, serve_api, settings_for
from tests.test_contract import check

pytestmark = pytest.mark.anyio

KEY = "canary-key-0123456789-wxyz"


class Settings:
    """The settings' API as one administrator uses it."""

    def __init__(self, api: Api, http: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self.api = api
        self._http = http
        self._headers = headers

    async def ask(self, method: str, path: str = "", **options: Any) -> httpx.Response:
        return await self._http.request(method, f"{self.api.url}/api/settings{path}", headers=self._headers, **options)

    async def get(self) -> dict[str, Any]:
        answer = await self.ask("GET")
        assert answer.status_code == 200, answer.text
        check(answer.json(), "Settings")
        found: dict[str, Any] = answer.json()
        return found

    async def put(self, body: Any = None, /, **changes: Any) -> httpx.Response:
        return await self.ask("PUT", json=changes if body is None else body)

    async def saved(self, body: Any = None, /, **changes: Any) -> dict[str, Any]:
        answer = await self.put(body, **changes)
        assert answer.status_code == 200, answer.text
        check(answer.json(), "Settings")
        found: dict[str, Any] = answer.json()
        return found

    async def lines(self) -> list[tuple[str, dict[str, Any]]]:
        """The audit's, the oldest first."""
        async with self.api.db.begin() as conn:
            return [(line.event, dict(line.details)) for line in reversed(await audit.latest(conn))]


@pytest.fixture
async def settings(api: Api, http: httpx.AsyncClient) -> Settings:
    return Settings(api, http, await bearer(api))


@pytest.fixture
async def unsealed(
    database_url: str, tmp_path: Path, known_providers: Providers, http: httpx.AsyncClient
) -> AsyncIterator[Settings]:
    """Those of an installation that has no SECRETS_KEY."""
    told = settings_for(tmp_path, database_url, SECRETS_KEY="", GEMINI_API_KEY=KEY)
    async with serve_api(told, known_providers, database_url) as api:
        yield Settings(api, http, await bearer(api))


async def test_who_is_not_logged_in_sees_and_changes_nothing(api: Api, http: httpx.AsyncClient) -> None:
    for method, path in (("GET", ""), ("PUT", ""), ("POST", "/provider-keys/gemini/check")):
        answer = await http.request(method, f"{api.url}/api/settings{path}", json={})
        assert (answer.status_code, answer.json()["failure_reason"]) == (401, "login_required")


async def test_what_nobody_has_set_is_told(settings: Settings) -> None:
    found = await settings.get()
    plain = {
        "sync_response_seconds": 48,
        "result_ttl_hours": 72,
        "ingest.hash_check": "reject",
        "photos_in_work_per_slot": 3,
        "gallery_size": 10,
        "ingest_password_grace_minutes": 60,
        "providers.budgets": {},
    }
    assert {name: found[name] for name in plain} == plain
    assert found["provider_limits"]["gemini"] == {"in_flight": None, "per_minute": None, "per_day": None}
    assert found["provider_keys"]["openai"] == {
        "configured": False,
        "source": None,
        "updated_at": None,
        "updated_by": None,
        "last_four": None,
        "check": None,
    }
    assert (found["ingest_password_configured"], found["ingest_password_rotated_by"]) == (True, "test")


async def test_what_is_saved_is_told_and_has_its_line(settings: Settings) -> None:
    body = {
        "sync_response_seconds": 10,
        "result_ttl_hours": 8760,
        "ingest.hash_check": "warn",
        "photos_in_work_per_slot": 1000,
        "gallery_size": 50,
        "ingest_password_grace_minutes": 0,
        "providers.budgets": {"gemini": {"usd_per_month": 12.5, "stop": True}, "openai": {"usd_per_month": 5}},
        "provider_limits": {"gemini": {"in_flight": 4, "per_day": 100}, "openai": {"per_minute": 1}},
    }
    saved = await settings.saved(body)
    assert saved == await settings.get()
    assert {name: saved[name] for name in body if name != "provider_limits"} == {
        name: value for name, value in body.items() if name != "provider_limits"
    }
    assert saved["provider_limits"]["gemini"] == {"in_flight": 4, "per_minute": None, "per_day": 100}
    assert saved["updated_by"] == "serg"
    changes = {details["setting"]: (details["old"], details["new"]) for _, details in await settings.lines()}
    assert changes == {
        "sync_response_seconds": (48, 10),
        "result_ttl_hours": (72, 8760),
        "ingest.hash_check": ("reject", "warn"),
        "photos_in_work_per_slot": (3, 1000),
        "gallery_size": (10, 50),
        "ingest_password_grace_minutes": (60, 0),
        "providers.budgets": ({}, body["providers.budgets"]),
        "provider_limits.gemini.in_flight": (None, 4),
        "provider_limits.gemini.per_day": (None, 100),
        "provider_limits.openai.per_minute": (None, 1),
    }


async def test_what_does_not_change_has_no_line(settings: Settings) -> None:
    await settings.saved(sync_response_seconds=48, gallery_size=11)
    await settings.saved(gallery_size=11)
    await settings.saved({})
    assert await settings.lines() == [("setting_changed", {"setting": "gallery_size", "old": 10, "new": 11})]


async def test_a_limit_is_taken_back_to_what_providers_json_says(settings: Settings) -> None:
    await settings.saved(provider_limits={"gemini": {"in_flight": 4}})
    found = await settings.saved(provider_limits={"gemini": {"in_flight": None}})
    assert found["provider_limits"]["gemini"]["in_flight"] is None
    async with settings.api.db.begin() as conn:
        names = (await conn.execute(select(settings_table.c.name))).scalars().all()
    assert not [name for name in names if name.startswith("provider.")]


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("sync_response_seconds", 10, 60),
        ("result_ttl_hours", 1, 8760),
        ("photos_in_work_per_slot", 1, 1000),
        ("gallery_size", 1, 50),
        ("ingest_password_grace_minutes", 0, 1440),
    ],
)
async def test_what_is_no_whole_number_in_its_range_is_named_and_nothing_is_saved(
    settings: Settings, name: str, least: int, most: int
) -> None:
    before = await settings.get()
    other = "gallery_size" if name != "gallery_size" else "result_ttl_hours"
    for number in (str(least - 1), str(most + 1), "48.5", "48.0", '"48"', "NaN", "Infinity", "1e9", "null", "true"):
        answer = await settings.ask("PUT", content=f'{{"{other}": 20, "{name}": {number}}}')
        assert (number, answer.status_code) == (number, 422)
        assert answer.json()["fields"] == {name: f"It must be a whole number from {least} to {most}."}
    assert await settings.get() == before
    for number in (str(least), str(most)):
        assert (await settings.ask("PUT", content=f'{{"{name}": {number}}}')).status_code == 200


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({"surprise": 1}, {"surprise"}),
        ({"ingest.password_hash": "x"}, {"ingest.password_hash"}),
        ({"ingest": {"hash_check": "off"}}, {"ingest"}),
        ({"ingest.hash_check": "maybe"}, {"ingest.hash_check"}),
        ({"ingest.hash_check": False}, {"ingest.hash_check"}),
        ({"provider_limits": {"gemini": {"in_flight": 0}}}, {"provider_limits.gemini.in_flight"}),
        ({"provider_limits": {"gemini": {"in_flight": 4.0}}}, {"provider_limits.gemini.in_flight"}),
        ({"provider_limits": {"gemini": {"per_hour": 4}}}, {"provider_limits.gemini.per_hour"}),
        ({"provider_limits": {"nobody": {}}}, {"provider_limits.nobody"}),
        ({"provider_limits": 5}, {"provider_limits"}),
        ({"providers.budgets": {"gemini": {"usd_per_month": 0}}}, {"providers.budgets.gemini.usd_per_month"}),
        (
            {"providers.budgets": {"gemini": {"stop": 1}}},
            {f"providers.budgets.gemini.{n}" for n in ("stop", "usd_per_month")},
        ),
        ({"providers.budgets": {"nobody": {}, "openai": 5}}, {"providers.budgets.nobody", "providers.budgets.openai"}),
        ({"providers.budgets": {"turbotext": {"usd_per_month": 5}}}, {"providers.budgets.turbotext"}),
        ({"provider_keys": {"nobody": KEY}}, {"provider_keys.nobody"}),
        ({"provider_keys": {"gemini": f"{KEY}\n"}}, {"provider_keys.gemini"}),
        ({"provider_keys": {"gemini": f"{KEY}\nX-Evil: 1"}}, {"provider_keys.gemini"}),
        ({"provider_keys": {"gemini": f"{KEY}ключ"}}, {"provider_keys.gemini"}),
        ({"provider_keys": {"gemini": f" {KEY}"}}, {"provider_keys.gemini"}),
        ({"provider_keys": {"gemini": ""}}, {"provider_keys.gemini"}),
        ({"provider_keys": {"gemini": 12345678}}, {"provider_keys.gemini"}),
        ({"provider_keys": {"gemini": "x" * 501}}, {"provider_keys.gemini"}),
        ({"ingest_password": "short"}, {"ingest_password"}),
        ({"ingest_password": "two\nlines of it"}, {"ingest_password"}),
        ({"ingest_password": None}, {"ingest_password"}),
        ({"ingest_password": {"generate": False}}, {"ingest_password.generate"}),
        ({"ingest_password": {}}, {"ingest_password.generate"}),
        ({"gallery_size": 0, "sync_response_seconds": 9, "x": 1}, {"gallery_size", "sync_response_seconds", "x"}),
    ],
)
async def test_every_mistake_is_named_and_nothing_is_saved(
    settings: Settings, body: dict[str, Any], places: set[str]
) -> None:
    before = await settings.get()
    answer = await settings.put({"result_ttl_hours": 1, **body})
    assert (answer.status_code, answer.json()["failure_reason"]) == (422, "validation_failed")
    check(answer.json(), "Refusal")
    assert set(answer.json()["fields"]) == places
    assert KEY not in answer.text
    assert await settings.get() == before
    assert await settings.lines() == []


async def test_two_bodies_at_once_are_never_mixed(settings: Settings) -> None:
    async def save(number: int) -> None:
        limits = {"gemini": {"in_flight": number, "per_minute": number}}
        await settings.saved(gallery_size=number, photos_in_work_per_slot=number, provider_limits=limits)

    for start in range(1, 41, 10):
        await asyncio.gather(*(save(number) for number in range(start, start + 10)))
        found = await settings.get()
        limits = found["provider_limits"]["gemini"]
        told = {found["gallery_size"], found["photos_in_work_per_slot"], limits["in_flight"], limits["per_minute"]}
        assert len(told) == 1


async def test_the_next_photo_obeys_at_once(settings: Settings, http: httpx.AsyncClient) -> None:
    refused = await post_photo(http, settings.api.url, photo_bytes(), hash_="0" * 32)
    assert refused.json()["failure_reason"] == "hash_mismatch"
    assert "ingest.hash_check" in refused.json()["details"]
    await settings.saved({"ingest.hash_check": "off", "photos_in_work_per_slot": 1})
    await queue(settings.api.db)
    limited = await post_photo(http, settings.api.url, photo_bytes(), hash_="0" * 32)
    assert limited.json()["failure_reason"] == "rate_limited"


async def test_a_key_is_kept_sealed_and_never_told(
    settings: Settings, http: httpx.AsyncClient, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = await settings.put(provider_keys={"gemini": KEY, "openai": "short-key"})
    assert answer.status_code == 200
    found = await settings.get()
    gemini = found["provider_keys"]["gemini"]
    assert (gemini["configured"], gemini["source"], gemini["last_four"]) == (True, "database", "wxyz")
    assert (gemini["updated_by"], found["updated_by"]) == ("serg", "serg")
    assert gemini["updated_at"] == found["updated_at"]
    assert found["provider_keys"]["openai"]["last_four"] is None
    async with settings.api.db.begin() as conn:
        rows = (await conn.execute(select(secret))).all()
        log = (await conn.execute(select(processing_log.c.details))).scalars().all()
    assert {row.name for row in rows} == {"provider.gemini.api_key", "provider.openai.api_key"}
    printed = capfd.readouterr()
    for place in (answer.text, json.dumps(found), str(rows), str(log), printed.out, printed.err):
        assert KEY not in place
        assert "short-key" not in place
    providers = (await http.get(f"{settings.api.url}/api/providers", headers=await bearer(settings.api))).json()
    assert providers["providers"]["gemini"]["key_configured"] is True
    assert [event for event, _ in await settings.lines()] == ["provider_key_stored"] * 2


async def test_a_key_is_removed_and_the_environments_counts_again(unsealed: Settings, settings: Settings) -> None:
    """Both installations have one database; the first one has a key in its environment."""
    await settings.saved(provider_keys={"gemini": "another-key-0123456789"})
    both = [(await one.get())["provider_keys"]["gemini"]["source"] for one in (unsealed, settings)]
    assert both == ["database", "database"]
    await settings.saved(provider_keys={"gemini": None})
    alone = (await unsealed.get())["provider_keys"]["gemini"]
    assert (alone["configured"], alone["source"], alone["last_four"]) == (True, "environment", "wxyz")
    assert (await settings.get())["provider_keys"]["gemini"]["configured"] is False
    await settings.saved(provider_keys={"gemini": None})
    assert [event for event, _ in await settings.lines()] == ["provider_key_stored", "provider_key_removed"]


async def test_without_a_secrets_key_only_keys_cannot_be_stored(unsealed: Settings) -> None:
    await unsealed.saved(gallery_size=5, provider_keys={"gemini": None})
    answer = await unsealed.put(gallery_size=6, provider_keys={"gemini": "another-key-0123456789"})
    assert answer.status_code == 422
    assert "SECRETS_KEY" in answer.json()["fields"]["provider_keys.gemini"]
    assert (await unsealed.get())["gallery_size"] == 5


async def test_a_new_password_counts_at_once_and_the_old_one_for_a_while(
    settings: Settings, http: httpx.AsyncClient
) -> None:
    async def passes(password: bytes) -> bool:
        answer = await post_photo(http, settings.api.url, photo_bytes(), password=password, hash_="0" * 32)
        return bool(answer.json()["failure_reason"] == "hash_mismatch")

    assert await passes(PASSWORD)
    found = await settings.saved(ingest_password="a new password", ingest_password_grace_minutes=30)
    assert found["ingest_password_rotated_by"] == "serg"
    assert found["ingest_previous_password_until"] is not None
    assert await passes(b"a new password")
    assert await passes(PASSWORD)
    assert not await passes(b"another one")
    async with settings.api.db.begin() as conn:
        past = settings_table.c.updated_at - func.make_interval(0, 0, 0, 0, 0, 31)
        await conn.execute(
            update(settings_table).where(settings_table.c.name.contains("previous")).values(updated_at=past)
        )
    assert await passes(b"a new password")
    assert not await passes(PASSWORD)
    assert (await settings.get())["ingest_previous_password_until"] is None


async def test_without_grace_the_old_password_ends_at_once(settings: Settings, http: httpx.AsyncClient) -> None:
    await settings.saved(ingest_password="a second password")
    await settings.saved(ingest_password="a third password", ingest_password_grace_minutes=0)
    for password in (PASSWORD, b"a second password"):
        answer = await post_photo(http, settings.api.url, photo_bytes(), password=password)
        assert answer.json()["failure_reason"] == "invalid_password"


async def test_a_password_that_is_made_here_is_told_once(settings: Settings, http: httpx.AsyncClient) -> None:
    made = await settings.saved(ingest_password={"generate": True})
    password = made["ingest_password"]
    assert len(password) >= 16
    assert "ingest_password" not in await settings.get()
    answer = await post_photo(http, settings.api.url, photo_bytes(), password=password.encode(), hash_="0" * 32)
    assert answer.json()["failure_reason"] == "hash_mismatch"
    (line,) = await settings.lines()
    assert line == ("ingest_password_rotated", {"grace_minutes": 60})
    async with settings.api.db.begin() as conn:
        kept = await app_settings.load(conn, result_ttl_hours=72)
    assert all(one.startswith("$2b$") for one in kept.ingest_password_hashes)


async def test_a_check_is_asked_for(settings: Settings) -> None:
    answer = await settings.ask("POST", "/provider-keys/gemini/check")
    assert answer.status_code == 202
    check(answer.json()["check"], "ProviderCheck")
    assert answer.json()["check"]["requested_at"] is not None
    assert (await settings.get())["provider_keys"]["gemini"]["check"] == answer.json()["check"]
    assert await settings.lines() == [("provider_check_requested", {"provider": "gemini"})]
    assert (await settings.ask("POST", "/provider-keys/nobody/check")).status_code == 404
