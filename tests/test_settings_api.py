"""`/api/settings`: what administrators see and change, all or nothing."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from photochanger.tables import app_settings as settings_table
from tests.administrators import bearer
from tests.booths import photo_bytes, post_photo
from tests.queue_rows import queue
from tests.serving import Api
from tests.settings_client import Settings
from tests.test_contract import check

pytestmark = pytest.mark.anyio

KEY = "canary-key-0123456789-wxyz"


@pytest.fixture
async def settings(api: Api, http: httpx.AsyncClient) -> Settings:
    return Settings(api, http, await bearer(api))


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

    for start in range(1, 41, 4):  # they wait for each other: many more, and the lock's own timeout would refuse some
        await asyncio.gather(*(save(number) for number in range(start, start + 4)))
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
