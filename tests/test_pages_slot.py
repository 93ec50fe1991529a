"""A slot's page over HTTP: the form is saved as the API would save it, and says in words what is wrong."""

import json
import re

import httpx
import pytest
from sqlalchemy import text

from tests.administrators import browser
from tests.serving import Api
from tests.slot_page import FORM, saved, send

pytestmark = pytest.mark.anyio


async def test_the_form_is_saved_with_the_schemas_types(api: Api, http: httpx.AsyncClient) -> None:
    answer = await send(http, api, "", FORM)
    assert answer.status_code == 200
    assert json.loads(answer.headers["hx-trigger"]) == {"toast": {"text": "Сохранено"}}
    now = await saved(api)
    assert (now.display_name, now.is_active, now.size_limit_mb, now.sync_response_seconds) == (
        "Свадьба",
        True,
        12,
        None,
    )
    assert now.settings == {"prompt": "Акварель.\nЛица не менять.", "size": "2K", "retries": 2}
    assert now.version == 2
    assert 'name="version" value="2"' in answer.text
    assert "Прежние версии" in answer.text


async def test_what_is_not_ticked_is_off(api: Api, http: httpx.AsyncClient) -> None:
    await send(http, api, "", {name: value for name, value in FORM.items() if name != "is_active"})
    now = await saved(api)
    assert not now.is_active
    assert "repeat_interrupted" not in now.settings


@pytest.mark.parametrize(
    ("change", "place", "said"),
    [
        ({"settings.retries": "9"}, "settings.retries", "Целое число от 0 до 3"),
        ({"settings.retries": "много"}, "settings.retries", "Целое число от 0 до 3"),
        ({"settings.prompt": " "}, "settings.prompt", "Нужно заполнить"),
        ({"settings.size": "8K"}, "settings.size", "Одно из: 1K, 2K, 4K"),
        ({"display_name": ""}, "display_name", "Нужно заполнить"),
        ({"size_limit_mb": "21"}, "size_limit_mb", "Целое число от 1 до 20"),
        ({"sync_response_seconds": "61"}, "sync_response_seconds", "Целое число от 10 до 60"),
        ({"operation": "nothing"}, "operation", "Провайдер этого не умеет"),
        ({"provider": "<b>"}, "provider", "Такого провайдера нет"),
        ({"provider": "turbotext", "operation": "style_transfer"}, "template_media.style", "Здесь нужна картинка"),
    ],
)
async def test_what_is_wrong_stands_at_its_field_and_nothing_is_saved(
    api: Api, http: httpx.AsyncClient, change: dict[str, str], place: str, said: str
) -> None:
    answer = await send(http, api, "", {**FORM, **change})
    assert answer.status_code == 200
    (found,) = re.findall(rf'id="wrong-{re.escape(place)}">.*?</svg>([^<]*)<', answer.text)
    assert said in found
    assert "Не сохранено" in answer.text
    assert "hx-trigger" not in answer.headers
    assert (await saved(api)).version == 1
    assert "<b>" not in answer.text
    checked = await send(http, api, "/form?check=1", {**FORM, **change})
    assert said in checked.text


async def test_of_two_editors_the_second_is_told_who_was_first_and_keeps_the_text(
    api: Api, http: httpx.AsyncClient
) -> None:
    await send(http, api, "", {**FORM, "display_name": "От Игоря"}, **await browser(api, account="igor"))
    answer = await send(http, api, "", {**FORM, "display_name": "От Сергея"})
    assert "igor уже сохранил(а) версию 2" in answer.text
    assert "У вас иначе: «Название»." in answer.text
    assert 'value="От Сергея"' in answer.text
    assert 'name="version" value="1"' in answer.text
    assert (await saved(api)).display_name == "От Игоря"
    assert 'hx-vals=\'{"version": "2"}\'' in answer.text
    over = await send(http, api, "", {**FORM, "version": "2", "display_name": "От Сергея"})
    assert "Сохранено" in json.loads(over.headers["hx-trigger"])["toast"]["text"]
    now = await saved(api)
    assert (now.display_name, now.version, now.updated_by) == ("От Сергея", 3, "serg")
    assert "изменено: «Название»" in over.text


async def test_another_provider_shows_its_own_fields_and_saves_nothing(api: Api, http: httpx.AsyncClient) -> None:
    form = {**FORM, "provider": "turbotext", "operation": "image_edit", "fallback.on": "1"}
    answer = await send(http, api, "/form", form)
    assert 'name="settings.strength"' in answer.text
    assert '<select name="settings.size"' not in answer.text
    assert "Лица не менять." in answer.text, "what both know stays"
    assert (await saved(api)).version == 1
    style = await send(http, api, "/form", {**FORM, "provider": "turbotext", "operation": "style_transfer"})
    assert 'name="template_media.style"' in style.text
    unknown = await send(http, api, "/form", {"provider": "x", "operation": "y"})
    assert unknown.status_code == 200


@pytest.mark.parametrize("prefix", ["", "fallback."])
async def test_that_a_call_may_be_paid_for_twice_is_asked_anew_for_another_provider(
    api: Api, http: httpx.AsyncClient, prefix: str
) -> None:
    agreed = f"{prefix}settings.repeat_interrupted"
    form = {**FORM, "fallback.on": "1", "fallback.provider": "openai", "fallback.operation": "edit", agreed: "1"}
    form |= {f"{prefix}provider": "turbotext", f"{prefix}operation": "image_edit"}
    ticked = re.compile(rf'name="{re.escape(agreed)}" value="1" checked')
    chosen = await send(http, api, "/form", form, **{"HX-Trigger-Name": f"{prefix}provider"})
    assert f'name="{agreed}"' in chosen.text
    assert not ticked.search(chosen.text)
    other_change = await send(http, api, "/form", form, **{"HX-Trigger-Name": f"{prefix}operation"})
    assert ticked.search(other_change.text)


async def test_what_was_typed_for_another_operation_is_there_on_the_way_back(api: Api, http: httpx.AsyncClient) -> None:
    style = {**FORM, "provider": "turbotext", "operation": "identity_transfer"}
    away = (await send(http, api, "/form", style)).text
    assert "<textarea" not in away
    hidden = dict(re.findall(r'<input type="hidden" name="(settings\.[a-z_]+)" value="([^"]*)"', away))
    assert (hidden["settings.prompt"], hidden["settings.size"]) == ("Акварель.\r\nЛица не менять.", "2K")
    back = (await send(http, api, "/form", {**FORM, **hidden})).text
    assert "Лица не менять.</textarea>" in back
    assert '<option value="2K" selected>' in back
    other = (await send(http, api, "/form", {**style, **hidden, "provider": "gemini"})).text
    assert "Лица не менять.</textarea>" in other, "a provider that has no such operation"
    evil = {**style, "settings.prompt": '"><script>', "settings.<b>": "<i>", "fallback.settings.seed": "1"}
    shown = (await send(http, api, "/form", evil)).text
    assert "<script>" not in shown
    assert "<b>" not in shown
    picture = {"template_media.face": "0" * 32}
    refused = (await send(http, api, "", {**style, **picture})).text
    assert 'type="hidden" name="settings.prompt"' in refused, "nor is it lost when a save is refused"


async def test_a_second_picture_is_a_switch_between_operations(api: Api, http: httpx.AsyncClient) -> None:
    def toggle(shown: str) -> str:
        (found,) = re.findall(r'<input type="checkbox" id="second-picture"[^>]*>', shown)
        return str(found)

    without = (await send(http, api, "/form", {**FORM, "provider": "turbotext", "operation": "image_edit"})).text
    assert '{"operation": "style_transfer"}' in toggle(without)
    assert "checked" not in toggle(without)
    assert "data-drop-file" not in without
    of_it = (await send(http, api, "/form", {**FORM, "provider": "turbotext", "operation": "style_transfer"})).text
    assert '{"operation": "image_edit"}' in toggle(of_it)
    assert "checked" in toggle(of_it)
    assert 'name="template_media.style_status" value="none"' in of_it
    assert "second-picture" not in (await send(http, api, "/form", FORM)).text, "Gemini takes none"


async def test_an_earlier_version_comes_back(api: Api, http: httpx.AsyncClient) -> None:
    before = (await saved(api)).settings
    await send(http, api, "", FORM)
    answer = await send(http, api, "/restore", {"wanted": "1", "version": "2"})
    assert "Версия 1 восстановлена" in json.loads(answer.headers["hx-trigger"])["toast"]["text"]
    now = await saved(api)
    assert (now.settings, now.version) == (before, 3)
    stale = await send(http, api, "/restore", {"wanted": "1", "version": "2"})
    assert "уже сохранил(а) версию 3" in stale.text
    assert (await send(http, api, "/restore", {"wanted": "x", "version": "3"})).status_code == 400


async def test_an_own_password_is_set_and_taken_away_and_never_shown(api: Api, http: httpx.AsyncClient) -> None:
    answer = await send(http, api, "", {**FORM, "ingest_password": "geheim-geheim"})
    assert (await saved(api)).ingest_password_hash is not None
    assert "geheim" not in answer.text
    short = await send(http, api, "", {**FORM, "version": "2", "ingest_password": "kurz"})
    assert "Не меньше 8 символов" in short.text
    assert '<details class="more" id="more-limits" open>' in short.text, "where the mistake is"
    assert "kurz" not in short.text
    await send(http, api, "", {**FORM, "version": "2", "ingest_password_off": "1"})
    assert (await saved(api)).ingest_password_hash is None


async def test_the_payload_of_a_test_is_what_the_api_takes(api: Api, http: httpx.AsyncClient) -> None:
    answer = await send(http, api, "/payload", {**FORM, "ingest_password": "geheim-geheim"})
    body = answer.json()
    assert body["settings"] == {"prompt": "Акварель.\nЛица не менять.", "size": "2K", "retries": 2}
    assert (body["size_limit_mb"], body["sync_response_seconds"], body["fallback"]) == (12, None, None)
    assert "ingest_password" not in body


async def test_a_form_needs_its_token(api: Api, http: httpx.AsyncClient) -> None:
    headers = await browser(api, csrf=False)
    for path in ("", "/form", "/payload", "/restore", "/copy"):
        answer = await http.post(f"{api.url}/slots/slot-001{path}", data=FORM, headers={**headers, "Accept": "*/*"})
        assert answer.json()["failure_reason"] == "forbidden"
    assert (await saved(api)).version == 1


async def test_unknown_slots_have_no_form(api: Api, http: httpx.AsyncClient) -> None:
    headers = {**await browser(api), "Accept": "text/html"}
    for name in ("slot-016", "x", "slot-001x"):
        assert (await http.get(f"{api.url}/slots/{name}", headers=headers)).status_code == 404


async def test_settings_of_another_time_are_shown_though_they_are_wrong(api: Api, http: httpx.AsyncClient) -> None:
    async with api.db.begin() as conn:
        await conn.execute(text("UPDATE slot SET settings = '{\"model\": \"gone\"}', operation = 'unknown'"))
    headers = {**await browser(api), "Accept": "text/html"}
    assert (await http.get(f"{api.url}/slots/slot-001", headers=headers)).status_code == 200


# --- the same for another slot
