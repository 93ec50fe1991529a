"""A real browser for tests of the pages: Debian's chromium, driven by playwright."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.administrators import token
from tests.serving import Api

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]
WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 390, "height": 844}
LOOKS = [
    ("light", "ru-RU", WIDE),
    ("dark", "en-US", NARROW),
    pytest.param("dark", "ru-RU", NARROW, marks=pytest.mark.slow),
    pytest.param("light", "en-US", NARROW, marks=pytest.mark.slow),
    pytest.param("dark", "en-US", WIDE, marks=pytest.mark.slow),
]
"""Theme, language and size: each is met in the first two, their other pairs among the slow tests."""
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


def missing() -> bool:
    """No chromium is installed: tests in a browser are skipped."""
    return not Path(CHROMIUM).exists()


IN_A_BROWSER = [
    pytest.mark.anyio,
    pytest.mark.skipif(missing(), reason="there is no chromium (`make browser` installs it)"),
]
"""The marks of a file whose tests all need it."""


@asynccontextmanager
async def opened_browser(*flags: str) -> AsyncIterator[Browser]:
    """One chromium, with these flags beside those it always has."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
        try:
            yield browser
        finally:
            await browser.close()


async def logged_in(context: BrowserContext, api: Api, *, account: str = "serg") -> None:
    """Give the browser a session's cookie."""
    cookie = await token(api, account=account, kind="cookie")
    host = urlsplit(api.url).hostname or ""
    await context.add_cookies(
        [{"name": "photochanger_session", "value": cookie, "domain": host, "path": "/", "httpOnly": True}]
    )


@dataclass(frozen=True)
class Window:
    """A page, and what its console has said."""

    page: Page
    said: list[str] = field(default_factory=list)

    async def go(self, url: str) -> None:
        """Open it and wait until it has come to rest."""
        await self.page.goto(url, wait_until="networkidle")

    async def sideways(self) -> int:
        """By how many pixels it scrolls sideways."""
        return int(await self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))

    async def violations(self) -> list[str]:
        """What axe finds, a line each. Run in the page by the debugger, so that the page's own CSP stays as it is."""
        await self.page.locator(".toast").first.wait_for(state="detached", timeout=15_000)
        await self.page.evaluate("scrollTo(0, 0)")  # what the header or a toast covers for a moment is no mistake
        await self.page.evaluate(AXE_SCRIPT)
        found: dict[str, Any] = await self.page.evaluate("rules => axe.run(document, rules)", RULES)
        return [
            f"{one['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
            for one in found["violations"]
            for node in one["nodes"]
        ]


@asynccontextmanager
async def window(browser: Browser, api: Api, *, login: bool = True, **told: Any) -> AsyncIterator[Window]:
    """A new window of a new person."""
    options = {"viewport": WIDE, "locale": "ru-RU", "timezone_id": "Europe/Moscow", "reduced_motion": "reduce"}
    context = await browser.new_context(**{**options, **told})
    if login:
        await logged_in(context, api)
    page = await context.new_page()
    opened = Window(page)
    page.on("console", lambda message: opened.said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: opened.said.append(f"error: {error}"))
    try:
        yield opened
    finally:
        await context.close()
