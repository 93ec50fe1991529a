"""The statistics' page for tests: asked as a browser asks, read as a person reads, its numbers followed to the log."""

import html
import re
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import httpx

from photochanger import app_settings, budgets
from tests import figure_rows
from tests.administrators import bearer, browser
from tests.figure_rows import MadeJob, hour_of
from tests.serving import Api
from tests.studio import afternoon, empty

DAY = 24 * 60
LINK = re.compile(r'<a [^>]*href="(/jobs\?[^"]+)"[^>]*>(?:<strong>)?([\d\s\xa0]+)<')


async def page(http: httpx.AsyncClient, api: Api, path: str, **headers: str) -> httpx.Response:
    """As somebody who has logged in and reads Russian."""
    own = await browser(api)
    cookies = "; ".join(filter(None, [own.pop("Cookie"), headers.pop("Cookie", "")]))
    told = {"Accept": "text/html", "Accept-Language": "ru", **own, **headers, "Cookie": cookies}
    return await http.get(api.url + path, headers=told)


def text_of(answer: httpx.Response) -> str:
    """What a person reads."""
    bare = re.sub(r"<svg.*?</svg>|<[^>]+>", " ", answer.text, flags=re.DOTALL)
    return re.sub(r" ([.,;:)])", r"\1", " ".join(html.unescape(bare).replace("\xa0", " ").split()))


def links(answer: httpx.Response) -> list[tuple[str, int]]:
    """Every number that leads to photos, with where it leads."""
    return [(html.unescape(href), int(re.sub(r"\s", "", number))) for href, number in LINK.findall(answer.text)]


async def photos_behind(http: httpx.AsyncClient, api: Api, href: str) -> int:
    """How many jobs the log has with the link's filters."""
    asked = dict(parse_qsl(urlsplit(href).query))
    found, cursor, headers = 0, "", await bearer(api)
    while True:
        parameters = {**asked, "limit": "200", "cursor": cursor}
        answer = await http.get(f"{api.url}/api/jobs", params=parameters, headers=headers)
        assert answer.status_code == 200, answer.text
        found += len(answer.json()["jobs"])
        cursor = answer.json()["next_cursor"]
        if not cursor:
            return found


async def month(api: Api) -> list[MadeJob]:
    """A month of photos, the last of them a minute ago; the hours are rolled."""
    now = await figure_rows.now(api.db)
    made = figure_rows.many(250, start=now - timedelta(days=30), until=now - timedelta(hours=2), seed=7)
    made += figure_rows.many(40, start=now - timedelta(minutes=59), until=now - timedelta(minutes=1), seed=8)
    await figure_rows.write(api.db, made)
    await figure_rows.roll(api.db, made, until=hour_of(now))
    return made


async def week(api: Api) -> None:
    """A week of photos, with budgets and limits of every kind."""
    await empty(api)
    now = await figure_rows.now(api.db)
    await figure_rows.write(api.db, figure_rows.many(400, start=now - timedelta(days=7), until=now, seed=3))
    await afternoon(api)
    wanted = {"gemini": {"usd_per_month": 0.1, "stop": True}, "openai": {"usd_per_month": 50}}
    async with api.db.begin() as conn:
        await app_settings.store(conn, budgets.NAME, wanted, by="serg")
        for provider, per_day in (("gemini", 10), ("turbotext", 100_000)):
            await app_settings.store(conn, app_settings.provider_limit(provider, "per_day"), per_day, by="serg")
