"""`make screenshots`: every page in light and dark, wide and narrow, into var/screenshots. To be looked at by people.

With names only those (`python -m tests.screenshots dashboard slot`). Without, the README's pictures are made anew, too.
The API runs with a database of its own and a studio's afternoon in it.
"""

import asyncio
import io
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page

from photochanger import providers
from tests import postgres
from tests.browsing import NARROW, WIDE, opened_browser, window
from tests.page_list import WITHOUT_PHOTOS, Pages, with_photos
from tests.serving import Api, serve_api, settings_for
from tests.studio import afternoon, empty

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "var" / "screenshots"
README_FOLDER = ROOT / "docs" / "screenshots"
WIDTHS = {"wide": WIDE, "narrow": NARROW}
IN_README = {
    "dashboard": ("light", "wide"),
    "slot": ("dark", "wide"),
    "gallery": ("light", "narrow"),
    "result-ready": ("light", "narrow"),
}
"""A window's worth of these pages stands in the README."""


@asynccontextmanager
async def served(url: str) -> AsyncIterator[Api]:
    """The API on a new database of this server."""
    with (
        postgres.template(url) as template,
        postgres.database(url, template=template) as database_url,
        tempfile.TemporaryDirectory(prefix="photochanger-screenshots-") as folder,
    ):
        keys = {"GEMINI_API_KEY": "a-key", "TURBOTEXT_API_KEY": "another-key"}
        settings = settings_for(Path(folder), database_url, **keys, PUBLIC_MEDIA_BASE_URL="https://photo.example")
        async with serve_api(settings, providers.load(), database_url) as api:
            yield api


async def shoot(browser: Browser, api: Api, name: str, path: str, *, login: bool, language: str = "ru") -> None:
    """One page in all its looks."""
    for theme in ("light", "dark"):
        for width_name, size in WIDTHS.items():
            looks = {"viewport": size, "color_scheme": theme, "locale": language}
            async with window(browser, api, login=login, **looks) as seen:
                await seen.go(f"{api.url}{path}")
                if IN_README.get(name) == (theme, width_name) and not sys.argv[1:]:
                    await for_readme(seen.page, name)
                whole = await seen.page.evaluate("document.documentElement.scrollHeight")
                # what is sticky lies at the end
                await seen.page.set_viewport_size({"width": size["width"], "height": max(size["height"], whole)})
                await seen.page.screenshot(path=FOLDER / f"{name}-{theme}-{width_name}.png", full_page=True)


async def for_readme(page: Page, name: str) -> None:
    """What its window shows, as a small WEBP."""
    README_FOLDER.mkdir(parents=True, exist_ok=True)
    with Image.open(io.BytesIO(await page.screenshot())) as picture:
        picture.save(README_FOLDER / f"{name}.webp", quality=82, method=6)


async def main() -> int:
    """Take all of them; those that are named, if some are."""
    FOLDER.mkdir(parents=True, exist_ok=True)

    async def take(pages: Pages, *, language: str = "ru") -> None:
        for name, (path, login) in pages.items():
            if not sys.argv[1:] or name in sys.argv[1:]:
                await shoot(browser, api, name, path, login=login, language=language)

    with postgres.server() as url:
        async with served(url) as api, opened_browser() as browser:
            await empty(api)
            await take(WITHOUT_PHOTOS)
            pages = with_photos(await afternoon(api))
            await take(pages)
            english = {f"{name}-en": pages[name] for name in ("dashboard", "slot")}
            await take(english, language="en-US")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
