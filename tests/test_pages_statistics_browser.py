"""The statistics in a real browser: by keyboard, by pointer, while they refresh themselves, and after a reset."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from photochanger import app_settings
from photochanger.providers import Providers
from tests import figure_rows
from tests.browsing import IN_A_BROWSER, LOOKS, window
from tests.figure_rows import MadeJob
from tests.serving import Api, serve_api, settings_for
from tests.statistics_page import DAY, week
from tests.studio import afternoon, empty

pytestmark = [*IN_A_BROWSER, pytest.mark.slow]


@pytest.fixture
async def api(database_url: str, tmp_path: Path, known_providers: Providers, anyio_backend: str) -> AsyncIterator[Api]:
    settings = settings_for(tmp_path, database_url, GEMINI_API_KEY="a-key", TURBOTEXT_API_KEY="another")
    async with serve_api(settings, known_providers, database_url) as api:
        yield api


BUSY = ".htmx-request, .htmx-swapping, .htmx-settling"


async def refreshed(page: Page) -> None:
    """As the page does by itself after a while."""
    before = str(await page.locator("#statistics").get_attribute("data-until"))
    await page.evaluate("document.dispatchEvent(new Event('poll-now'))")
    await expect(page.locator("#statistics")).not_to_have_attribute("data-until", before, timeout=15_000)
    await expect(page.locator(BUSY)).to_have_count(0)


@pytest.mark.parametrize(("theme", "language", "size"), LOOKS)
async def test_every_state_of_the_page_is_accessible_silent_and_fits(
    api: Api, browser: Browser, theme: str, language: str, size: dict[str, int]
) -> None:
    looks: dict[str, Any] = {"color_scheme": theme, "locale": language, "viewport": size}

    async def look(path: str) -> None:
        async with window(browser, api, **looks) as seen:
            await seen.go(f"{api.url}{path}")
            assert await seen.violations() == [], path
            assert await seen.sideways() <= 0, path
            assert seen.said == [], path
            assert await seen.page.locator("h1").count() == 1, path

    await look("/statistics")
    now = await figure_rows.now(api.db)
    await figure_rows.write(api.db, [MadeJob(created_at=now - timedelta(hours=5))])
    await look("/statistics?minutes=15")
    await week(api)
    await look(f"/statistics?minutes={7 * DAY}&table=1&sort=-late")
    await look(f"/statistics?minutes={7 * DAY}&slot_id=slot-002")
    async with window(browser, api, **looks) as seen:
        await seen.go(f"{api.url}/statistics?minutes={7 * DAY}")
        await seen.page.locator("#reset-statistics").click()
        assert await seen.page.evaluate("document.activeElement.value") == "cancel"
        await seen.page.locator("#confirmation-go").click()
        await seen.page.locator("#undo-reset").wait_for()
        assert (await seen.violations(), await seen.sideways(), seen.said) == ([], 0, [])


async def test_a_slots_state_is_told_in_words(api: Api, browser: Browser) -> None:
    await week(api)
    async with api.db.begin() as conn:
        await app_settings.store(conn, "ingest.photos_in_work_per_slot", 3, by="serg")
    async with window(browser, api) as seen:
        await seen.go(f"{api.url}/statistics?minutes=60")
        for slot_id, state in (("005", "Ошибки"), ("006", "Задержка"), ("009", "Активен"), ("012", "Выключен")):
            await expect(seen.page.locator(f"#row-slot-{slot_id} .pill")).to_have_text(state)
        await expect(seen.page.locator("#row-slot-013 .pill")).to_have_text("Не настроен")
        assert seen.said == []


async def test_slots_are_sorted_by_keyboard_and_stay_so(api: Api, browser: Browser) -> None:
    await week(api)
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/statistics?minutes={7 * DAY}")
        await page.locator("#sort-photos").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("th[aria-sort]")).to_have_attribute("aria-sort", "descending")
        assert "sort=-photos" in page.url
        assert await page.evaluate("document.activeElement.id") == "sort-photos"
        counts = [int(text) for text in await page.locator(".slots-table td:nth-child(2)").all_inner_texts()]
        assert counts == sorted(counts, reverse=True)
        assert counts[0] > counts[-1] == 0
        top = await page.locator(".slots-table tbody tr").first.get_attribute("id")
        await page.keyboard.press("Enter")
        await expect(page.locator("th[aria-sort]")).to_have_attribute("aria-sort", "ascending")
        await expect(page.locator(".slots-table tbody tr").last).to_have_id(str(top))
        await page.reload(wait_until="networkidle")
        await expect(page.locator(".slots-table tbody tr").last).to_have_id(str(top))
        await refreshed(page)
        await expect(page.locator(".slots-table tbody tr").last).to_have_id(str(top))
        assert seen.said == []


async def test_a_refresh_brings_news_and_disturbs_nobody(api: Api, browser: Browser) -> None:
    await week(api)
    now = await figure_rows.now(api.db)
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/")  # from its first page on the browser's time zone is known
        await seen.go(f"{api.url}/statistics?minutes={7 * DAY}&sort=-photos&table=1")
        before = int(await page.locator("#photos-slot-015").count())
        await page.locator("#name-slot-015").focus()
        await page.evaluate("scrollTo(0, 700)")
        await page.evaluate("window.canvas = document.querySelector('#chart canvas')")
        scrolled = await page.evaluate("scrollY")
        await refreshed(page)
        assert await page.evaluate("document.querySelector('#chart canvas') === window.canvas"), "drawn once is enough"
        many = [MadeJob(created_at=now - timedelta(seconds=number), slot_id="slot-015") for number in range(300)]
        await figure_rows.write(api.db, many)
        await refreshed(page)
        assert before == 0
        await expect(page.locator("#photos-slot-015")).to_have_text("300")
        await expect(page.locator(".slots-table tbody tr").first).to_have_id("row-slot-015")
        assert await page.evaluate("document.activeElement.id") == "name-slot-015"
        assert await page.evaluate("scrollY") == scrolled
        await expect(page.locator("#chart canvas")).to_have_count(1)
        assert await page.evaluate("document.querySelector('#chart canvas') !== window.canvas"), (
            "the chart has the news"
        )
        assert seen.said == []


async def test_it_asks_now_and_then_but_not_while_nobody_looks(api: Api, browser: Browser) -> None:
    await empty(api)
    async with window(browser, api) as seen:
        page, asked = seen.page, list[str]()
        page.on("request", lambda request: asked.append(request.url) if "/statistics" in request.url else None)
        await page.clock.install()
        await seen.go(f"{api.url}/statistics")
        asked.clear()
        async with page.expect_response(lambda answer: "/statistics?" in answer.url):
            await page.clock.run_for(16_000)
        await expect(page.locator(BUSY)).to_have_count(0)
        await page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
        asked.clear()
        for _ in range(4):
            await page.clock.run_for(30_000)
        assert asked == []
        await page.evaluate("Object.defineProperty(document, 'hidden', {value: false, configurable: true})")
        async with page.expect_response(lambda answer: "/statistics?" in answer.url):
            await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


async def test_the_chart_is_a_table_too(api: Api, browser: Browser) -> None:
    await week(api)
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/statistics?minutes={7 * DAY}")
        await expect(page.get_by_role("img", name="готово")).to_be_visible()
        switch = page.get_by_role("link", name="Таблицей")
        await expect(switch).to_have_attribute("aria-expanded", "false")
        await switch.focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#series-switch")).to_have_attribute("aria-expanded", "true")
        assert await page.evaluate("document.activeElement.id") == "series-switch"
        told = [int(text) for text in await page.locator("#series tbody td:nth-child(2)").all_inner_texts()]
        total = await page.locator("#window-photos strong").inner_text()
        assert sum(told) == int(total.replace("\xa0", ""))
        await page.reload(wait_until="networkidle")
        await expect(page.locator("#series")).to_be_visible()
        await page.locator("#series-switch").click()
        await expect(page.locator("#series")).to_have_count(0)
        assert "table" not in page.url
        assert seen.said == []


async def test_the_pointer_is_told_what_it_is_over(api: Api, browser: Browser) -> None:
    now = await figure_rows.now(api.db)
    moments = [now - timedelta(minutes=10 * number) for number in range(140)]
    await figure_rows.write(api.db, [MadeJob(created_at=moment, seconds=12.0) for moment in moments])
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/statistics?minutes={DAY}")
        said = page.locator(".chart-said")
        await expect(said).to_be_hidden()
        await page.locator("#chart").hover(position={"x": 600, "y": 120})
        await expect(said).to_contain_text("половина за: 12 с")
        await expect(said).to_contain_text("готово:")
        await page.locator("h1").hover()
        await expect(said).to_be_hidden()
        assert seen.said == []


async def test_a_reset_is_local_and_can_be_undone(api: Api, browser: Browser) -> None:
    await week(api)
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/statistics?minutes={7 * DAY}")
        await expect(page.locator("#window-reset")).to_have_count(0)
        await page.get_by_role("button", name="Сброс статистики").click()
        await expect(page.locator("#confirmation-text")).to_contain_text("Только в этом браузере")
        await page.get_by_role("button", name="Отмена").click()
        assert f"minutes={7 * DAY}" in page.url
        await page.get_by_role("button", name="Сброс статистики").click()
        await page.locator("#confirmation-go").click()
        await page.wait_for_url(f"{api.url}/statistics")
        await expect(page.locator("#window-photos strong")).to_have_text("0")
        await expect(page.locator(".notice", has_text="только в этом браузере")).to_be_visible()
        now = await figure_rows.now(api.db)
        await figure_rows.write(api.db, [MadeJob(created_at=now, seconds=0.0)] * 2)
        await refreshed(page)
        await expect(page.locator("#window-photos strong")).to_have_text("2")
        await seen.go(f"{api.url}/")
        await page.get_by_role("link", name="Статистика").click()
        await expect(page.locator("#window-photos strong")).to_have_text("2")
        await page.locator("#window-10080").click()
        await expect(page.locator("#window-reset")).to_be_visible()
        await page.locator("#window-reset").click()
        await page.get_by_role("button", name="Отменить сброс").click()
        await page.wait_for_url("**/statistics?minutes=60")
        await expect(page.locator("#window-reset")).to_have_count(0)
        assert seen.said == []


async def test_a_number_leads_to_its_photos_and_a_slot_to_its_view(api: Api, browser: Browser) -> None:
    await empty(api)
    await afternoon(api)
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/statistics?minutes={DAY}")
        await page.locator("#errors-slot-005").click()
        await page.wait_for_url("**/jobs?slot_id=slot-005**")
        await expect(page.locator("tbody tr")).to_have_count(3)
        await expect(page.locator("select[name=failure_reason]")).to_have_value("provider_error")
        await page.go_back(wait_until="networkidle")
        await page.get_by_role("link", name="Комикс").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Комикс")
        await page.get_by_role("link", name="Настройки слота").click()
        await page.wait_for_url("**/slots/slot-005")
        await page.get_by_role("link", name="Статистика этого слота").click()
        await page.wait_for_url("**/statistics?slot_id=slot-005")
        await page.get_by_role("link", name="Статистика всех слотов").click()
        await expect(page.locator("#row-slot-001")).to_be_visible()
        assert seen.said == []
