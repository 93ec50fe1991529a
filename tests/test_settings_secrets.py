"""`/api/settings`: provider keys and ingest passwords, changed at once and never told."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select, update

from photochanger import app_settings
from photochanger.providers import Providers
from photochanger.tables import app_settings as settings_table
from photochanger.tables import processing_log, secret
from tests.administrators import bearer
from tests.booths import photo_bytes, post_photo
from tests.serving import PASSWORD, Api, serve_api, settings_for
from tests.settings_client import Settings
from tests.test_contract import check

pytestmark = pytest.mark.anyio

KEY = "canary-key-0123456789-wxyz"


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
