"""The pages over HTTP: who gets a page and who gets data, languages, what is escaped, and what trouble looks like."""

import re
from datetime import timedelta

import httpx
import pytest
from markupsafe import escape
from sqlalchemy import func, text, update

from photochanger.errors import Failure
from photochanger.tables import job, slot
from tests.people import CHROME, FIREFOX, HTMX, IMG, JAVA, PERSON, page
from tests.results import finished_job, queued_job
from tests.serving import Api
from tests.studio import afternoon, failing

pytestmark = pytest.mark.anyio


# --- one address for people and programs


@pytest.mark.parametrize("accept", [CHROME, FIREFOX])
async def test_a_guests_browser_gets_a_page_around_the_picture(api: Api, http: httpx.AsyncClient, accept: str) -> None:
    job_id, _ = await finished_job(api)
    answer = await http.get(f"{api.url}/public/results/{job_id}", headers={**PERSON, "Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "accept" in answer.headers["vary"].lower()
    assert "Ваше фото готово" in answer.text
    assert f'src="/public/results/{job_id}?inline=1"' in answer.text
    assert "ещё 3 дня" in answer.text
    assert "<svg" in answer.text
    assert "gemini" not in answer.text.lower()
    assert "slot-0" not in answer.text


@pytest.mark.parametrize(
    ("accept", "query"),
    [("*/*", ""), (IMG, ""), (JAVA, ""), ("image/jpeg", ""), ("", ""), (CHROME, "?inline=1"), (CHROME, "?download=1")],
)
async def test_everything_else_gets_the_picture(api: Api, http: httpx.AsyncClient, accept: str, query: str) -> None:
    job_id, picture = await finished_job(api)
    answer = await http.get(f"{api.url}/public/results/{job_id}{query}", headers={"Accept": accept})
    assert (answer.status_code, answer.content) == (200, picture)
    assert answer.headers["vary"] == "Accept"
    assert "sandbox" in answer.headers["content-security-policy"]
    kind = "inline" if "inline" in query else "attachment"
    assert answer.headers["content-disposition"].startswith(kind)


async def test_a_page_waits_for_a_photo_in_work_and_then_shows_it(api: Api, http: httpx.AsyncClient) -> None:
    job_id = await queued_job(api)
    url = f"{api.url}/public/results/{job_id}"
    waiting = await http.get(url, headers=PERSON)
    assert (waiting.status_code, "Почти готово" in waiting.text) == (200, True)
    assert "data-poll-seconds" in waiting.text
    assert (await http.get(url)).json()["failure_reason"] == "result_not_found"
    ready, _ = await finished_job(api)
    part = await http.get(f"{api.url}/public/results/{ready}", headers={**PERSON, **HTMX})
    assert "<html" not in part.text
    assert "Ваше фото готово" in part.text
    assert "data-poll-seconds" not in part.text


async def test_a_photo_that_failed_says_so_kindly(api: Api, http: httpx.AsyncClient) -> None:
    job_id = await failing(api, "slot-001", Failure.CONTENT_BLOCKED)
    answer = await http.get(f"{api.url}/public/results/{job_id}", headers=PERSON)
    assert (answer.status_code, "Не получилось" in answer.text) == (404, True)
    part = await http.get(f"{api.url}/public/results/{job_id}", headers={**PERSON, **HTMX})
    assert (part.status_code, "Не получилось" in part.text) == (200, True), "htmx lays no 404 over the page"


async def test_an_expired_and_an_unknown_photo_have_their_pages(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await finished_job(api)
    async with api.db.begin() as conn:
        await conn.execute(update(job).values(result_expires_at=func.now() - timedelta(seconds=1)))
    gone = await http.get(f"{api.url}/public/results/{job_id}", headers=PERSON)
    assert (gone.status_code, "уже не хранится" in gone.text) == (410, True)
    for unknown in ("0" * 32, "x", "A" * 32):
        answer = await http.get(f"{api.url}/public/results/{unknown}", headers=PERSON)
        assert (answer.status_code, "Такого фото нет" in answer.text) == (404, True)


async def test_a_gallery_shows_the_latest_photos_of_its_slot_alone(api: Api, http: httpx.AsyncClient) -> None:
    told = await afternoon(api)
    answer = await http.get(f"{api.url}/public/slots/slot-001", headers=PERSON)
    assert answer.status_code == 200
    shown = re.findall(r'src="/public/results/([0-9a-f]{32})/preview"', answer.text)
    assert len(shown) == 10
    assert shown[0] == told.done
    assert "Свадьба — акварель" in answer.text
    other = await http.get(f"{api.url}/public/slots/slot-008", headers=PERSON)
    assert "Пока нет фото" in other.text, "its only photo has expired"


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/public/slots/slot-099", 404, "Здесь ничего нет"),
        ("/nothing", 404, "Здесь ничего нет"),
    ],
)
async def test_what_is_missing_has_a_page_for_people_and_json_for_programs(
    api: Api, http: httpx.AsyncClient, path: str, status: int, said: str
) -> None:
    answer = await http.get(api.url + path, headers=PERSON)
    assert (answer.status_code, said in answer.text) == (status, True)
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    program = await http.get(api.url + path, headers={"Accept": "application/json, text/html"})
    assert program.json()["status"] == "error"


async def test_paths_of_programs_never_answer_with_a_page(api: Api, http: httpx.AsyncClient) -> None:
    for path in ("/api/jobs/x", "/api/nothing", "/ingest/slot-001"):
        assert (await http.get(api.url + path, headers=PERSON)).json()["status"] == "error"
    form = await http.post(f"{api.url}/ingest/slot-001", data={"password": "x"}, headers=PERSON)
    assert form.json()["failure_reason"] == "invalid_request"


async def test_an_absent_database_has_a_page_too(api: Api, http: httpx.AsyncClient) -> None:
    async with api.db.begin() as conn:
        await conn.execute(text("ALTER TABLE job RENAME TO job_away"))
    broken = await http.get(f"{api.url}/public/results/{'0' * 32}", headers=PERSON)
    assert (broken.status_code, "сломалось" in broken.text) == (500, True)
    assert "Traceback" not in broken.text
    await api.services.db.__aexit__(None, None, None)
    away = await http.get(f"{api.url}/public/results/{'0' * 32}", headers=PERSON)
    assert (away.status_code, "Короткий перерыв" in away.text) == (503, True)
    assert away.headers["retry-after"] == "2"


# --- languages, themes


@pytest.mark.parametrize(
    ("query", "cookie", "accept", "language"),
    [
        ("", "", "", "ru"),
        ("", "", "en-US,en;q=0.9", "en"),
        ("", "", "de-DE,de;q=0.9", "ru"),
        ("", "", "de, en;q=0.5, ru;q=0.4", "en"),
        ("", "", "en;q=nonsense, en;q=7", "ru"),
        ("", "en", "ru", "en"),
        ("", "xx", "ru", "ru"),
        ("?lang=en", "ru", "ru", "en"),
        ("?lang=<script>", "", "", "ru"),
    ],
)
async def test_a_page_comes_in_the_language_that_is_wanted(
    api: Api, http: httpx.AsyncClient, query: str, cookie: str, accept: str, language: str
) -> None:
    headers = {"Accept": CHROME, "Accept-Language": accept, "Cookie": f"photochanger_language={cookie}"}
    answer = await http.get(f"{api.url}/login{query}", headers=headers)
    assert f'<html lang="{language}"' in answer.text
    assert ("Привет!" in answer.text) == (language == "ru")
    assert ("set-cookie" in answer.headers) == (query == "?lang=en")


@pytest.mark.parametrize(("cookie", "drawn"), [("dark", 'data-theme="dark"'), ("light", 'data-theme="light"')])
async def test_the_server_draws_the_chosen_theme(api: Api, http: httpx.AsyncClient, cookie: str, drawn: str) -> None:
    headers = {**PERSON, "Cookie": f"photochanger_theme={cookie}"}
    assert drawn in (await http.get(f"{api.url}/login", headers=headers)).text
    nonsense = {**PERSON, "Cookie": 'photochanger_theme="><script>; photochanger_zone=../../etc/passwd'}
    assert "data-theme=" not in (await http.get(f"{api.url}/login", headers=nonsense)).text


# --- what people type


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "{{7*7}}",
        "%(count)s %s",
        "' onmouseover='alert(1)",
        "\u202eслот",
        "</title><svg onload=alert(1)>",
    ],
)
async def test_a_slots_name_is_text_wherever_it_stands(api: Api, http: httpx.AsyncClient, name: str) -> None:
    async with api.db.begin() as conn:
        await conn.execute(update(slot).where(slot.c.slot_id == "slot-001").values(display_name=name))
    for path in ("/", "/public/slots/slot-001", "/console/slots/slot-001/code"):
        shown = (await page(http, api, path)).text
        assert "<script>alert" not in shown
        assert "<img src=x" not in shown
        assert "<svg onload" not in shown
        assert "' onmouseover='" not in shown
        assert str(escape(name)) in shown
