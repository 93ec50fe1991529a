"""The settings page: all of a form or nothing, nobody's work overwritten unseen, secrets shown once or never."""

import json
import re
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from photochanger import app_settings, audit, provider_checks, purges, secret_store, sessions
from photochanger.app_settings import AppSettings
from photochanger.errors import Failure
from photochanger.providers import Providers
from tests.administrators import browser as cookies
from tests.serving import Api, serve_api, settings_for

pytestmark = pytest.mark.anyio

HTMX = {"HX-Request": "true", "Accept": "*/*", "Accept-Language": "ru"}
GEMINI = "provider_limits.gemini."
BUDGET = "providers.budgets.gemini."


@pytest.fixture
async def api(database_url, tmp_path, known_providers: Providers, anyio_backend: str):  # type: ignore[no-untyped-def]
    settings = settings_for(tmp_path, database_url, GEMINI_API_KEY="from-the-environment-7890")
    async with serve_api(settings, known_providers, database_url) as api:
        yield api


async def send(
    http: httpx.AsyncClient, api: Api, path: str, form: dict[str, str], *, account: str = "serg"
) -> httpx.Response:
    headers = {**HTMX, **await cookies(api, account=account)}
    return await http.post(f"{api.url}/settings{path}", data=form, headers=headers)


async def save(http: httpx.AsyncClient, api: Api, form: str, fields: dict[str, tuple[str, str]]) -> httpx.Response:
    """A form whose fields were shown as the first text and read the second now."""
    was = {f"was.{name}": shown for name, (shown, _) in fields.items()}
    return await send(http, api, "", {"form": form, **was, **{name: typed for name, (_, typed) in fields.items()}})


async def shown(http: httpx.AsyncClient, api: Api, path: str = "", *, language: str = "ru") -> str:
    kind = {**HTMX, "Accept-Language": language} if path else {"Accept": "text/html", "Accept-Language": language}
    answer = await http.get(f"{api.url}/settings{path}", headers={**kind, **await cookies(api)})
    assert answer.status_code == 200
    return answer.text


async def now(api: Api) -> AppSettings:
    async with api.db.begin() as conn:
        return await app_settings.load(conn, result_ttl_hours=72)


async def told(api: Api) -> list[tuple[str, dict[str, Any]]]:
    async with api.db.begin() as conn:
        return [(line.event, dict(line.details)) for line in await audit.latest(conn)]


def toast(answer: httpx.Response) -> str:
    found: str = json.loads(answer.headers["hx-trigger"])["toast"]["text"]
    return found


async def test_the_page_shows_all_that_the_api_has(api: Api, http: httpx.AsyncClient) -> None:
    page = await shown(http, api)
    for name in (
        *("sync_response_seconds", "result_ttl_hours", "ingest.hash_check", "photos_in_work_per_slot", "gallery_size"),
        *("ingest_password_grace_minutes", "ingest_password", "key", f"{BUDGET}usd_per_month", f"{BUDGET}stop"),
        *(f"{GEMINI}{limit}" for limit in ("in_flight", "per_minute", "per_day")),
    ):
        assert f'name="{name}"' in page, name
    for said in ("из окружения сервера", "…7890", "Очистить мультимедиа кеш", "Кто что менял", "сколько стоят"):
        assert said in page
    assert "from-the-environment" not in page


async def test_a_form_is_saved_as_a_whole_or_not_at_all(api: Api, http: httpx.AsyncClient) -> None:
    answer = await save(http, api, "photos", {"gallery_size": ("10", "20"), "result_ttl_hours": ("72", "24")})
    assert toast(answer) == "Сохранено"
    assert 'id="photos-form"' in answer.text
    assert 'id="deadline-form"' not in answer.text, "what is typed in other forms stays"
    found = await now(api)
    assert (found.gallery_size, found.result_ttl_hours) == (20, 24)
    wrong = await save(http, api, "photos", {"gallery_size": ("20", "51"), "result_ttl_hours": ("24", "5")})
    assert 'id="wrong-gallery_size"' in wrong.text
    assert "Целое число от 1 до 50" in wrong.text
    assert 'name="result_ttl_hours" value="5"' in wrong.text, "what was typed stays"
    assert (await now(api)).result_ttl_hours == 24


@pytest.mark.parametrize("typed", ["9", "61", "48.5", "48,0", "", "много", "1e9", "1000000000", "NaN", "-48", "true"])
async def test_a_deadline_that_cannot_be_is_told_at_its_field(api: Api, http: httpx.AsyncClient, typed: str) -> None:
    answer = await save(http, api, "deadline", {"sync_response_seconds": ("48", typed)})
    assert 'id="wrong-sync_response_seconds"' in answer.text
    assert "Целое число от 10 до 60" in answer.text
    assert "hx-trigger" not in answer.headers
    assert ((await now(api)).sync_response_seconds, await told(api)) == (48, [])


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        (f"{GEMINI}in_flight", "0", "Целое число от 1 до 1000000"),
        (f"{GEMINI}per_day", "2.5", "Целое число от 1 до 1000000"),
        (f"{BUDGET}usd_per_month", "0", "Число больше 0 и до 1000000"),
        (f"{BUDGET}usd_per_month", "-5", "Число больше 0 и до 1000000"),
        (f"{BUDGET}usd_per_month", "NaN", "Число больше 0 и до 1000000"),
        (f"{BUDGET}usd_per_month", "1e9", "Число больше 0 и до 1000000"),
        (f"{BUDGET}usd_per_month", "много", "Число больше 0 и до 1000000"),
    ],
)
async def test_limits_and_budgets_that_cannot_be_are_told_at_their_fields(
    api: Api, http: httpx.AsyncClient, field: str, typed: str, said: str
) -> None:
    other = f"{GEMINI}per_minute"
    answer = await save(http, api, "limits-gemini", {field: ("", typed), other: ("", "30")})
    assert f'id="wrong-{field}"' in answer.text
    assert said in answer.text
    found = await now(api)
    assert (found.provider_limits, found.provider_budgets) == ({}, {})


async def test_limits_and_a_budget_are_set_and_taken_back(api: Api, http: httpx.AsyncClient) -> None:
    usd, stop, calls = f"{BUDGET}usd_per_month", f"{BUDGET}stop", f"{GEMINI}in_flight"
    answer = await save(http, api, "limits-gemini", {usd: ("", "12,5"), stop: ("", "1"), calls: ("", "7")})
    assert toast(answer) == "Сохранено"
    assert "потрачено 0,00\xa0$ из 12,50\xa0$" in answer.text
    found = await now(api)
    assert found.provider_budgets == {"gemini": {"usd_per_month": 12.5, "stop": True}}
    assert found.provider_limits == {"gemini": {"in_flight": 7}}
    # A switch that is off sends nothing but what it was.
    await send(http, api, "", {"form": "limits-gemini", f"was.{stop}": "1", f"was.{usd}": "12.5", usd: "12.5"})
    assert (await now(api)).provider_budgets == {"gemini": {"usd_per_month": 12.5, "stop": False}}
    await save(http, api, "limits-gemini", {usd: ("12.5", ""), calls: ("7", "")})
    found = await now(api)
    assert (found.provider_budgets, found.provider_limits) == ({}, {})


async def test_a_stop_without_a_budget_asks_for_one(api: Api, http: httpx.AsyncClient) -> None:
    usd, stop = f"{BUDGET}usd_per_month", f"{BUDGET}stop"
    answer = await save(http, api, "limits-gemini", {usd: ("", ""), stop: ("", "1")})
    assert f'id="wrong-{usd}"' in answer.text
    assert f'name="{stop}" value="1" checked' in answer.text
    assert (await now(api)).provider_budgets == {}


async def test_the_budget_of_another_provider_is_left_alone(api: Api, http: httpx.AsyncClient) -> None:
    openai = "providers.budgets.openai.usd_per_month"
    await save(http, api, "limits-openai", {openai: ("", "5")})
    await save(http, api, "limits-gemini", {f"{BUDGET}usd_per_month": ("", "10")})
    assert set((await now(api)).provider_budgets) == {"gemini", "openai"}


async def test_of_two_who_change_the_same_field_the_second_is_told(api: Api, http: httpx.AsyncClient) -> None:
    form = {"form": "deadline", "was.sync_response_seconds": "48", "sync_response_seconds": "40"}
    await send(http, api, "", form, account="igor")
    late = await send(http, api, "", {**form, "sync_response_seconds": "55"})
    assert "igor тем временем уже изменил(а) это на «40»" in late.text
    assert 'name="was.sync_response_seconds" value="40"' in late.text
    assert (
        'name="sync_response_seconds" min="10" max="60" step="1" required inputmode="numeric" value="55"' in late.text
    )
    assert (await now(api)).sync_response_seconds == 40
    again = await send(http, api, "", {**form, "was.sync_response_seconds": "40", "sync_response_seconds": "55"})
    assert toast(again) == "Сохранено"
    assert (await now(api)).sync_response_seconds == 55


async def test_who_has_not_touched_a_field_does_not_take_it_back(api: Api, http: httpx.AsyncClient) -> None:
    await save(http, api, "photos", {"gallery_size": ("10", "30")})
    answer = await save(http, api, "photos", {"gallery_size": ("10", "10"), "photos_in_work_per_slot": ("3", "5")})
    assert toast(answer) == "Сохранено"
    found = await now(api)
    assert (found.gallery_size, found.photos_in_work_per_slot) == (30, 5)
    assert 'name="gallery_size" value="30"' in answer.text


async def test_a_generated_password_is_shown_once(api: Api, http: httpx.AsyncClient) -> None:
    before = await now(api)
    form = {"generate": "1", "ingest_password_grace_minutes": "90"}
    answer = await send(http, api, "/password", {**form, "was.rotated_at": str(before.ingest_password_rotated_at)})
    (made,) = re.findall(r'id="made-password">.*?class="copied-path">([^<]+)<', answer.text)
    assert "показан только сейчас" in answer.text
    assert re.search(r"Старый ещё действует, до <time[^>]+>\d\d:\d\d</time> \(<time[^>]+>через", answer.text)
    after = await now(api)
    assert after.ingest_password_hash not in {before.ingest_password_hash, None}
    assert (after.ingest_password_rotated_by, after.ingest_password_grace_minutes) == ("serg", 90)
    assert made not in await shown(http, api)
    late = await send(
        http, api, "/password", {**form, "was.rotated_at": str(before.ingest_password_rotated_at)}, account="igor"
    )
    assert "serg тем временем уже задал(а) новый пароль" in late.text
    assert (await now(api)).ingest_password_hash == after.ingest_password_hash


@pytest.mark.parametrize(
    ("form", "field", "said"),
    [
        ({"ingest_password": "kurz"}, "ingest_password", "Не меньше 8 символов"),
        ({"ingest_password": ""}, "ingest_password", "Не меньше 8 символов"),
        ({"ingest_password": "geheim-geheim", "ingest_password_grace_minutes": "1441"}, "grace", "от 0 до 1440"),
        ({"generate": "1", "ingest_password_grace_minutes": "скоро"}, "grace", "от 0 до 1440"),
    ],
)
async def test_a_password_that_cannot_be_changes_nothing_and_is_never_shown(
    api: Api, http: httpx.AsyncClient, form: dict[str, str], field: str, said: str
) -> None:
    before = await now(api)
    was = {"ingest_password_grace_minutes": "60", "was.rotated_at": str(before.ingest_password_rotated_at)}
    answer = await send(http, api, "/password", {**was, **form})
    assert re.search(rf'id="wrong-[a-z_]*{field}', answer.text)
    assert said in answer.text
    assert "geheim" not in answer.text
    assert await now(api) == before


async def test_a_key_is_stored_checked_and_removed(api: Api, http: httpx.AsyncClient) -> None:
    answer = await send(http, api, "/keys/gemini", {"key": " a-key-of-gemini-1234 "})
    assert (toast(answer), "…1234" in answer.text) == ("Ключ сохранён", True)
    assert "a-key-of-gemini" not in answer.text
    asked = await send(http, api, "/keys/gemini/check", {})
    assert toast(asked) == "Обработчик спрашивает провайдера"
    assert "проверяется" in asked.text
    spaced = await send(http, api, "/keys/gemini", {"key": "with a\nnewline in it"})
    assert "Обычные символы без пробелов" in spaced.text
    assert "newline" not in spaced.text
    removed = await send(http, api, "/keys/gemini", {"remove": "1"})
    assert "…7890" in removed.text, "the environment's counts again"
    async with api.db.at_once() as conn:
        assert await secret_store.stored(conn) == {}
    assert (await send(http, api, "/keys/nobody", {"key": "a-key-of-gemini-1234"})).status_code == 404


@pytest.mark.parametrize(
    ("failure", "reason", "pill", "said"),
    [
        (None, "", "работает", "Провайдер принимает ключ"),
        (Failure.PROVIDER_AUTH, "API key not valid", "не принят", "Скопируйте ключ заново"),
        (Failure.NETWORK, "connection refused", "неясно", "есть ли у сервера интернет"),
        (Failure.QUOTA, "billing limit", "исчерпан", "Посмотрите остаток"),
    ],
)
async def test_what_a_check_has_found_is_said_in_words(
    api: Api, http: httpx.AsyncClient, failure: Failure | None, reason: str, pill: str, said: str
) -> None:
    async with api.db.begin() as conn:
        await provider_checks.request(conn, "gemini")
        (taken,) = await provider_checks.take_due(conn, configured=["gemini"])
        sentence = provider_checks.sentence_of(failure, reason)
        await provider_checks.record(conn, taken, good=failure is None, sentence=sentence)
    page = await shown(http, api, "/news")
    assert pill in page
    assert said in page
    assert failure is None or failure.sentence not in page
    assert not reason or f"{reason[:1].upper()}{reason[1:]}</q>" in page


async def test_a_check_that_nobody_makes_says_so(api: Api, http: httpx.AsyncClient) -> None:
    async with api.db.begin() as conn:
        await provider_checks.request(conn, "gemini")
        await conn.execute(text("UPDATE provider_check SET requested_at = now() - interval '1 minute'"))
    assert "ни один обработчик не работает" in await shown(http, api, "/news")


async def test_while_simulators_stand_in_the_page_says_so(
    database_url: str, tmp_path: Any, known_providers: Providers, http: httpx.AsyncClient
) -> None:
    settings = settings_for(tmp_path, database_url, SIMULATORS_URL="http://127.0.0.1:8090")
    async with serve_api(settings, known_providers, database_url) as api:
        page = await shown(http, api)
        assert "вместо провайдеров отвечают имитаторы" in page
        assert "окружения" not in page
        answer = await send(http, api, "/keys/gemini", {"key": "a-key-of-gemini-1234"})
        assert "имитаторы" not in re.sub(r'data-confirm-text="[^"]*"', "", answer.text)
        assert "снова будут отвечать имитаторы" in answer.text, "what becomes of it when the key is removed"


async def test_without_a_secrets_key_no_key_can_be_typed(
    database_url: str, tmp_path: Any, known_providers: Providers, http: httpx.AsyncClient
) -> None:
    settings = settings_for(tmp_path, database_url, SECRETS_KEY="")
    async with serve_api(settings, known_providers, database_url) as api:
        page = await shown(http, api)
        assert "у сервера нет SECRETS_KEY" in page
        assert 'name="key"' not in page
        answer = await send(http, api, "/keys/gemini", {"key": "a-key-of-gemini-1234"})
        assert "У сервера нет SECRETS_KEY" in answer.text


async def test_a_cleanup_is_asked_for_and_what_went_is_said(api: Api, http: httpx.AsyncClient) -> None:
    answer = await send(http, api, "/purge", {})
    assert toast(answer) == "Очистка запланирована: будут удалены только устаревшие результаты"
    assert "Идёт очистка" in answer.text
    async with api.db.begin() as conn:
        (waiting,) = await purges.waiting(conn)
        await conn.execute(text("UPDATE purge SET requested_at = now() - interval '2 minutes'"))
    assert "служба очистки не отвечает" in await shown(http, api, f"/news?purge={waiting.purge_id}")
    async with api.db.begin() as conn:
        await purges.finish(conn, waiting.purge_id, files=3, size_bytes=1_500_000)
    headers = {**HTMX, **await cookies(api)}
    done = await http.get(f"{api.url}/settings/news?purge={waiting.purge_id}", headers=headers)
    assert toast(done) == "Очистка закончена. Удалено 3 файла, 1,5\xa0МБ."
    assert "Удалено 3 файла" in done.text
    for nonsense in ("", "x", "999999", "-1", "1" * 30, "٣"):
        answer = await http.get(f"{api.url}/settings/news", params={"purge": nonsense}, headers=headers)
        assert (answer.status_code, "hx-trigger" in answer.headers) == (200, False)


async def test_a_session_is_ended_from_elsewhere(api: Api, http: httpx.AsyncClient) -> None:
    other = await cookies(api, account="igor")
    async with api.db.at_once() as conn:
        (igor,) = await sessions.open_sessions(conn, account="igor")
    answer = await send(http, api, f"/sessions/{igor.public_id}/end", {})
    assert f"session-{igor.public_id}" not in answer.text
    assert (await http.get(f"{api.url}/api/me", headers=other)).status_code == 401
    assert (await send(http, api, "/sessions/xyz/end", {})).status_code == 404


async def test_all_other_sessions_end_at_once(api: Api, http: httpx.AsyncClient) -> None:
    others = [await cookies(api, account=account) for account in ("igor", "serg")]
    mine = await cookies(api)
    answer = await http.post(f"{api.url}/settings/sessions/end-others", data={"x": "1"}, headers={**HTMX, **mine})
    assert toast(answer) == "Все остальные сеансы завершены"
    assert "завершил(а) все остальные сеансы" in answer.text
    for headers, status in ((others[0], 401), (others[1], 401), (mine, 200)):
        assert (await http.get(f"{api.url}/api/me", headers=headers)).status_code == status
    assert await told(api) == [("sessions_ended", {"accounts": ["igor", "serg"]})]


async def test_who_changed_what_is_told_in_words_of_both_languages(api: Api, http: httpx.AsyncClient) -> None:
    await save(http, api, "deadline", {"sync_response_seconds": ("48", "40")})
    await save(http, api, "photos", {"ingest.hash_check": ("reject", "warn"), "result_ttl_hours": ("72", "96")})
    await save(http, api, "limits-gemini", {f"{BUDGET}usd_per_month": ("", "50"), f"{GEMINI}in_flight": ("", "4")})
    async with api.db.begin() as conn:
        changed = ["display_name", "settings.prompt"]
        await audit.record(conn, "slot_saved", actor="igor", slot="slot-001", version=2, changed=changed)
        await audit.record(conn, "auth.login.success", actor="igor", ip="127.0.0.1", kind="cookie")
        await audit.record(conn, "event_of_tomorrow", actor="igor")
    russian, english = await shown(http, api, "/news"), await shown(http, api, "/news", language="en")
    for said in (
        "Ответить за: 48\xa0с → 40\xa0с",
        "Хеш фото: должен совпадать → проверяется, но не мешает",
        "Хранение результатов: 72 ч → 96 ч",
        "Бюджет месяца, Google Gemini: нет → 50,00\xa0$",
        "Одновременно, Google Gemini: по умолчанию → 4",
        "(Название, Промпт)",
        "event_of_tomorrow",
    ):
        assert said in russian, said
    for said in (
        "Answer within: 48\xa0s → 40\xa0s",
        "Results are kept: 72 h → 96 h",
        "none → $50.00",
        "(Title, Prompt)",
    ):
        assert said in english, said
    assert "вошёл" not in russian
    assert re.search(r'<time datetime="[^"]+" title="\d+ \w+ \d{4}', russian)


async def test_changes_need_the_token(api: Api, http: httpx.AsyncClient) -> None:
    headers = {**await cookies(api, csrf=False), "Accept": "*/*"}
    sessions_of = ("/sessions/end-others", f"/sessions/{'0' * 32}/end")
    for path in ("", "/password", "/keys/gemini", "/keys/gemini/check", "/purge", *sessions_of):
        answer = await http.post(f"{api.url}/settings{path}", data={"generate": "1"}, headers=headers)
        assert answer.json()["failure_reason"] == "forbidden", path
