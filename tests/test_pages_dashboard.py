"""The dashboard over HTTP: rows and pills, filter and strip, a slot for something new, a slot switched on and off."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, insert, select, text, update

from photochanger import secret_store, slots
from photochanger.providers import Providers
from photochanger.tables import app_settings, processing_log, secret, slot
from tests.administrators import browser
from tests.people import HTMX, page
from tests.results import queued_job
from tests.serving import Api, serve_api, settings_for
from tests.studio import afternoon, empty

pytestmark = pytest.mark.anyio


async def give_key(api: Api, provider: str) -> None:
    key = {"name": secret_store.provider_key(provider), "ciphertext": b"x", "last_four": "1234", "updated_by": "serg"}
    async with api.db.begin() as conn:
        await conn.execute(insert(secret).values(**key))


def row_of(shown: str, slot_id: str) -> str:
    (found,) = re.findall(rf'id="row-{slot_id}".*?</li>', shown, flags=re.S)
    return str(found)


async def test_the_dashboard_has_all_slots_in_order_with_their_links(api: Api, http: httpx.AsyncClient) -> None:
    answer = await page(http, api, "/")
    assert re.findall(r'id="row-(slot-\d+)"', answer.text) == [f"slot-{number:03}" for number in range(1, 16)]
    assert "/ingest/slot-015" in answer.text
    assert "Три шага до первого фото" in answer.text
    assert answer.headers["cache-control"] == "no-store"


async def test_the_dashboard_tells_what_became_of_photos(api: Api, http: httpx.AsyncClient) -> None:
    await afternoon(api)
    await give_key(api, "gemini")
    shown = (await page(http, api, "/")).text
    assert "Три шага" not in shown
    for row, said in [
        ("slot-004", "ждут: 3"),
        ("slot-004", "Занят"),
        ("slot-005", "Ошибки"),
        ("slot-005", "из-за содержания"),
        ("slot-006", "Задержка"),
        ("slot-007", "в работе: 1"),
        ("slot-012", "Выключен"),
        ("slot-013", "нет ключа провайдера"),
    ]:
        assert said in row_of(shown, row)
    assert "<title>(3) Слоты" in shown, "errors, a delay, no key"


async def test_every_condition_has_its_pill(api: Api, http: httpx.AsyncClient) -> None:
    await empty(api)
    await afternoon(api)
    for provider in ("gemini", "turbotext"):
        await give_key(api, provider)
    shown = (await page(http, api, "/")).text
    pills = {"slot-001": "Активен", "slot-004": "Занят", "slot-005": "Ошибки", "slot-006": "Задержка"}
    for slot_id, word in {**pills, "slot-012": "Выключен", "slot-013": "Не настроен"}.items():
        (pill,) = re.findall(r'class="pill [a-z]+" title="[^"]+"><svg.*?</svg>([^<]+)</span>', row_of(shown, slot_id))
        assert pill == word, slot_id
    assert "нет картинки-шаблона" in row_of(shown, "slot-013")


async def test_the_strip_has_todays_figures_and_what_they_stand_on(api: Api, http: httpx.AsyncClient) -> None:
    async def strip() -> dict[str, str]:
        shown = (await page(http, api, "/")).text
        found = re.findall(r'figure-word">([^<]+)</span><span class="figure-value">([^<]+)<', shown)
        return {word: value.replace("\xa0", " ") for word, value in found}

    before = await strip()
    assert list(before) == [
        "Фото сегодня",
        "Успешно",
        "95 из 100 за",
        "Обработчиков",
        "Свободно на диске",
        "Не хватает ключей",
    ]
    assert (before["Фото сегодня"], before["Успешно"], before["95 из 100 за"]) == ("0", "—", "—")
    assert (before["Обработчиков"], before["Не хватает ключей"]) == ("0", "1")
    assert re.fullmatch(r"[\d ,]+ (ГБ|МБ)", before["Свободно на диске"])
    await empty(api)
    await afternoon(api)
    for provider in ("gemini", "turbotext"):
        await give_key(api, provider)
    after = await strip()
    assert int(after["Фото сегодня"]) > 5
    assert "%" in after["Успешно"]
    assert " с" in after["95 из 100 за"]
    assert (after["Обработчиков"], after["Не хватает ключей"]) == ("2", "0")


async def test_what_is_missing_leads_to_where_it_is_given(api: Api, http: httpx.AsyncClient) -> None:
    async with api.db.begin() as conn:
        await conn.execute(delete(app_settings).where(app_settings.c.name == "ingest.password_hash"))
    shown = (await page(http, api, "/")).text
    assert "Нет ключа Google Gemini" in shown
    assert 'href="/settings#provider-keys"' in shown
    assert "Пароль приёма не задан" in shown


async def test_while_simulators_answer_the_dashboard_says_so(
    database_url: str, tmp_path: Path, known_providers: Providers, http: httpx.AsyncClient
) -> None:
    settings = settings_for(tmp_path, database_url, SIMULATORS_URL="http://127.0.0.1:8090")
    async with serve_api(settings, known_providers, database_url) as api:
        shown = (await page(http, api, "/")).text
        assert "вместо провайдеров отвечают имитаторы" in shown
        assert "Нет ключа" not in shown
        assert shown.count('class="step done"') == 1, "a first key is still to come"
        await give_key(api, "gemini")
        shown = (await page(http, api, "/")).text
        assert "имитаторы" not in shown
        assert shown.count('class="step done"') == 2


async def test_the_filter_and_only_problems_choose_rows(api: Api, http: httpx.AsyncClient) -> None:
    await afternoon(api)

    async def rows(query: str) -> list[str]:
        return re.findall(r'id="row-(slot-\d+)"', (await page(http, api, query, **HTMX)).text)

    async with api.db.begin() as conn:
        await conn.execute(update(slot).where(slot.c.slot_id != "slot-005").values(is_active=False))
        await conn.execute(update(slot).where(slot.c.slot_id == "slot-005").values(provider="turbotext"))
    assert await rows("/?problems=1") == ["slot-005"]
    assert await rows("/?q=КОМИКС") == ["slot-005"]
    assert await rows("/?q=slot-01") == [f"slot-01{number}" for number in range(6)]
    empty = await page(http, api, "/?q=%3Cb%3E&problems=1", **HTMX)
    assert "Такого слота нет" in empty.text
    assert "<b>" not in empty.text


async def test_health_is_told_to_administrators(api: Api, http: httpx.AsyncClient) -> None:
    answer = await page(http, api, "/console/health", **HTMX)
    assert "С ограничениями" in answer.text, "no runner lives"
    api.media.root.rename(api.media.root.with_name("elsewhere"))
    assert "Не работает" in (await page(http, api, "/console/health", **HTMX)).text


# --- a slot for something new


async def new_slot(http: httpx.AsyncClient, api: Api) -> str:
    shown = (await page(http, api, "/", **HTMX)).text
    (found,) = re.findall(r'<(?:a|p)[^>]*id="new-slot".*?</(?:a|p)>', shown, flags=re.S)
    return str(found)


async def test_a_new_slot_is_the_first_that_nobody_has_set_up(api: Api, http: httpx.AsyncClient) -> None:
    assert 'href="/slots/slot-001"' in await new_slot(http, api)
    await queued_job(api, slot_id="slot-001")
    async with api.db.begin() as conn:
        await conn.execute(update(slot).where(slot.c.slot_id == "slot-002").values(version=2))
    shown = await new_slot(http, api)
    assert 'href="/slots/slot-003"' in shown, "one has had a photo, the other was saved"
    assert "ещё никто не настраивал" in shown
    board = (await page(http, api, "/")).text
    assert "ещё никто не настраивал" in row_of(board, "slot-003")
    assert "ещё никто не настраивал" not in row_of(board, "slot-002")


async def test_when_no_slot_is_left_for_something_new_it_says_so(api: Api, http: httpx.AsyncClient) -> None:
    async with api.db.begin() as conn:
        await conn.execute(update(slot).values(version=2))
    shown = await new_slot(http, api)
    assert "Все слоты заняты" in shown
    assert "href" not in shown


# --- on and off


async def switch(
    http: httpx.AsyncClient, api: Api, *, slot_id: str = "slot-001", account: str = "serg", **fields: str
) -> httpx.Response:
    headers = {**HTMX, "Accept-Language": "ru", **await browser(api, account=account)}
    return await http.post(f"{api.url}/slots/{slot_id}/switch", data=fields, headers=headers)


def toast(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 204, answer.text
    told = json.loads(answer.headers["hx-trigger"])
    assert told["poll-now"], "the board asks anew at once"
    shown: dict[str, Any] = told["toast"]
    return shown


async def stands(api: Api, slot_id: str = "slot-001") -> tuple[bool, int]:
    async with api.db.at_once() as conn:
        found = await slots.get(conn, slot_id)
    assert found is not None
    return found.is_active, found.version


async def test_a_slot_is_switched_off_and_on_again(api: Api, http: httpx.AsyncClient) -> None:
    assert toast(await switch(http, api, version="1", is_active="0")) == {
        "text": "Слот «Slot 1 (Gemini)» выключен",
        "kind": "ok",
    }
    assert await stands(api) == (False, 2)
    photo = await http.post(f"{api.url}/ingest/slot-001", data={"password": "x"})
    assert photo.json()["failure_reason"] == "slot_disabled"
    row = row_of((await page(http, api, "/")).text, "slot-001")
    assert "Выключен" in row
    assert "Включить «Slot 1 (Gemini)»?" in row
    assert "/public/slots/slot-001" in row, "guests keep their gallery"
    assert toast(await switch(http, api, version="2", is_active="1"))["text"] == "Слот «Slot 1 (Gemini)» включён"
    assert await stands(api) == (True, 3)
    async with api.db.begin() as conn:
        lines = (await conn.execute(select(processing_log.c.actor).where(processing_log.c.job_id.is_(None)))).all()
    assert [actor for (actor,) in lines] == ["serg", "serg"]


async def test_who_sees_an_older_version_switches_nothing(api: Api, http: httpx.AsyncClient) -> None:
    await switch(http, api, version="1", is_active="0", account="igor")
    told = toast(await switch(http, api, version="1", is_active="0"))
    assert told["kind"] == "danger"
    assert "igor тем временем изменил(а) «Slot 1 (Gemini)» (только что)" in told["text"]
    assert await stands(api) == (False, 2)


async def test_a_broken_slot_can_be_switched_off_but_not_on(api: Api, http: httpx.AsyncClient) -> None:
    async with api.db.begin() as conn:
        await conn.execute(text("UPDATE slot SET settings = '{}' WHERE slot_id = 'slot-001'"))
    assert toast(await switch(http, api, version="1", is_active="0"))["kind"] == "ok"
    told = toast(await switch(http, api, version="2", is_active="1"))
    assert (told["kind"], "сначала проверьте его настройки" in told["text"]) == ("danger", True)
    assert await stands(api) == (False, 2)


@pytest.mark.parametrize(
    "fields",
    [{}, {"version": "1"}, {"is_active": "0"}, {"version": "x", "is_active": "0"}, {"version": "1", "is_active": "2"}],
)
async def test_a_switch_that_says_too_little_is_refused(
    api: Api, http: httpx.AsyncClient, fields: dict[str, str]
) -> None:
    assert (await switch(http, api, **fields)).status_code == 400
    assert await stands(api) == (True, 1)


async def test_a_switch_needs_a_slot_and_a_page_of_ours(api: Api, http: httpx.AsyncClient) -> None:
    assert (await switch(http, api, slot_id="slot-016", version="1", is_active="0")).status_code == 404
    bare = {**HTMX, **await browser(api, csrf=False)}
    answer = await http.post(f"{api.url}/slots/slot-001/switch", data={"version": "1", "is_active": "0"}, headers=bare)
    assert answer.status_code == 403
    assert await stands(api) == (True, 1)
