"""The statistics' page over HTTP: what it counts, and that each of its numbers leads to just as many photos."""

import re
from datetime import timedelta
from decimal import Decimal
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from sqlalchemy import update

from photochanger import window
from photochanger.tables import slot
from tests import figure_rows
from tests.figure_rows import MadeAttempt, MadeJob, count
from tests.serving import Api
from tests.statistics_page import DAY, links, month, page, photos_behind, text_of
from tests.studio import afternoon, empty

pytestmark = pytest.mark.anyio


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
