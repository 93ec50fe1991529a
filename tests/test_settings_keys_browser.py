"""Passwords, keys and their limits on the settings page in a real browser."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from photochanger import provider_checks, secret_store
from photochanger.errors import Failure
from photochanger.providers import Providers
from tests.browsing import IN_A_BROWSER, window
from tests.serving import Api, serve_api, settings_for
from tests.settings_page import agree, now, press_save

pytestmark = IN_A_BROWSER
NEWS_MS = 15_000
EXPECTED = re.compile(r"Failed to load resource|error: htmx:|Status Error Code 503")


@pytest.fixture
async def api(database_url: str, tmp_path: Path, known_providers: Providers, anyio_backend: str) -> AsyncIterator[Api]:
    settings = settings_for(tmp_path, database_url, GEMINI_API_KEY="a-key-of-the-server-7890")
    async with serve_api(settings, known_providers, database_url) as api:
        yield api


async def test_a_key_that_was_refused_stays_to_be_mended_and_one_that_is_stored_goes(
    api: Api, browser: Browser
) -> None:
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/settings")
        field = page.locator("#key-openai")
        await field.fill("a key with spaces")
        await page.keyboard.press("Enter")
        await expect(page.locator("[id='wrong-provider_keys.openai']")).to_contain_text("Обычные символы без пробелов")
        await expect(field).to_have_value("a key with spaces")
        await expect(field).to_be_focused()
        await page.locator("[data-unmask='key-openai']").click()
        await expect(field).not_to_have_class("masked")
        await field.fill("sk-key-of-openai-1234")
        await page.get_by_role("button", name="Задать ключ: OpenAI Images").click()
        await expect(page.locator("#key-state-openai")).to_contain_text("…1234")
        await expect(field).to_have_value("")
        async with api.db.begin() as conn:
            await provider_checks.request(conn, "openai")
            (taken,) = [one for one in await provider_checks.take_due(conn, configured=[]) if one.provider == "openai"]
            told = provider_checks.sentence_of(Failure.PROVIDER_AUTH, "Incorrect API key provided")
            await provider_checks.record(conn, taken, good=False, sentence=told)
        state = page.locator("#key-state-openai")
        await expect(state).to_contain_text("Провайдер не принял наш ключ", timeout=NEWS_MS)
        await expect(state).to_contain_text("Incorrect API key provided")
        assert await seen.violations() == []
        await page.get_by_role("button", name="Удалить ключ OpenAI Images").click()
        await agree(page)
        await expect(state).to_contain_text("своего ключа нет")
        async with api.db.begin() as conn:
            assert await secret_store.stored(conn) == {}
        assert seen.said == []


async def test_the_password_is_generated_once_copied_over_plain_http_and_set(api: Api, browser: Browser) -> None:
    async with window(browser, api, permissions=["clipboard-read", "clipboard-write"]) as seen:
        page = seen.page
        await seen.go(f"{api.url}/settings")
        await page.locator("#grace").fill("0")
        await expect(page.locator("#grace-means")).to_contain_text("перестаёт действовать сразу")
        await page.locator("#grace").fill("30")
        await expect(page.locator("#grace-means")).to_contain_text("работают ещё 30 мин")
        await page.get_by_role("button", name="Сгенерировать").click()
        await agree(page)
        made = await page.locator("#made-password").inner_text()
        assert len(made) >= 16
        await expect(page.locator("#password-state")).to_contain_text("Старый ещё действует, до")
        await page.evaluate("Object.defineProperty(window, 'isSecureContext', {value: false})")
        await page.locator("[data-copy='made-password']").click()
        await expect(page.locator(".toast").last).to_have_text("Скопировано")
        assert await page.evaluate("navigator.clipboard.readText()") == made
        assert await seen.violations() == []
        await page.locator("#password").fill("пароль фотобудок")
        await page.locator("#password-form").get_by_role("button", name="Задать").click()
        await agree(page)
        await expect(page.locator("#made-password")).to_have_count(0)
        await expect(page.locator("#password")).to_have_value("")
        found = await now(api)
        assert (found.ingest_password_rotated_by, found.ingest_password_grace_minutes) == ("serg", 30)
        assert seen.said == []


async def test_limits_and_budgets_are_edited_where_the_provider_is(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/settings")
        await page.locator("#more-limits-gemini > summary").click()
        await page.locator("#gemini-in_flight").fill("6")
        await page.locator("#gemini-usd").fill("1000001")
        await page.get_by_text("Когда он кончится, больше не покупать").first.click()
        await press_save(page, "limits-gemini")
        wrong = page.locator("[id='wrong-providers.budgets.gemini.usd_per_month']")
        await expect(wrong).to_contain_text("Число больше 0 и до 1000000")
        assert (await now(api)).provider_limits == {}
        await page.locator("#gemini-usd").fill("50")
        await press_save(page, "limits-gemini")
        await expect(page.locator("#key-state-gemini")).to_contain_text("потрачено 0,00\u00a0$ из 50,00\u00a0$")
        found = await now(api)
        assert found.provider_budgets == {"gemini": {"usd_per_month": 50, "stop": True}}
        assert found.provider_limits == {"gemini": {"in_flight": 6}}
        await expect(page.locator("#change-list")).to_contain_text("Бюджет месяца, Google Gemini: нет → 50,00\u00a0$")
        await page.locator("#more-limits-turbotext > summary").click()
        await expect(page.locator("#limits-turbotext-form")).to_contain_text("Бюджета для этого провайдера нет")
        assert await seen.violations() == []
        assert seen.said == []
