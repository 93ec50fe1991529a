"""The pages in a real browser: reachable for everybody, silent in the console, usable by keyboard and on a phone."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from photochanger.providers import Providers
from tests.administrators import ADMIN_PASSWORD, give_passwords
from tests.browsing import IN_A_BROWSER, LOOKS, NARROW, window
from tests.page_list import WITHOUT_PHOTOS, Pages, with_photos
from tests.results import claimed_job, finish_job, queued_job
from tests.serving import Api, serve_api, settings_for
from tests.studio import afternoon, empty, picture_of

pytestmark = IN_A_BROWSER


@pytest.fixture
async def api(database_url: str, tmp_path: Path, known_providers: Providers, anyio_backend: str) -> AsyncIterator[Api]:
    settings = settings_for(tmp_path, database_url, GEMINI_API_KEY="a-key", TURBOTEXT_API_KEY="another")
    give_passwords(settings)
    async with serve_api(settings, known_providers, database_url) as api:
        yield api


HARMLESS = re.compile(r"error: Failed to load resource: the server responded with a status of (404|410) ")
"""What chromium says of a page that comes with such a status."""


@pytest.mark.parametrize(("theme", "language", "size"), LOOKS)
async def test_every_page_is_accessible_silent_and_fits(
    api: Api, browser: Browser, theme: str, language: str, size: dict[str, int]
) -> None:
    looks: dict[str, Any] = {"color_scheme": theme, "locale": language, "viewport": size}

    async def look_at(pages: Pages) -> None:
        for name, (path, login) in pages.items():
            async with window(browser, api, login=login, **looks) as seen:
                await seen.go(f"{api.url}{path}")
                assert await seen.violations() == [], name
                assert await seen.sideways() <= 0, name
                assert [line for line in seen.said if not HARMLESS.match(line)] == [], name
                assert await seen.page.evaluate("document.documentElement.lang") == language[:2], name
                assert await seen.page.locator("h1").count() == 1, name

    await empty(api)
    await look_at(WITHOUT_PHOTOS)
    await look_at(with_photos(await afternoon(api)))


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
        assert await seen.page.locator("#connection").is_hidden()


async def test_an_ended_session_leads_to_the_login_by_itself(api: Api, browser: Browser) -> None:
    async with window(browser, api) as seen:
        await seen.go(f"{api.url}/?problems=1")
        async with api.db.begin() as conn:
            await conn.exec_driver_sql("UPDATE session SET revoked_at = now()")
        await seen.page.wait_for_url("**/login?**", timeout=20_000)
        assert seen.page.url == f"{api.url}/login?next=/%3Fproblems%3D1"


async def test_a_waiting_guest_sees_the_photo_as_soon_as_it_is_there(api: Api, browser: Browser) -> None:
    job_id = await queued_job(api)
    async with window(browser, api, login=False, viewport=NARROW) as seen:
        await seen.go(f"{api.url}/public/results/{job_id}")
        await expect(seen.page.get_by_role("heading", level=1)).to_have_text("Почти готово")
        await finish_job(api, await claimed_job(api), picture_of("#9fd3e6")[0])
        await expect(seen.page.get_by_role("heading", level=1)).to_have_text("Ваше фото готово", timeout=15_000)
        loaded = "document.querySelector('.photo-frame img')?.naturalWidth"
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


async def test_a_slot_named_as_a_script_is_text(api: Api, browser: Browser) -> None:
    await afternoon(api)
    async with window(browser, api) as seen:
        alerts: list[str] = []
        seen.page.on("dialog", lambda dialog: alerts.append(dialog.message))
        for path in ("/", "/public/slots/slot-010"):
            await seen.go(f"{api.url}{path}")
            await expect(seen.page.get_by_text("<script>alert(1)</script>").first).to_be_visible()
        assert (alerts, seen.said) == ([], [])
