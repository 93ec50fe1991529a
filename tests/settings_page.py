"""The settings page for tests: its forms sent as a browser sends them, and what became of them."""

import json
from typing import Any

import httpx
from playwright.async_api import Page, expect

from photochanger import app_settings, audit
from photochanger.app_settings import AppSettings
from tests.administrators import browser as cookies
from tests.serving import Api

HTMX = {"HX-Request": "true", "Accept": "*/*", "Accept-Language": "ru"}
GEMINI = "provider_limits.gemini."
BUDGET = "providers.budgets.gemini."


async def send(
    http: httpx.AsyncClient, api: Api, path: str, form: dict[str, str], *, account: str = "serg"
) -> httpx.Response:
    """A form of the page, as htmx sends it."""
    headers = {**HTMX, **await cookies(api, account=account)}
    return await http.post(f"{api.url}/settings{path}", data=form, headers=headers)


async def save(http: httpx.AsyncClient, api: Api, form: str, fields: dict[str, tuple[str, str]]) -> httpx.Response:
    """A form whose fields were shown as the first text and read the second now."""
    was = {f"was.{name}": shown for name, (shown, _) in fields.items()}
    return await send(http, api, "", {"form": form, **was, **{name: typed for name, (_, typed) in fields.items()}})


async def shown(http: httpx.AsyncClient, api: Api, path: str = "", *, language: str = "ru") -> str:
    """The page, or a part of it."""
    kind = {**HTMX, "Accept-Language": language} if path else {"Accept": "text/html", "Accept-Language": language}
    answer = await http.get(f"{api.url}/settings{path}", headers={**kind, **await cookies(api)})
    assert answer.status_code == 200
    return answer.text


async def now(api: Api) -> AppSettings:
    """The settings as they stand."""
    async with api.db.begin() as conn:
        return await app_settings.load(conn, result_ttl_hours=72)


async def told(api: Api) -> list[tuple[str, dict[str, Any]]]:
    """What administrators did, by the audit, the latest first."""
    async with api.db.begin() as conn:
        return [(line.event, dict(line.details)) for line in await audit.latest(conn)]


def toast(answer: httpx.Response) -> str:
    """What a toast says of it."""
    found: str = json.loads(answer.headers["hx-trigger"])["toast"]["text"]
    return found


async def press_save(page: Page, form: str) -> None:
    """The button of this form, on a Russian page."""
    await page.locator(f"#{form}-form").get_by_role("button", name="Сохранить").click()


async def agree(page: Page) -> None:
    """To a dialog, which must have its focus on Cancel."""
    await expect(page.get_by_role("button", name="Отмена")).to_be_focused()
    await page.locator("#confirmation-go").click()
