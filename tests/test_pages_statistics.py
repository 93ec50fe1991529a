"""The statistics' page over HTTP: what it counts, and that each of its numbers leads to just as many photos."""

import html
import re
from datetime import datetime, timedelta
from decimal import Decimal
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from sqlalchemy import update

from photochanger import app_settings, budgets, window
from photochanger.tables import slot
from tests import figure_rows
from tests.administrators import bearer, browser
from tests.figure_rows import MadeAttempt, MadeJob, count, hour_of
from tests.serving import Api
from tests.studio import afternoon, empty

pytestmark = pytest.mark.anyio

DAY = 24 * 60
LINK = re.compile(r'<a [^>]*href="(/jobs\?[^"]+)"[^>]*>(?:<strong>)?([\d\s\xa0]+)<')


async def page(http: httpx.AsyncClient, api: Api, path: str, **headers: str) -> httpx.Response:
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


# --- each number leads to its photos


@pytest.mark.parametrize("most_by_row", [20_000, 0])
@pytest.mark.parametrize("asked", ["minutes=60", f"minutes={7 * DAY}&table=1", f"minutes={30 * DAY}&slot_id=slot-002"])
async def test_each_number_leads_to_just_as_many_photos(
    api: Api, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, most_by_row: int, asked: str
) -> None:
    monkeypatch.setattr(window, "MOST_JOBS_BY_ROW", most_by_row)
    await month(api)
    answer = await page(http, api, f"/statistics?{asked}", Cookie="photochanger_zone=Europe/Moscow")
    found = links(answer)
    assert len(found) > 8, answer.text
    kinds = {tuple(sorted(name for name, _ in parse_qsl(urlsplit(href).query))) for href, _ in found}
    assert len(kinds) >= 3
    for href, number in found:
        assert await photos_behind(http, api, href) == number, href
        shown = await page(http, api, href)
        assert shown.status_code == 200, href


async def test_where_the_clock_stands_half_an_hour_beside_no_link_promises_too_much(
    api: Api, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "MOST_JOBS_BY_ROW", 0)
    await month(api)
    cookie = "photochanger_zone=Asia/Kolkata"
    answer = await page(http, api, f"/statistics?minutes={7 * DAY}&table=1", Cookie=cookie)
    assert 'id="series"' in answer.text
    assert 'id="day-photos-' not in answer.text
    for href, number in links(answer):
        assert await photos_behind(http, api, href) == number, href


# --- what it counts


async def test_the_tiles_tell_what_a_plain_count_says(api: Api, http: httpx.AsyncClient) -> None:
    made = await month(api)
    now = await figure_rows.now(api.db)
    its = [one for one in made if one.created_at >= now - timedelta(hours=1)]
    booths = [one for one in its if one.source == "ingest"]
    told = text_of(await page(http, api, "/statistics"))
    assert f"{len(booths)} фото за промежуток" in told
    assert f"Не успело {count(booths, 'timeout')} " in told
    assert f"Неудачно {count(booths, 'failed')} " in told
    assert f"Тесты {len(its) - len(booths)} " in told
    assert f"Повторы {sum(max(0, len(one.attempts) - 1) for one in booths)} " in told
    assert "Половина за" in told
    assert "за картинку" in told


async def test_reasons_stand_by_how_often_they_were_and_say_what_helps(api: Api, http: httpx.AsyncClient) -> None:
    now = await figure_rows.now(api.db)
    ago = now - timedelta(minutes=5)
    often = ["quota"] * 3 + ["network"] * 2 + ["invalid_image"]
    made = [MadeJob(created_at=ago, status="failed", reason=reason, seconds=4.0) for reason in often]
    await figure_rows.write(api.db, [*made, MadeJob(created_at=ago, status="timeout", reason="timeout", seconds=48.0)])
    told = text_of(await page(http, api, "/statistics?minutes=15"))
    reasons = told[told.index("Почему не было картинки") :]
    places = [reasons.index(said) for said in ("Квота провайдера исчерпана", "Нет связи", "Изображение не читается")]
    assert places == sorted(places)
    assert "3 · 42,9 %" in reasons
    assert "пополните его" in reasons


async def test_test_runs_are_apart(api: Api, http: httpx.AsyncClient) -> None:
    now = await figure_rows.now(api.db)
    paid = MadeAttempt(provider="gemini", model="one", seconds=3.0, outcome="ok", cost_usd=Decimal("0.5"))
    tests = [MadeJob(created_at=now - timedelta(minutes=2), source="ui_test", attempts=(paid,)) for _ in range(3)]
    await figure_rows.write(api.db, tests)
    answer = await page(http, api, "/statistics")
    told = text_of(answer)
    assert "0 фото за промежуток" in told
    assert "Тесты 3 отдельно, стоили 1,50 $" in told
    assert "Стоимость 0,00 $" in told
    assert ("source=ui_test", 3) in [(href[6:20], number) for href, number in links(answer)]


async def test_a_slots_state_stands_in_words(api: Api, http: httpx.AsyncClient) -> None:
    await empty(api)
    await afternoon(api)
    answer = await page(http, api, "/statistics")
    states = {
        slot_id: text_of(httpx.Response(200, text=row))
        for slot_id, row in re.findall(r'<tr id="row-(slot-\d+)">(.*?)</tr>', answer.text, flags=re.DOTALL)
    }
    assert len(states) == 15
    assert states["slot-012"].endswith("Выключен")
    assert states["slot-001"].endswith("Не настроен"), "its provider's key is missing"


async def test_one_slot_has_a_view_of_its_own(api: Api, http: httpx.AsyncClient) -> None:
    made = await month(api)
    async with api.db.begin() as conn:
        await conn.execute(update(slot).where(slot.c.slot_id == "slot-002").values(display_name="<b>Зал</b>"))
    answer = await page(http, api, f"/statistics?minutes={7 * DAY}&slot_id=slot-002")
    now = await figure_rows.now(api.db)
    began = now - timedelta(days=7)
    its = [one for one in made if (one.slot_id, one.source) == ("slot-002", "ingest") and one.created_at >= began]
    assert "<h1>&lt;b&gt;Зал&lt;/b&gt;</h1>" in answer.text
    assert f"{len(its)} фото за промежуток" in text_of(answer)
    assert 'href="/slots/slot-002"' in answer.text
    assert f'href="/statistics?minutes={7 * DAY}"' in answer.text, "and back to all of them, in the same window"
    assert "row-slot-001" not in answer.text
    assert "slot_id=slot-002" in re.findall(r'hx-get="(/statistics[^"]+)"', answer.text)[0]
    assert 'href="/statistics?slot_id=slot-002"' in (await page(http, api, "/slots/slot-002")).text


@pytest.mark.parametrize("slot_id", ["slot-016", "slot-1", "<script>", "slot-001%00", "x" * 3000])
async def test_a_slot_that_does_not_exist_has_no_statistics(api: Api, http: httpx.AsyncClient, slot_id: str) -> None:
    answer = await page(http, api, f"/statistics?slot_id={slot_id}")
    assert (answer.status_code, "Здесь ничего нет" in answer.text) == (404, True)
    assert "<script>" not in answer.text


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
