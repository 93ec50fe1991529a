"""The settings page in a real browser, as administrators who are no programmers use it, by keyboard and phone too."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from playwright.async_api import Browser, Route, expect
from sqlalchemy import func, update

from photochanger import app_settings, provider_checks, purges
from photochanger.providers import Providers
from photochanger.tables import session
from tests.browsing import IN_A_BROWSER, LOOKS, window
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


async def test_a_refusal_does_not_take_the_focus_from_who_types_elsewhere_by_then(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/settings")
        typing = anyio.Event()

        async def slowly(route: Route) -> None:
            await typing.wait()
            await route.continue_()

        await page.route("**/settings", slowly)
        await page.locator("#sync").fill("0")
        await press_save(page, "deadline")
        await page.locator("#gallery").focus()
        typing.set()
        await expect(page.locator("#wrong-sync_response_seconds")).to_be_visible()
        await page.wait_for_function("!document.querySelector('.htmx-request, .htmx-settling, .htmx-swapping')")
        await expect(page.locator("#gallery")).to_be_focused()
        await page.keyboard.type("3")
        await expect(page.locator("#sync")).to_have_value("0")


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
