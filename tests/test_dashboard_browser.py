"""The dashboard in a real browser: it follows what happens and never disturbs a person who is about to do something."""

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Request, expect

from photochanger import slot_edits
from photochanger.providers import Providers
from tests.browsing import IN_A_BROWSER, Window, opened_browser, window
from tests.results import claimed_job, finish_job, queued_job
from tests.serving import Api, serve_api, settings_for
from tests.studio import afternoon, picture_of

pytestmark = IN_A_BROWSER
TWO_REFRESHES_MS = 6000
MOST_TRANSFERRED_BYTES = 150_000


@pytest.fixture
async def api(database_url: str, tmp_path: Path, known_providers: Providers, anyio_backend: str) -> AsyncIterator[Api]:
    settings = settings_for(tmp_path, database_url, GEMINI_API_KEY="a-key", ALLOWED_HOSTS="studio.test")
    async with serve_api(settings, known_providers, database_url) as api:
        yield api


async def switched_off_by_igor(api: Api) -> None:
    async with api.db.begin() as conn:
        await slot_edits.switch(conn, "slot-001", on=False, version=1, providers=api.services.providers, by="igor")


async def test_everything_on_the_dashboard_is_reached_by_tab(api: Api, browser: Browser) -> None:
    await afternoon(api)
    async with window(browser, api) as seen:
        await seen.go(f"{api.url}/?q=slot-001")
        reached = []
        for _ in range(16):
            await seen.page.keyboard.press("Tab")
            reached.append(
                await seen.page.evaluate(
                    "(e => e.getAttribute('aria-label') || e.name || e.textContent.trim())(document.activeElement)"
                )
            )
        for wanted in ("Выйти", "q", "problems", "Свадьба — акварель", "Копировать ссылку приёма: Свадьба — акварель"):
            assert wanted in reached
        await seen.page.locator("#menu-slot-001 summary").focus()
        await seen.page.keyboard.press("Enter")
        await expect(seen.page.locator("#menu-slot-001 .menu-list")).to_be_visible()
        await seen.page.keyboard.press("Escape")
        await expect(seen.page.locator("#menu-slot-001 .menu-list")).to_be_hidden()
        await expect(seen.page.locator("#menu-slot-001 summary")).to_be_focused()


async def test_the_board_follows_what_happens_and_focus_and_filter_stay(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/")
        await page.locator("input[name=q]").fill("slot-00")
        await expect(page.locator(".slot-row")).to_have_count(9)
        await expect(page).to_have_url(f"{api.url}/?q=slot-00")
        copy = page.locator("#row-slot-001 [data-copy]")
        await copy.focus()
        await queued_job(api)
        await expect(page.locator("#row-slot-001")).to_contain_text("ждут: 1", timeout=15_000)
        await expect(page.locator(".slot-row")).to_have_count(9)
        await expect(copy).to_be_focused()
        await finish_job(api, await claimed_job(api), picture_of("#9fd3e6")[0])
        await expect(page.locator("#row-slot-001")).to_contain_text("только что", timeout=15_000)
        assert seen.said == []


async def test_the_ingest_link_is_copied_with_and_without_the_clipboard_api(api: Api, browser: Browser) -> None:
    async with window(browser, api, permissions=["clipboard-read", "clipboard-write"]) as seen:
        await seen.go(f"{api.url}/")
        await seen.page.locator("#row-slot-003 [data-copy]").click()
        await expect(seen.page.locator(".toast")).to_have_text("Скопировано")
        assert await seen.page.evaluate("navigator.clipboard.readText()") == f"{api.url}/ingest/slot-003"
        await seen.page.evaluate("Object.defineProperty(window, 'isSecureContext', {value: false})")
        await seen.page.locator("#row-slot-005 [data-copy]").click()
        await expect(seen.page.locator(".toast")).to_have_count(2)
        assert await seen.page.evaluate("navigator.clipboard.readText()") == f"{api.url}/ingest/slot-005"


async def test_the_qr_code_opens_in_a_dialog_and_escape_closes_it(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        await seen.go(f"{api.url}/")
        await seen.page.locator("#menu-slot-001 summary").click()
        await seen.page.get_by_role("button", name="QR-код галереи").click()
        await expect(seen.page.locator("#sheet svg.qr")).to_be_visible()
        assert await seen.violations() == []
        await seen.page.keyboard.press("Escape")
        await expect(seen.page.locator("#sheet")).to_be_hidden()
        assert seen.said == []


# --- on and off


async def asked_to_switch_off(seen: Window) -> Page:
    """By keyboard, up to the question."""
    page = seen.page
    await page.locator("#menu-slot-001 summary").focus()
    await page.keyboard.press("Enter")
    entry = page.locator("#menu-slot-001").get_by_role("button", name="Выключить")
    for _ in range(8):
        await page.keyboard.press("Tab")
        if await entry.evaluate("e => e === document.activeElement"):
            break
    await page.keyboard.press("Enter")
    await expect(page.locator("#confirmation")).to_be_visible()
    return page


async def test_a_slot_is_switched_off_and_on_by_keyboard(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        await seen.go(f"{api.url}/")
        page = await asked_to_switch_off(seen)
        pill, menu = page.locator("#row-slot-001 .pill"), page.locator("#menu-slot-001 summary")
        await expect(page.locator("#confirmation h2")).to_have_text("Выключить «Slot 1 (Gemini)»?")
        await expect(page.locator("#confirmation p")).to_contain_text("slot-001, будут получать отказ")
        await expect(page.get_by_role("button", name="Отмена")).to_be_focused()
        assert await seen.violations() == []
        await page.keyboard.press("Enter")
        await expect(menu).to_be_focused()
        await expect(pill).to_have_text("Активен")
        await asked_to_switch_off(seen)
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.locator(".toast")).to_have_text("Слот «Slot 1 (Gemini)» выключен")
        await expect(pill).to_have_text("Выключен")
        await expect(menu).to_be_focused()
        await menu.click()
        await page.locator("#menu-slot-001").get_by_role("button", name="Включить").click()
        await expect(page.locator("#confirmation-go")).to_have_class("button primary")
        await page.locator("#confirmation-go").click()
        await expect(pill).to_have_text("Активен")
        assert seen.said == []


async def test_a_question_stays_what_it_was_while_others_change_the_slot(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        await seen.go(f"{api.url}/")
        page = await asked_to_switch_off(seen)
        await switched_off_by_igor(api)
        await page.wait_for_timeout(TWO_REFRESHES_MS)
        await expect(page.locator("#confirmation h2")).to_have_text("Выключить «Slot 1 (Gemini)»?")
        await expect(page.locator("#row-slot-001 .pill")).to_have_text("Активен")
        await page.locator("#confirmation-go").click()
        await expect(page.locator(".toast")).to_contain_text("igor тем временем изменил(а) «Slot 1 (Gemini)»")
        await expect(page.locator("#row-slot-001 .pill")).to_have_text("Выключен")
        assert seen.said == []


# --- refreshing


async def test_an_open_menu_is_left_alone_until_it_is_closed(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/")
        await page.locator("#menu-slot-002 summary").click()
        await queued_job(api)
        await page.wait_for_timeout(TWO_REFRESHES_MS)
        await expect(page.locator("#menu-slot-002 .menu-list")).to_be_visible()
        await expect(page.locator("#row-slot-001")).not_to_contain_text("ждут: 1")
        await page.keyboard.press("Escape")
        await expect(page.locator("#row-slot-001")).to_contain_text("ждут: 1", timeout=15_000)
        assert not await page.locator("#menu-slot-002 .menu-list").is_visible()
        assert seen.said == []


@pytest.mark.slow
async def test_a_hidden_board_asks_seldom_and_at_once_when_it_is_seen_again(api: Api, browser: Browser) -> None:
    asked: list[str] = []

    def note(request: Request) -> None:
        if request.headers.get("hx-trigger") == "board":
            asked.append(request.url)

    hide = """hidden => {
        Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    async with window(browser, api) as seen:
        await seen.go(f"{api.url}/")
        seen.page.on("request", note)
        await seen.page.evaluate(hide, arg=True)
        await seen.page.wait_for_timeout(2 * TWO_REFRESHES_MS)
        assert len(asked) <= 1, "what was planned while it was seen, and then nothing for half a minute"
        async with seen.page.expect_request(lambda request: request.headers.get("hx-trigger") == "board"):
            await seen.page.evaluate(hide, arg=False)


async def test_the_title_tells_how_many_slots_have_a_problem(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        await seen.go(f"{api.url}/")
        assert await seen.page.title() == "Слоты · PhotoChanger"
        async with api.db.begin() as conn:
            await conn.exec_driver_sql("UPDATE slot SET settings = '{}' WHERE slot_id = 'slot-003'")
        await expect(seen.page).to_have_title("(1) Слоты · PhotoChanger", timeout=15_000)


# --- on the way to the browser


async def test_the_ingest_link_is_copied_over_plain_http_on_a_real_name(api: Api) -> None:
    named = dataclasses.replace(api, url=api.url.replace("127.0.0.1", "studio.test"))
    async with (
        opened_browser("--host-resolver-rules=MAP studio.test 127.0.0.1") as browser,
        window(browser, named) as seen,
    ):
        page = seen.page
        await seen.go(f"{named.url}/")
        assert await page.evaluate("[isSecureContext, navigator.clipboard === undefined]") == [False, True]
        await page.locator("#row-slot-003 [data-copy]").click()
        await expect(page.locator(".toast")).to_have_text("Скопировано")
        await page.locator("input[name=q]").focus()
        await page.keyboard.press("Control+V")
        await expect(page.locator("input[name=q]")).to_have_value(f"{named.url}/ingest/slot-003")
        assert seen.said == []


TRANSFERRED = """() => {
    const [page] = performance.getEntriesByType("navigation");
    return [page, ...performance.getEntriesByType("resource")].map((one) => [one.name, one.transferSize]);
}"""


async def test_the_dashboard_is_light_and_its_files_are_kept(api: Api, browser: Browser) -> None:
    await afternoon(api)
    async with window(browser, api) as seen:
        await seen.go(f"{api.url}/")
        first: dict[str, int] = dict(await seen.page.evaluate(TRANSFERRED))
        assert sum(first.values()) <= MOST_TRANSFERRED_BYTES, first
        await seen.go(f"{api.url}/?q=slot")
        again: dict[str, int] = dict(await seen.page.evaluate(TRANSFERRED))
        kept = {name: size for name, size in again.items() if "/static/" in name}
        assert len(kept) > 10
        assert set(kept.values()) == {0}, "their names are hashed: none is asked for again"
