"""What the settings page tells of others: cleanups, sessions, and who changed what."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, insert, text

from photochanger import audit, purges, sessions
from photochanger.providers import Providers
from photochanger.tables import storage_figure
from tests.administrators import browser as cookies
from tests.serving import Api, serve_api, settings_for
from tests.settings_page import BUDGET, GEMINI, HTMX, save, send, shown, toast, told

pytestmark = pytest.mark.anyio


@pytest.fixture
async def api(database_url: str, tmp_path: Path, known_providers: Providers, anyio_backend: str) -> AsyncIterator[Api]:
    settings = settings_for(tmp_path, database_url, GEMINI_API_KEY="from-the-environment-7890")
    async with serve_api(settings, known_providers, database_url) as api:
        yield api


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
        for setting in ("provider_limits.gemini.per_hour", "provider_limits.a.b.c", "provider_limits"):
            await audit.record(conn, "setting_changed", actor="igor", setting=setting, old=None, new=7)
    russian, english = await shown(http, api, "/news"), await shown(http, api, "/news", language="en")
    for said in (
        "Ответить за: 48\xa0с → 40\xa0с",
        "Хеш фото: должен совпадать → проверяется, но не мешает",
        "Хранение результатов: 72 ч → 96 ч",
        "Бюджет месяца, Google Gemini: нет → 50,00\xa0$",
        "Одновременно, Google Gemini: по умолчанию → 4",
        "(Название, Промпт)",
        "event_of_tomorrow",
        "provider_limits.gemini.per_hour: по умолчанию → 7",
        "provider_limits.a.b.c: по умолчанию → 7",
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


async def test_what_storage_takes_says_when_it_was_measured(api: Api, http: httpx.AsyncClient) -> None:
    assert "Ещё не измерено." in await shown(http, api)
    async with api.db.begin() as conn:
        row = {"name": "results", "files": 2, "bytes": 1_500_000}
        row |= {"measured_at": func.now() - text("interval '3 minutes'")}
        await conn.execute(insert(storage_figure).values(row))
    page = await shown(http, api)
    assert "1,5\xa0МБ" in page
    assert re.search(r"Измерено: <time[^>]*>3 мин назад</time>", page)
