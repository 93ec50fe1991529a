"""The settings page in a real browser, as administrators who are no programmers use it, by keyboard and phone too."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Route, expect
from sqlalchemy import func, update

from photochanger import app_settings, provider_checks, purges, secret_store
from photochanger.app_settings import AppSettings
from photochanger.errors import Failure
from photochanger.providers import Providers
from photochanger.tables import session
from tests import browsing
from tests.browsing import LOOKS, window
from tests.serving import Api, serve_api, settings_for

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(browsing.missing(), reason="there is no chromium (`make browser` installs it)"),
]
NEWS_MS = 15_000
EXPECTED = re.compile(r"Failed to load resource|error: htmx:|Status Error Code 503")


@pytest.fixture
async def api(database_url: str, tmp_path: Path, known_providers: Providers, anyio_backend: str) -> AsyncIterator[Api]:
    settings = settings_for(tmp_path, database_url, GEMINI_API_KEY="a-key-of-the-server-7890")
    async with serve_api(settings, known_providers, database_url) as api:
        yield api


async def now(api: Api) -> AppSettings:
    async with api.db.begin() as conn:
        return await app_settings.load(conn, result_ttl_hours=72)


async def press_save(page: Page, form: str) -> None:
    await page.locator(f"#{form}-form").get_by_role("button", name="Сохранить").click()


async def agree(page: Page) -> None:
    await expect(page.get_by_role("button", name="Отмена")).to_be_focused()
    await page.locator("#confirmation-go").click()


async def test_the_slider_and_its_number_keep_step_and_say_what_it_means(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/settings")
        means, slider, number = page.locator("#sync-means"), page.locator("#sync-slider"), page.locator("#sync")
        await expect(means).to_contain_text("не дольше 48 с")
        await expect(means).to_contain_text("не меньше 58 с")
        await expect(means).to_contain_text("со второй попыткой")
        await slider.focus()
        await page.keyboard.press("ArrowRight")
        await expect(number).to_have_value("49")
        await expect(means).to_contain_text("не меньше 59 с")
        await number.fill("15")
        await expect(slider).to_have_value("15")
        await expect(means).to_contain_text("Мало для Google Gemini")
        await expect(means.get_by_text("со второй попыткой")).to_be_hidden()
        await number.fill("61")
        await expect(slider).to_have_value("15")
        await expect(means).to_contain_text("не дольше 15 с")
        await press_save(page, "deadline")
        await expect(page.locator("#wrong-sync_response_seconds")).to_contain_text("Целое число от 10 до 60")
        await expect(number).to_be_focused()
        await expect(number).to_have_value("61")
        assert (await now(api)).sync_response_seconds == 48
        await number.fill("30")
        await page.keyboard.press("Enter")
        await expect(page.locator(".toast")).to_have_text("Сохранено")
        await expect(page.locator("#wrong-sync_response_seconds")).to_have_count(0)
        assert (await now(api)).sync_response_seconds == 30
        assert seen.said == []


async def test_nothing_typed_is_lost_to_news_or_to_another_form(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/settings")
        await page.locator("#key-openai").fill("half-a-key")
        await page.locator("#password").fill("half-a-password")
        await page.locator("#gallery").fill("33")
        await page.locator("#more-limits-gemini > summary").click()
        await page.locator("#gemini-usd").fill("7")
        await page.locator("h1").click()  # nothing has the focus
        async with api.db.begin() as conn:
            await app_settings.store(conn, "ingest.password_hash", "$2b$another", by="igor")
            await provider_checks.request(conn, "gemini")
        await expect(page.locator("#password-state")).to_contain_text("igor", timeout=NEWS_MS)
        await expect(page.locator("#key-state-gemini")).to_contain_text("проверяется")
        await page.locator("#sync").fill("30")
        await press_save(page, "deadline")
        await expect(page.locator(".toast")).to_have_text("Сохранено")
        await page.locator("#check-gemini").click()
        await expect(page.locator(".toast").last).to_have_text("Обработчик спрашивает провайдера")
        for field, typed in (("key-openai", "half-a-key"), ("password", "half-a-password"), ("gallery", "33")):
            await expect(page.locator(f"#{field}")).to_have_value(typed)
        await expect(page.locator("#gemini-usd")).to_have_value("7")
        await expect(page.locator("#more-limits-gemini")).to_have_attribute("open", "")
        assert seen.said == []


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


async def test_two_administrators_do_not_overwrite_each_other(api: Api, browser: Browser) -> None:
    async with window(browser, api) as one, window(browser, api) as other:
        for seen in (one, other):
            await seen.go(f"{api.url}/settings")
        await one.page.locator("#gallery").fill("20")
        await one.page.locator("#in-work").fill("4")
        await press_save(one.page, "photos")
        await expect(one.page.locator(".toast")).to_have_text("Сохранено")
        await other.page.locator("#gallery").fill("40")
        await other.page.locator("#ttl").fill("24")
        await press_save(other.page, "photos")
        await expect(other.page.locator("#wrong-gallery_size")).to_contain_text("на «20»")
        await expect(other.page.locator("#gallery")).to_have_value("40")
        await expect(other.page.locator("#in-work")).to_have_value("4")
        assert (await now(api)).result_ttl_hours == 72, "nothing half-applied"
        await press_save(other.page, "photos")
        await expect(other.page.locator(".toast")).to_have_text("Сохранено")
        found = await now(api)
        assert (found.gallery_size, found.photos_in_work_per_slot, found.result_ttl_hours) == (40, 4, 24)
        assert one.said + other.said == []


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


async def test_the_cleanup_shows_that_it_works_and_what_it_has_done(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/settings")
        hint = "Удаляются только устаревшие результаты; последний обработанный файл останется доступным"
        await expect(page.locator("#storage-state")).to_contain_text(hint)
        await page.get_by_role("button", name="Очистить мультимедиа кеш").click()
        await agree(page)
        said = "Очистка запланирована: будут удалены только устаревшие результаты"
        await expect(page.locator(".toast")).to_have_text(said)
        await expect(page.get_by_role("button", name="Идёт очистка")).to_be_disabled()
        async with api.db.begin() as conn:
            for purge in await purges.waiting(conn):
                await purges.finish(conn, purge.purge_id, files=3, size_bytes=1_500_000)
        await expect(page.locator(".toast").last).to_contain_text("Удалено 3 файла", timeout=NEWS_MS)
        await expect(page.locator("#storage-state")).to_contain_text("Последняя очистка: serg")
        await expect(page.get_by_role("button", name="Очистить мультимедиа кеш")).to_be_enabled()
        assert seen.said == []


async def test_other_sessions_are_ended_and_ones_own_leads_to_the_login(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen, window(browser, api) as other:
        await other.go(f"{api.url}/settings")
        await other.page.locator("#password").fill("half-a-password")
        await seen.go(f"{api.url}/settings")
        await expect(seen.page.locator("#session-list li")).to_have_count(2)
        await seen.page.get_by_role("button", name="Завершить все остальные").click()
        await agree(seen.page)
        await expect(seen.page.locator("#session-list li")).to_have_count(1)
        await other.page.wait_for_url(f"{api.url}/login?next=/settings", timeout=20_000)
        await seen.page.locator("#sync").fill("30")
        async with api.db.begin() as conn:
            await conn.execute(update(session).values(revoked_at=func.now()))
        await seen.page.evaluate("document.getElementById('deadline-form').requestSubmit()")
        await seen.page.wait_for_url(f"{api.url}/login?next=/settings")
        assert (await now(api)).sync_response_seconds == 48


async def test_what_cannot_be_saved_at_the_moment_says_so_and_stays(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/settings")
        await page.locator("#gallery").fill("33")
        await page.context.set_offline(offline=True)
        await press_save(page, "photos")
        await expect(page.locator(".toast.danger").first).to_contain_text("Не получилось")
        await expect(page.locator("#connection")).to_be_visible()
        await page.context.set_offline(offline=False)
        await expect(page.locator("#connection")).to_be_hidden(timeout=30_000)
        await expect(page.locator("#gallery")).to_have_value("33")

        async def away(route: Route) -> None:
            await route.fulfill(status=503, body="")

        await page.route("**/settings", away)  # as while the database is away
        await press_save(page, "photos")
        await expect(page.locator(".toast.danger").last).to_contain_text("Не получилось")
        await expect(page.locator("#gallery")).to_have_value("33")
        await page.unroute("**/settings", away)
        await press_save(page, "photos")
        await expect(page.locator(".toast").get_by_text("Сохранено")).to_be_visible()
        assert (await now(api)).gallery_size == 33
        assert [line for line in seen.said if not EXPECTED.search(line)] == []


@pytest.mark.slow
@pytest.mark.parametrize(("theme", "language", "size"), LOOKS)
async def test_with_everything_open_and_wrong_it_stays_accessible_and_fits(
    api: Api, browser: Browser, theme: str, language: str, size: dict[str, int]
) -> None:
    async with window(browser, api, color_scheme=theme, locale=language, viewport=size) as seen:
        page = seen.page
        await seen.go(f"{api.url}/settings")
        for more in await page.locator("details.more > summary").all():
            await more.click()
        for field, form in (("sync", "deadline"), ("ttl", "photos"), ("gemini-per_day", "limits-gemini")):
            await page.locator(f"#{field}").fill("0")
            await page.locator(f"#{form}-form .primary").click()
            await expect(page.locator(f"#{form}-form [role=alert]")).to_be_visible(timeout=15_000)
        assert await seen.violations() == []
        assert await seen.sideways() <= 0
        assert seen.said == []


async def test_everything_is_reached_and_saved_by_keyboard_alone(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/settings")
        reached: list[str] = []
        for _ in range(45):
            await page.keyboard.press("Tab")
            reached.append(await page.evaluate("document.activeElement.id"))
        wanted = {"sync-slider", "sync", "password", "grace", "in-work", "hash", "check-gemini", "key-openai", "purge"}
        assert wanted <= set(reached)
        await page.locator("#hash").focus()
        await page.keyboard.press("ArrowDown")
        await expect(page.locator("#hash-means")).to_contain_text("принимаются с любым хешем")
        await page.locator("#in-work").focus()
        await page.keyboard.press("ArrowUp")
        await page.keyboard.press("Enter")
        await expect(page.locator(".toast")).to_have_text("Сохранено")
        found = await now(api)
        assert (found.photos_in_work_per_slot, found.hash_check) == (4, "warn")
