"""The settings page: all of a form or nothing, secrets shown once or never, what others do seen without a reload."""

import json
import re

import httpx
import pytest
from cryptography.fernet import Fernet
from playwright.async_api import expect

from photochanger import app_settings, purges, secret_store, sessions
from photochanger.app_settings import AppSettings
from photochanger.providers import Providers
from tests import browsing
from tests.administrators import browser as cookies
from tests.browsing import NARROW, opened_browser, window
from tests.serving import Api, serve_api, settings_for

pytestmark = pytest.mark.anyio

HTMX = {"HX-Request": "true", "Accept": "*/*", "Accept-Language": "ru"}
needs_chromium = pytest.mark.skipif(browsing.missing(), reason="there is no chromium (`make browser` installs it)")


@pytest.fixture
async def api(database_url, tmp_path, known_providers: Providers, anyio_backend: str):  # type: ignore[no-untyped-def]
    told = {"SECRETS_KEY": Fernet.generate_key().decode("ascii"), "GEMINI_API_KEY": "from-the-environment"}
    async with serve_api(settings_for(tmp_path, database_url, **told), known_providers, database_url) as api:
        yield api


async def send(http: httpx.AsyncClient, api: Api, path: str, form: dict[str, str]) -> httpx.Response:
    return await http.post(f"{api.url}/settings{path}", data=form, headers={**HTMX, **await cookies(api)})


async def now(api: Api) -> AppSettings:
    async with api.db.begin() as conn:
        return await app_settings.load(conn, result_ttl_hours=72)


async def test_the_page_shows_what_counts(api: Api, http: httpx.AsyncClient) -> None:
    answer = await http.get(f"{api.url}/settings", headers={"Accept": "text/html", **await cookies(api)})
    assert answer.status_code == 200
    for said in ("48", "Ключи провайдеров", "из окружения сервера", "Очистить мультимедиа кеш", "Кто что менял"):
        assert said in answer.text
    assert "from-the-environment" not in answer.text


async def test_a_form_is_saved_as_a_whole_or_not_at_all(api: Api, http: httpx.AsyncClient) -> None:
    form = {"sync_response_seconds": "40", "gallery_size": "20", "provider_limits.gemini.in_flight": "7"}
    answer = await send(http, api, "", form)
    assert json.loads(answer.headers["hx-trigger"])["toast"]["text"] == "Сохранено"
    found = await now(api)
    assert (found.sync_response_seconds, found.gallery_size) == (40, 20)
    assert found.provider_limits["gemini"]["in_flight"] == 7
    wrong = await send(http, api, "", {"sync_response_seconds": "61", "gallery_size": "5"})
    assert "Число от 10 до 60" in wrong.text
    assert 'value="5"' in wrong.text, "what was typed stays"
    assert (await now(api)).gallery_size == 20
    await send(http, api, "", {"provider_limits.gemini.in_flight": ""})
    assert "gemini" not in (await now(api)).provider_limits


@pytest.mark.parametrize("seconds", ["9", "48.5", "", "много", "1e3", "NaN", "-48"])
async def test_a_deadline_that_cannot_be_is_refused(api: Api, http: httpx.AsyncClient, seconds: str) -> None:
    answer = await send(http, api, "", {"sync_response_seconds": seconds})
    assert 'id="wrong-sync_response_seconds"' in answer.text
    assert (await now(api)).sync_response_seconds == 48


async def test_a_generated_password_is_shown_once(api: Api, http: httpx.AsyncClient) -> None:
    before = (await now(api)).ingest_password_hash
    answer = await send(http, api, "/password", {"generate": "1"})
    (made,) = re.findall(r'class="copied-path">([^<]+)</span></code>.*?made-password', answer.text, flags=re.S) or [""]
    assert "показан только сейчас" in answer.text
    after = await now(api)
    assert after.ingest_password_hash not in {before, None}
    assert after.ingest_password_rotated_by == "serg"
    again = await http.get(f"{api.url}/settings", headers={"Accept": "text/html", **await cookies(api)})
    assert "показан только сейчас" not in again.text
    assert not made or made not in again.text


async def test_a_password_of_ones_own_is_never_shown(api: Api, http: httpx.AsyncClient) -> None:
    answer = await send(http, api, "/password", {"ingest_password": "geheim-geheim"})
    assert "geheim" not in answer.text
    short = await send(http, api, "/password", {"ingest_password": "kurz"})
    assert "Не меньше 8 символов" in short.text


async def test_a_key_is_stored_checked_and_removed(api: Api, http: httpx.AsyncClient) -> None:
    answer = await send(http, api, "/keys/gemini", {"key": "a-key-of-gemini-1234"})
    assert "…1234" in answer.text
    assert "a-key-of-gemini" not in answer.text
    asked = await send(http, api, "/keys/gemini/check", {})
    assert json.loads(asked.headers["hx-trigger"])["toast"]["text"] == "Обработчик спрашивает провайдера"
    spaced = await send(http, api, "/keys/gemini", {"key": "with a\nnewline in it"})
    assert "Обычные символы без пробелов" in spaced.text
    await send(http, api, "/keys/gemini", {"remove": "1"})
    async with api.db.at_once() as conn:
        assert await secret_store.stored(conn) == {}
    assert (await send(http, api, "/keys/nobody", {"key": "a-key-of-gemini-1234"})).status_code == 404


async def test_a_cleanup_is_asked_for_and_said(api: Api, http: httpx.AsyncClient) -> None:
    answer = await send(http, api, "/purge", {})
    said = "Очистка запланирована: будут удалены только устаревшие результаты"
    assert json.loads(answer.headers["hx-trigger"])["toast"]["text"] == said
    assert "Идёт очистка" in answer.text
    async with api.db.at_once() as conn:
        assert len(await purges.waiting(conn)) == 1


async def test_a_session_is_ended_from_elsewhere(api: Api, http: httpx.AsyncClient) -> None:
    other = await cookies(api, account="igor")
    async with api.db.at_once() as conn:
        (igor,) = await sessions.open_sessions(conn, account="igor")
    answer = await send(http, api, f"/sessions/{igor.public_id}/end", {})
    assert "igor" not in re.sub(r'id="changes-title".*', "", answer.text, flags=re.S)
    assert (await http.get(f"{api.url}/api/me", headers=other)).status_code == 401
    assert (await send(http, api, "/sessions/xyz/end", {})).status_code == 404


async def test_changes_need_the_token(api: Api, http: httpx.AsyncClient) -> None:
    headers = {**await cookies(api, csrf=False), "Accept": "*/*"}
    for path in ("", "/password", "/keys/gemini", "/keys/gemini/check", "/purge", f"/sessions/{'0' * 32}/end"):
        answer = await http.post(f"{api.url}/settings{path}", data={"generate": "1"}, headers=headers)
        assert answer.json()["failure_reason"] == "forbidden", path


@needs_chromium
async def test_the_settings_in_a_browser(api: Api) -> None:
    async with (
        opened_browser() as browser,
        window(browser, api) as seen,
        window(browser, api, viewport=NARROW) as phone,
    ):
        page = seen.page
        await seen.go(f"{api.url}/settings")
        await page.locator("#sync").focus()
        await page.keyboard.press("ArrowRight")
        await expect(page.locator("#sync-shown")).to_have_text("49\u00a0с")
        await page.get_by_role("button", name="Сохранить").click()
        await expect(page.locator(".toast")).to_have_text("Сохранено")
        assert (await now(api)).sync_response_seconds == 49
        await page.get_by_role("button", name="Сгенерировать").click()
        await expect(page.locator("#made-password")).to_be_visible()
        await page.locator("#more-provider-limits > summary").click()
        assert await seen.violations() == []
        await page.get_by_role("button", name="Очистить мультимедиа кеш").click()
        await expect(page.get_by_role("button", name="Отмена")).to_be_focused()
        await page.locator("#confirmation-go").click()
        await expect(page.get_by_role("button", name="Идёт очистка")).to_be_visible()
        async with api.db.begin() as conn:
            for purge in await purges.waiting(conn):
                await purges.finish(conn, purge.purge_id, files=3, size_bytes=1_500_000)
        await expect(page.get_by_role("button", name="Очистить мультимедиа кеш")).to_be_enabled(timeout=15_000)
        assert seen.said == []
        await phone.go(f"{api.url}/settings")
        assert (await phone.sideways(), await phone.violations(), phone.said) == (0, [], [])
