"""The log's filters in its address, its pages both ways, and what stands where nothing is found."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import httpx
import pytest
from sqlalchemy import func, text, update

from api.pages.advice import ADVICE, FOR_JOBS
from api.pages.log_filters import id_in
from photochanger.errors import Failure
from photochanger.tables import job
from tests.administrators import browser
from tests.results import finished_job, queued_job
from tests.serving import Api
from tests.studio import afternoon, change, failing, late

pytestmark = pytest.mark.anyio

ID = "3f9c0123456789abcdef0123456789ab"


async def page(http: httpx.AsyncClient, api: Api, path: str, **headers: str) -> httpx.Response:
    told = {"Accept": "text/html", "Accept-Language": "ru", **await browser(api), **headers}
    return await http.get(api.url + path, headers=told)


def rows(answer: httpx.Response) -> list[str]:
    return re.findall(r'<tr id="job-([0-9a-f]{32})"', answer.text)


def link(answer: httpx.Response, rel: str) -> str | None:
    found = re.search(rf'<a class="button" href="([^"]+)" rel="{rel}"', answer.text)
    return found[1].replace("&amp;", "&") if found else None


async def test_one_leafs_to_older_pages_and_back_to_the_newest(api: Api, http: httpx.AsyncClient) -> None:
    ids = [await queued_job(api) for _ in range(120)]
    newest = list(reversed(ids))
    first = await page(http, api, "/jobs")
    second = await page(http, api, str(link(first, "next")))
    third = await page(http, api, str(link(second, "next")))
    assert [*rows(first), *rows(second), *rows(third)] == newest
    assert (link(first, "prev"), link(third, "next")) == (None, None)
    back = await page(http, api, str(link(third, "prev")))
    assert rows(back) == rows(second)
    start = await page(http, api, str(link(back, "prev")))
    assert (start.status_code, rows(start)) == (303, [])
    assert start.headers["location"] == "/jobs", "the first page is the one that grows"


async def test_leafing_keeps_the_filters(api: Api, http: httpx.AsyncClient) -> None:
    for slot_id in ["slot-001", "slot-002"] * 55:
        await queued_job(api, slot_id=slot_id)
    first = await page(http, api, "/jobs?slot_id=slot-002")
    older = str(link(first, "next"))
    assert "slot_id=slot-002" in older
    second = await page(http, api, older)
    assert (len(rows(first)), len(rows(second))) == (50, 5)
    newer = str(link(second, "prev"))
    assert "slot_id=slot-002" in newer
    assert (await page(http, api, newer)).headers["location"] == "/jobs?slot_id=slot-002"


async def test_an_older_page_tells_of_photos_that_have_come(api: Api, http: httpx.AsyncClient) -> None:
    for _ in range(55):
        await queued_job(api)
    older = await page(http, api, str(link(await page(http, api, "/jobs"), "next")))
    (asked,) = re.findall(r'hx-get="(/console/jobs/newer[^"]+)"', older.text)
    asked = asked.replace("&amp;", "&")
    assert "К новым" in (await page(http, api, asked)).text
    await queued_job(api)
    assert "Пришло 1 новое фото" in (await page(http, api, asked)).text
    for _ in range(2):
        await queued_job(api)
    answer = await page(http, api, asked)
    assert "Пришло 3 новых фото" in answer.text
    assert 'href="/jobs"' in answer.text
    assert (await page(http, api, "/console/jobs/newer")).status_code == 200
    assert (await page(http, api, "/console/jobs/newer?newest=x")).status_code == 404


async def test_test_runs_are_apart(api: Api, http: httpx.AsyncClient) -> None:
    booths, tests = await queued_job(api), await queued_job(api)
    await change(api, tests, source="ui_test")
    assert rows(await page(http, api, "/jobs")) == [booths]
    assert rows(await page(http, api, "/jobs?source=ui_test")) == [tests]
    assert set(rows(await page(http, api, "/jobs?source=all"))) == {booths, tests}
    assert f'href="/jobs/{tests}?source=ui_test"' in (await page(http, api, "/jobs?source=ui_test")).text


async def test_a_time_of_the_readers_clock_becomes_one_for_everybody(api: Api, http: httpx.AsyncClient) -> None:
    before, there = await queued_job(api), await queued_job(api)
    moment = datetime(2026, 11, 5, 18, 30, tzinfo=UTC)
    await change(api, there, created_at=moment)
    await change(api, before, created_at=moment - timedelta(hours=3))
    cookie = (await browser(api))["Cookie"]
    moscow = {"Cookie": f"{cookie}; photochanger_zone=Europe/Moscow"}
    told = await page(http, api, "/jobs?from=2026-11-05T21:29&to=2026-11-05T21:31:00", **moscow)
    assert rows(told) == [there]
    assert "from=2026-11-05T18%3A29%3A00Z" in told.text
    assert 'value="2026-11-05T21:29:00"' in told.text
    elsewhere = await page(http, api, "/jobs?from=2026-11-05T18%3A29%3A00Z&to=2026-11-05T18%3A31%3A00Z")
    assert rows(elsewhere) == [there]


async def test_htmx_is_told_the_address_that_means_the_same_everywhere(api: Api, http: httpx.AsyncClient) -> None:
    asked = "/jobs?slot_id=&status=failed&source=ingest&job_id=&from=2026-11-05T21:29&to="
    by_the_form = {"HX-Request": "true", "HX-Trigger": "filter"}
    answer = await page(http, api, asked, **by_the_form)
    address = answer.headers["hx-replace-url"]
    assert re.fullmatch(r"/jobs\?status=failed&from=2026-11-0[56]T\d\d%3A29%3A00Z", address)
    assert "hx-replace-url" not in (await page(http, api, asked, **{"HX-Request": "true"})).headers


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        (ID, ID),
        (ID.upper(), ID),
        (f"  {ID}\n", ID),
        ("3f9c0123", "3f9c0123"),
        ("#3f9c…", "3f9c"),
        ("3f9c0123-4567-89ab-cdef-0123456789ab", ID),
        (f"http://192.168.0.7:8000/public/results/{ID}?inline=1", ID),
        (f"https://studio.example/jobs/{ID}?slot_id=slot-001", ID),
        (f"/public/results/{ID}/preview", ID),
        ("photo-2026-11-05-183000-3f9c01.jpg", "3f9c01"),
        ("C:\\Users\\serg\\Downloads\\photo-2026-11-05-183000-3f9c01 (1).jpg", "3f9c01"),
        ("hello", None),
        ("/jobs/", None),
        ("", None),
        ("f" * 33, None),
        ("٣٤", None),
        ("<script>", None),
    ],
)
def test_an_id_is_found_in_what_people_paste(typed: str, found: str | None) -> None:
    assert id_in(typed) == found


async def test_a_photo_is_found_by_a_part_of_its_id_and_by_its_link(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await finished_job(api)
    await finished_job(api)
    for typed in (job_id[:7], f"{api.url}/public/results/{job_id}?inline=1", job_id.upper()):
        answer = await page(http, api, f"/jobs?{urlencode({'job_id': typed})}")
        assert rows(answer) == [job_id], typed
        assert "Выбран 1 фильтр" in answer.text


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "Пока нет фото"),
        ("source=ui_test", "Тестовых запусков пока нет"),
        ("slot_id=slot-003&status=done", "Таких фото нет"),
        (f"job_id={ID}", "Фото с таким номером нет"),
        ("job_id=hello", "Это не номер"),
        ("from=2026-11-05T18:00:00Z&to=2026-11-05T17:00:00Z", "Конец должен быть позже начала"),
        ("from=2026-11-05T18:00&to=2026-11-05T18:00", "Конец должен быть позже начала"),
    ],
)
async def test_where_nothing_is_found_it_says_why(api: Api, http: httpx.AsyncClient, query: str, said: str) -> None:
    answer = await page(http, api, f"/jobs?{query}")
    assert (answer.status_code, rows(answer)) == (200, [])
    assert said in answer.text


async def test_the_chosen_filters_are_counted_and_cleared_at_once(api: Api, http: httpx.AsyncClient) -> None:
    answer = await page(http, api, "/jobs?slot_id=slot-001&status=failed&provider=gemini&source=all")
    assert "Выбрано 3 фильтра" in answer.text
    assert 'class="button small" href="/jobs?source=all"' in answer.text
    assert "Выбран" not in (await page(http, api, "/jobs?source=all")).text


@pytest.mark.parametrize(
    "query",
    [
        *("from=0001-01-01T00:00", "to=9999-12-31T23:59", "from=275760-09-13T00:00", "from=2026-02-30T10:00"),
        *("from=a&from=b", "slot_id=slot-001&slot_id=slot-002", "older=AAAA&newer=AAAA", "provider=Gemini", "source=x"),
    ],
)
async def test_an_address_that_nobody_makes_is_no_crash(api: Api, http: httpx.AsyncClient, query: str) -> None:
    assert (await page(http, api, f"/jobs?{query}")).status_code in {200, 404, 422}


async def test_the_language_switch_keeps_the_filters(api: Api, http: httpx.AsyncClient) -> None:
    answer = await page(http, api, "/jobs?slot_id=slot-001&from=2026-11-05T18%3A00%3A00Z")
    (switch,) = re.findall(r'<a class="pill-link" href="\?([^"]+)" hreflang="en"', answer.text)
    assert "slot_id=slot-001" in switch
    assert "from=2026-11-05T18%3A00%3A00Z" in switch


# --- one photo


PRODUCT_TABLE = (
    *("invalid_request", "hash_mismatch", "invalid_image", "invalid_password", "slot_not_found", "slot_disabled"),
    *("upload_stalled", "idempotency_conflict", "payload_too_large", "unsupported_media_type", "rate_limited"),
    *("internal_error", "bad_response", "content_blocked", "no_image", "provider_4xx", "provider_unavailable"),
    *("quota", "network", "provider_auth", "interrupted", "storage_full", "database_unavailable", "timeout"),
)


def test_for_every_reason_there_is_advice() -> None:
    assert {failure.code for failure in ADVICE} >= set(PRODUCT_TABLE)


@pytest.mark.parametrize("language", ["ru", "en"])
async def test_each_failed_photo_says_in_words_what_to_do(api: Api, http: httpx.AsyncClient, language: str) -> None:
    for failure in FOR_JOBS:
        job_id = await (late(api, "slot-001") if failure is Failure.TIMEOUT else failing(api, "slot-001", failure))
        answer = await page(http, api, f"/jobs/{job_id}?lang={language}", **{"Accept-Language": language})
        (notice,) = re.findall(r'<div class="notice (?:warn|danger)">.*?</svg><div>(.*?)</div></div>', answer.text)
        assert notice.count("<p>") == 1, failure
        assert bool(re.search("[а-я]", notice)) == (language == "ru"), failure


async def test_what_failed_is_told_in_the_pages_language(api: Api, http: httpx.AsyncClient) -> None:
    job_id = await failing(api, "slot-001", Failure.BAD_RESPONSE)
    async with api.db.begin() as conn:
        values = {"failure_details": "The monthly budget of Gemini is used up."}
        await conn.execute(update(job).values(values))
        insertion = (
            "INSERT INTO job_attempt (job_id, number, provider, model, started_at, finished_at, outcome, http_status,"
            " reason) VALUES (CAST(:id AS uuid), 1, 'gemini', 'm', now(), now(), 'provider_unavailable', 503,"
            " 'HTTP 503 UNAVAILABLE: The model is overloaded')"
        )
        await conn.execute(text(insertion), {"id": job_id})
    russian = (await page(http, api, f"/jobs/{job_id}")).text
    for said in ("Месячный бюджет Gemini исчерпан.", "провайдер недоступен", "«\u2068The model is overloaded\u2069»"):
        assert said in russian
    english = (await page(http, api, f"/jobs/{job_id}", **{"Accept-Language": "en"})).text
    for said in ("The monthly budget of Gemini is used up.", "provider not available", "“\u2068The model is"):
        assert said in english


async def test_a_photos_page_polls_until_the_answer_is_out(api: Api, http: httpx.AsyncClient) -> None:
    job_id = await queued_job(api)
    assert 'data-poll-seconds="1"' in (await page(http, api, f"/jobs/{job_id}")).text
    done, _ = await finished_job(api)
    assert 'data-poll-seconds="5"' in (await page(http, api, f"/jobs/{done}")).text
    async with api.db.begin() as conn:
        line = "INSERT INTO processing_log (job_id, event, details) VALUES (CAST(:id AS uuid), 'sent', '{}')"
        await conn.execute(text(line), {"id": done})
    assert 'data-poll-seconds="' not in (await page(http, api, f"/jobs/{done}")).text.split('id="job"')[1]
    await change(api, done, created_at=func.now() - timedelta(hours=2), finished_at=func.now() - timedelta(hours=1))


async def test_a_slot_without_a_prompt_has_pages(api: Api, http: httpx.AsyncClient) -> None:
    told = await afternoon(api)
    async with api.db.begin() as conn:
        await conn.execute(text("UPDATE job_input SET snapshot = snapshot - 'settings' || '{\"settings\": {}}'"))
    assert (await page(http, api, f"/jobs/{told.done}")).status_code == 200
