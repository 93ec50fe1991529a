"""The pages in a real browser: reachable for everybody, silent in the console, usable by keyboard and on a phone."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from photochanger.providers import Providers
from tests import browsing
from tests.administrators import ADMIN_PASSWORD, give_passwords
from tests.browsing import NARROW, WIDE, opened_browser, window
from tests.results import claimed_job, finish_job, queued_job
from tests.serving import Api, serve_api, settings_for
from tests.studio import Told, afternoon, empty, picture_of

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(browsing.missing(), reason="there is no chromium (`make browser` installs it)"),
]


@pytest.fixture
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    async with opened_browser() as browser:
        yield browser


@pytest.fixture
async def api(database_url: str, tmp_path: Path, known_providers: Providers, anyio_backend: str) -> AsyncIterator[Api]:
    settings = settings_for(tmp_path, database_url, GEMINI_API_KEY="a-key", TURBOTEXT_API_KEY="another")
    give_passwords(settings)
    async with serve_api(settings, known_providers, database_url) as api:
        yield api


def paths(told: Told) -> dict[str, tuple[str, bool]]:
    """Every page, and whether one logs in for it."""
    return {
        "dashboard": ("/", True),
        "dashboard, problems": ("/?problems=1", True),
        "slot": ("/slots/slot-001", True),
        "slot with a picture": ("/slots/slot-013", True),
        "slot named as a script": ("/slots/slot-010", True),
        "log": ("/jobs", True),
        "photo": (f"/jobs/{told.done}", True),
        "failed photo": (f"/jobs/{told.failed}", True),
        "photo in work": (f"/jobs/{told.open}", True),
        "statistics": ("/statistics?minutes=1440", True),
        "settings": ("/settings", True),
        "login": ("/login", False),
        "ready": (f"/public/results/{told.done}", False),
        "pending": (f"/public/results/{told.open}", False),
        "failed": (f"/public/results/{told.failed}", False),
        "expired": (f"/public/results/{told.expired}", False),
        "gallery": ("/public/slots/slot-001", False),
        "empty gallery": ("/public/slots/slot-009", False),
        "nothing": ("/nothing", False),
    }


LOOKS = [
    ("light", "ru-RU", WIDE),
    ("dark", "ru-RU", NARROW),
    ("light", "en-US", NARROW),
    ("dark", "en-US", WIDE),
]
HARMLESS = re.compile(r"error: Failed to load resource: the server responded with a status of (404|410) ")
"""What chromium says of a page that comes with such a status."""


@pytest.mark.parametrize(("theme", "language", "size"), LOOKS)
async def test_every_page_is_accessible_silent_and_fits(
    api: Api, browser: Browser, theme: str, language: str, size: dict[str, int]
) -> None:
    await empty(api)
    looks: dict[str, Any] = {"color_scheme": theme, "locale": language, "viewport": size}
    async with window(browser, api, **looks) as before:
        await before.go(f"{api.url}/")
        assert (await before.violations(), await before.sideways(), before.said) == ([], 0, []), "empty dashboard"
    for name, (path, login) in paths(await afternoon(api)).items():
        async with window(browser, api, login=login, **looks) as seen:
            await seen.go(f"{api.url}{path}")
            assert await seen.violations() == [], name
            assert await seen.sideways() <= 0, name
            assert [line for line in seen.said if not HARMLESS.match(line)] == [], name
            assert await seen.page.evaluate("document.documentElement.lang") == language[:2], name
            assert await seen.page.locator("h1").count() == 1, name


async def test_one_logs_in_looks_around_and_logs_out_by_keyboard(api: Api, browser: Browser) -> None:
    async with window(browser, api, login=False) as seen:
        page = seen.page
        await seen.go(f"{api.url}/?problems=1")
        assert "/login?next=" in page.url
        await page.keyboard.type("serg")
        await page.keyboard.press("Tab")
        await page.keyboard.type("wrong")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("Неверное имя или пароль")
        await page.keyboard.type(ADMIN_PASSWORD)  # the name is kept, the password has the focus
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{api.url}/?problems=1")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip"
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "main"
        out = page.get_by_role("button", name="Выйти")
        await out.focus()
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{api.url}/login")
        assert [line for line in seen.said if "401" not in line] == []


async def test_the_eye_shows_the_password_and_caps_lock_is_told(api: Api, browser: Browser) -> None:
    async with window(browser, api, login=False) as seen:
        await seen.go(f"{api.url}/login")
        field, eye = seen.page.locator("#password"), seen.page.locator("[data-eye]")
        await field.fill("secret")
        await eye.click()
        assert (await field.get_attribute("type"), await eye.get_attribute("aria-pressed")) == ("text", "true")
        await eye.click()
        assert await field.get_attribute("type") == "password"
        assert await seen.page.locator("#caps").is_hidden()


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
        assert "q=slot-00" in page.url
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


async def test_a_chosen_theme_stays_without_a_flash(api: Api, browser: Browser) -> None:
    async with window(browser, api, color_scheme="light") as seen:
        await seen.go(f"{api.url}/")
        await seen.page.locator("[data-theme-switch]").click()
        assert await seen.page.evaluate("document.documentElement.dataset.theme") == "dark"
        answer = await seen.page.reload(wait_until="networkidle")
        assert answer is not None
        assert 'data-theme="dark"' in await answer.text()
        assert await seen.page.evaluate("getComputedStyle(document.body).color") == "rgb(230, 244, 239)"


async def test_a_lost_connection_is_told_and_forgotten_when_it_is_back(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        await seen.go(f"{api.url}/")
        await seen.page.context.set_offline(offline=True)
        await expect(seen.page.locator("#connection")).to_be_visible(timeout=15_000)
        await seen.page.context.set_offline(offline=False)
        await expect(seen.page.locator("#connection")).to_be_hidden(timeout=30_000)
        await expect(seen.page.locator(".toast")).to_contain_text("Связь восстановлена")


async def test_an_ended_session_leads_to_the_login_by_itself(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        await seen.go(f"{api.url}/?problems=1")
        async with api.db.begin() as conn:
            await conn.exec_driver_sql("UPDATE session SET revoked_at = now()")
        await seen.page.wait_for_url(f"{api.url}/login?next=/%3Fproblems%3D1", timeout=20_000)


async def test_a_waiting_guest_sees_the_photo_as_soon_as_it_is_there(api: Api, browser: Browser) -> None:
    job_id = await queued_job(api)
    async with window(browser, api, login=False, viewport=NARROW) as seen:
        await seen.go(f"{api.url}/public/results/{job_id}")
        await expect(seen.page.get_by_role("heading", level=1)).to_have_text("Почти готово")
        await finish_job(api, await claimed_job(api), picture_of("#9fd3e6")[0])
        await expect(seen.page.get_by_role("heading", level=1)).to_have_text("Ваше фото готово", timeout=15_000)
        loaded = "document.querySelector('.photo-frame img').naturalWidth"
        await seen.page.wait_for_function(f"{loaded} > 0")
        async with seen.page.expect_download() as download:
            await seen.page.get_by_role("link", name="Скачать").click()
        assert (await download.value).suggested_filename.endswith(".jpg")
        assert seen.said == []


async def test_the_log_is_filtered_and_j_and_k_lead_along_it(api: Api, browser: Browser) -> None:
    told = await afternoon(api)
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/jobs")
        await page.locator("select[name=status]").select_option("failed")
        await expect(page.locator("tbody tr")).to_have_count(3)
        assert "status=failed" in page.url
        await page.locator(f"#job-{told.failed} .row-link").click()
        await expect(page.get_by_text("Смягчите промпт")).to_be_visible()
        first = page.url
        key = "j" if await page.locator("[data-key=j]").count() else "k"
        await page.keyboard.press(key)
        await page.wait_for_url(lambda url: url != first)
        assert "status=failed" in page.url
        await page.go_back(wait_until="networkidle")
        assert page.url == first
        assert seen.said == []


async def test_the_statistics_draw_their_chart_and_are_reset_locally(api: Api, browser: Browser) -> None:
    await afternoon(api)
    async with window(browser, api) as seen:
        page = seen.page
        await seen.go(f"{api.url}/statistics?minutes=1440")
        await expect(page.locator("#chart canvas")).to_be_visible()
        await expect(page.locator("#since-reset")).to_be_hidden()
        await page.get_by_role("button", name="Сброс статистики").click()
        await page.locator("#confirmation-go").click()
        await page.wait_for_url("**/statistics?minutes=5")
        await expect(page.locator("#since-reset")).to_be_visible()
        await page.get_by_role("row", name="Комикс").get_by_role("link", name="3").first.click()
        await page.wait_for_url("**/jobs?slot_id=slot-005**")
        await expect(page.locator("tbody tr")).to_have_count(3)
        assert seen.said == []


async def test_a_slot_named_as_a_script_is_text(api: Api, browser: Browser) -> None:
    await afternoon(api)
    async with window(browser, api) as seen:
        alerts: list[str] = []
        seen.page.on("dialog", lambda dialog: alerts.append(dialog.message))
        for path in ("/", "/public/slots/slot-010"):
            await seen.go(f"{api.url}{path}")
            await expect(seen.page.get_by_text("<script>alert(1)</script>").first).to_be_visible()
        assert (alerts, seen.said) == ([], [])
