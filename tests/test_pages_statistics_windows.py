"""The statistics' page over HTTP: budgets and limits, windows and resets, and what it says when there is nothing."""

import html
import re
from datetime import datetime, timedelta
from decimal import Decimal
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from photochanger import app_settings, budgets
from tests import figure_rows
from tests.administrators import bearer
from tests.figure_rows import MadeAttempt, MadeJob, hour_of
from tests.serving import Api
from tests.statistics_page import DAY, month, page, text_of

pytestmark = pytest.mark.anyio


# --- money and limits


async def test_budgets_warn_at_80_percent_and_say_whether_they_stop(api: Api, http: httpx.AsyncClient) -> None:
    now = await figure_rows.now(api.db)
    calls = [
        MadeAttempt(provider=provider, model="one", seconds=3.0, outcome="ok", cost_usd=Decimal(usd))
        for provider, usd in (("gemini", "41.2"), ("openai", "10"))
    ]
    await figure_rows.write(api.db, [MadeJob(created_at=now, attempts=tuple(calls))])

    async def told(**wanted: object) -> str:
        async with api.db.begin() as conn:
            await app_settings.store(conn, budgets.NAME, wanted, by="serg")
        return text_of(await page(http, api, "/statistics?lang=ru"))

    assert "Ни у одного провайдера нет месячного бюджета" in text_of(await page(http, api, "/statistics"))
    assert "41,20 $ из 500,00 $ · 8,2 % Предупреждение с 80 %." in await told(gemini={"usd_per_month": 500})
    assert "Потрачено больше 80 %. При 100 % покупки остановятся." in await told(
        gemini={"usd_per_month": 50, "stop": True}
    )
    both = await told(gemini={"usd_per_month": 20, "stop": True}, openai={"usd_per_month": 10})
    assert "41,20 $ из 20,00 $ · 206 %" in both
    assert "до конца месяца ничего не покупается" in both
    assert "остановка не включена" in both


async def test_the_days_limit_is_foretold(api: Api, http: httpx.AsyncClient) -> None:
    now = await figure_rows.now(api.db)
    call = MadeAttempt(provider="gemini", model="one", seconds=3.0, outcome="ok", cost_usd=None)
    await figure_rows.write(api.db, [MadeJob(created_at=now - timedelta(seconds=2), attempts=(call,) * 3)] * 2)

    async def told(per_day: int) -> str:
        async with api.db.begin() as conn:
            await app_settings.store(conn, app_settings.provider_limit("gemini", "per_day"), per_day, by="serg")
        return text_of(await page(http, api, "/statistics"))

    plenty = await told(100_000)
    assert "6 из 100 000 · за последний час 6" in plenty
    assert "До конца суток в" in plenty
    assert "Суточный лимит исчерпан до" in await told(6)
    near = await told(7)
    if "До конца суток" not in near:  # within ten minutes of the day's end it is not reached any more
        about = re.search(r"лимит кончится около (\d\d):(\d\d);", near)
        assert about is not None, near
        assert int(about[2]) % 5 == 0


# --- windows, resets, empty states


async def test_an_empty_studio_and_an_empty_window_say_so(api: Api, http: httpx.AsyncClient) -> None:
    never = text_of(await page(http, api, "/statistics"))
    assert "Пока нет фото" in never
    assert "Половина за" not in never
    now = await figure_rows.now(api.db)
    await figure_rows.write(api.db, [MadeJob(created_at=now - timedelta(hours=4), seconds=5.0)])
    answer = await page(http, api, "/statistics?minutes=60")
    told = text_of(answer)
    assert "За этот промежуток фото не было" in told
    assert "Последняя картинка: 4 ч назад." in told
    assert 'id="chart"' not in answer.text
    assert "data-poll-seconds" in answer.text


async def test_a_window_says_whose_clock_it_is_on(api: Api, http: httpx.AsyncClient) -> None:
    told = text_of(await page(http, api, "/statistics", Cookie="photochanger_zone=Asia/Kathmandu"))
    assert re.search(r"\d+ [а-я]+, \d\d:\d\d – .*\d\d:\d\d \(Kathmandu, UTC\+5:45\)", told)


async def test_a_reset_is_this_browsers_alone(api: Api, http: httpx.AsyncClient) -> None:
    now = await figure_rows.now(api.db)
    await figure_rows.write(api.db, [MadeJob(created_at=now - timedelta(minutes=number)) for number in (1, 20, 50)])
    at = (now - timedelta(minutes=30)).isoformat().replace("+00:00", "Z")
    cookie = f"photochanger_statistics_since={at}"
    reset = await page(http, api, "/statistics", Cookie=cookie)
    assert "2 фото за промежуток" in text_of(reset)
    assert "Отменить сброс" in reset.text
    assert f"since={at.replace(':', '%3A')}" in re.findall(r'hx-get="(/statistics[^"]+)"', reset.text)[0]
    assert 'href="/statistics?minutes=60"' in reset.text
    hour = await page(http, api, "/statistics?minutes=60", Cookie=cookie)
    assert "3 фото за промежуток" in text_of(hour)
    assert "Отменить сброс" not in hour.text
    assert 'id="window-reset"' in hour.text
    other = await page(http, api, "/statistics")
    assert "3 фото за промежуток" in text_of(other), "another browser knows of no reset"
    sent = await page(http, api, f"/statistics?since={at}")
    assert "2 фото за промежуток" in text_of(sent), "but the address can be sent along"


async def test_what_is_older_than_the_log_is_told(api: Api, http: httpx.AsyncClient) -> None:
    now = await figure_rows.now(api.db)
    await figure_rows.roll(api.db, [MadeJob(created_at=now - timedelta(days=120))], until=hour_of(now))
    at = (now - timedelta(days=150)).date()
    told = text_of(await page(http, api, f"/statistics?since={at}T00:00:00Z"))
    assert "1 фото за промежуток" in told
    assert "Фото остаются в журнале 90 дней; что старше, есть только в суммах." in told
    assert "остаются в журнале" not in text_of(await page(http, api, f"/statistics?minutes={30 * DAY}"))


async def test_the_days_can_be_taken_along(api: Api, http: httpx.AsyncClient) -> None:
    await month(api)
    zone = "photochanger_zone=Europe/Moscow"
    answer = await page(http, api, f"/statistics?minutes={7 * DAY}&slot_id=slot-001", Cookie=zone)
    (href,) = re.findall(r'href="(/api/stats/export\.csv[^"]+)"', answer.text)
    asked = dict(parse_qsl(urlsplit(html.unescape(href)).query))
    assert (asked["tz"], asked["decimal"], asked["slot_id"]) == ("Europe/Moscow", "comma", "slot-001")
    days = datetime.fromisoformat(asked["to"]) - datetime.fromisoformat(asked["from"])
    assert days == timedelta(days=7)
    table = await http.get(api.url + html.unescape(href), headers=await bearer(api))
    assert table.status_code == 200
    assert "slot-001;" in table.text
    assert "slot-002;" not in table.text


async def test_a_refresh_is_a_part_of_the_page(api: Api, http: httpx.AsyncClient) -> None:
    part = await page(http, api, "/statistics?minutes=15", **{"HX-Request": "true"})
    assert "<html" not in part.text
    assert part.text.lstrip().startswith('<div id="statistics"')
