"""The pages that say what is wrong, in a real browser: in both languages, light and dark, wide and narrow."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser
from sqlalchemy import text

from photochanger.providers import Providers
from tests.browsing import IN_A_BROWSER, NARROW, WIDE, window
from tests.outages import Outage
from tests.serving import Api, serve_api, settings_for

pytestmark = IN_A_BROWSER
LOOKS = [
    (
        "light",
        "ru-RU",
        NARROW,
        ("Так нельзя", "Такого фото нет", "В адресе ошибка", "У нас что-то сломалось", "Короткий перерыв"),
    ),
    (
        "dark",
        "en-US",
        WIDE,
        (
            "This is not allowed",
            "There is no such photo",
            "The address has a mistake",
            "Something broke on our side",
            "A short break",
        ),
    ),
]


@pytest.fixture
async def api(database_url: str, tmp_path: Path, known_providers: Providers, anyio_backend: str) -> AsyncIterator[Api]:
    async with serve_api(settings_for(tmp_path, database_url), known_providers, database_url) as api:
        yield api


@pytest.mark.parametrize(("theme", "language", "size", "titles"), LOOKS)
async def test_each_trouble_has_a_page_that_everybody_can_read(
    api: Api, browser: Browser, postgres_url: str, database_url: str, theme: str, language: str, size: Any, titles: Any
) -> None:
    outage = Outage(postgres_url, database_url)
    async with window(browser, api, color_scheme=theme, locale=language, viewport=size) as seen:
        page = seen.page

        async def read(title: str) -> None:
            assert await page.locator("h1").inner_text() == title
            assert await seen.violations() == [], title
            assert await seen.sideways() <= 0, title
            assert [line for line in seen.said if "Failed to load resource" not in line] == [], title

        await seen.go(f"{api.url}/jobs")
        await page.evaluate("document.querySelectorAll('[name=csrf_token]').forEach(one => { one.value = 'x'; })")
        await page.locator("form[action='/logout'] button").click()
        await page.wait_for_load_state("networkidle")
        await read(titles[0])
        await seen.go(f"{api.url}/jobs/{'0' * 32}")
        await read(titles[1])
        await seen.go(f"{api.url}/jobs?status=nonsense")
        await read(titles[2])
        async with api.db.begin() as conn:
            await conn.execute(text("ALTER TABLE job_input RENAME TO elsewhere"))
        await seen.go(f"{api.url}/jobs")
        await read(titles[3])
        await outage.begin()
        try:
            await seen.go(f"{api.url}/jobs")
            await read(titles[4])
        finally:
            await outage.end()
