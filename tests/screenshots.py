"""`make screenshots`: every page in light and dark, wide and narrow, into var/screenshots. To be looked at by people.

The API runs with a database of its own and a studio's afternoon in it.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from photochanger import providers
from tests import postgres
from tests.browsing import CHROMIUM, FLAGS, logged_in
from tests.serving import Api, serve_api, settings_for
from tests.studio import afternoon, empty

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "var" / "screenshots"
WIDTHS = {"wide": (1280, 860), "narrow": (390, 844)}


@asynccontextmanager
async def served(url: str) -> AsyncIterator[Api]:
    """The API on a new database of this server."""
    with (
        postgres.template(url) as template,
        postgres.database(url, template=template) as database_url,
        tempfile.TemporaryDirectory(prefix="photochanger-screenshots-") as folder,
    ):
        settings = settings_for(Path(folder), database_url, GEMINI_API_KEY="a-key", TURBOTEXT_API_KEY="another-key")
        async with serve_api(settings, providers.load(), database_url) as api:
            yield api


async def shoot(browser: Browser, api: Api, name: str, path: str, *, language: str = "ru", login: bool = True) -> None:
    """One page in all its looks."""
    for theme in ("light", "dark"):
        for width_name, (width, height) in WIDTHS.items():
            context = await browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if theme == "dark" else "light",
                locale=language,
                timezone_id="Europe/Moscow",
                reduced_motion="reduce",
            )
            if login:
                await logged_in(context, api)
            page = await context.new_page()
            await page.goto(f"{api.url}{path}", wait_until="networkidle")
            whole = await page.evaluate("document.documentElement.scrollHeight")
            await page.set_viewport_size(
                {"width": width, "height": max(height, whole)}
            )  # what is sticky lies at the end
            await page.screenshot(path=FOLDER / f"{name}-{theme}-{width_name}.png", full_page=True)
            await context.close()


async def main() -> int:
    """Take all of them; those that are named, if some are."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[1:]
    with postgres.server() as url:
        async with served(url) as api, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            before = {"login": ("/login", False), "dashboard-empty": ("/", True), "not-found": ("/nothing", False)}
            await empty(api)
            for name, (path, login) in before.items():
                if not wanted or name in wanted:
                    await shoot(browser, api, name, path, login=login)
            told = await afternoon(api)
            after = {
                "dashboard": ("/", True),
                "dashboard-problems": ("/?problems=1", True),
                "result-ready": (f"/public/results/{told.done}", False),
                "result-pending": (f"/public/results/{told.open}", False),
                "result-failed": (f"/public/results/{told.failed}", False),
                "result-expired": (f"/public/results/{told.expired}", False),
                "gallery": ("/public/slots/slot-001", False),
                "slot": ("/slots/slot-001", True),
                "slot-style": ("/slots/slot-013", True),
                "settings": ("/settings", True),
                "photos": ("/jobs", True),
                "photo": (f"/jobs/{told.done}", True),
                "photo-failed": (f"/jobs/{told.failed}", True),
                "statistics": ("/statistics?minutes=1440", True),
                "gallery-empty": ("/public/slots/slot-009", False),
            }
            for name, (path, login) in after.items():
                if not wanted or name in wanted:
                    await shoot(browser, api, name, path, login=login)
            if not wanted or "dashboard-en" in wanted:
                await shoot(browser, api, "dashboard-en", "/?lang=en", language="en")
            await browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
