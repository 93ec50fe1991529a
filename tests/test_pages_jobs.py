"""The log and a photo's page over HTTP: what they tell, what they take, and what they never show."""

import re

import httpx
import pytest
from sqlalchemy import text

from photochanger.errors import Failure
from tests.administrators import browser
from tests.results import finished_job, queued_job
from tests.serving import Api
from tests.studio import afternoon, failing

pytestmark = pytest.mark.anyio


async def page(http: httpx.AsyncClient, api: Api, path: str, **headers: str) -> httpx.Response:
    told = {"Accept": "text/html", "Accept-Language": "ru", **await browser(api), **headers}
    return await http.get(api.url + path, headers=told)


def rows(answer: httpx.Response) -> list[str]:
    return re.findall(r'<tr id="job-([0-9a-f]{32})"', answer.text)


async def test_the_log_comes_page_by_page(api: Api, http: httpx.AsyncClient) -> None:
    ids = [await queued_job(api) for _ in range(55)]
    first = await page(http, api, "/jobs")
    assert len(rows(first)) == 50
    (older,) = re.findall(r'href="(/jobs\?older=[^"]+)"', first.text)
    second = await page(http, api, older)
    assert set(rows(first)) | set(rows(second)) == set(ids)
    assert len(rows(second)) == 5
    assert 'data-poll-seconds="4"' not in second.text, "an older page does not change under the reader"


async def test_filters_choose_and_stay_in_the_links(api: Api, http: httpx.AsyncClient) -> None:
    told = await afternoon(api)
    answer = await page(http, api, "/jobs?status=failed&slot_id=slot-005")
    assert len(rows(answer)) == 3
    assert f'href="/jobs/{told.failed}?slot_id=slot-005&amp;status=failed"' in answer.text
    assert "Таких фото нет" in (await page(http, api, "/jobs?slot_id=slot-015")).text
    reason = await page(http, api, "/jobs?failure_reason=content_blocked")
    assert len(rows(reason)) == 3


@pytest.mark.parametrize(
    "query", ["status=nonsense", "slot_id=<script>", "from=yesterday", "older=xyz", "newer=xyz", "source=x"]
)
async def test_a_broken_address_has_a_page(api: Api, http: httpx.AsyncClient, query: str) -> None:
    answer = await page(http, api, f"/jobs?{query}")
    assert answer.status_code in {404, 422}
    assert "<script>" not in answer.text
    assert "<h1>" in answer.text


async def test_a_photos_page_tells_its_way(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await finished_job(api)
    answer = await page(http, api, f"/jobs/{job_id}")
    for said in (
        "Фото начало приходить",
        "Взял обработчик",
        "Вызван провайдер",
        "Результат сохранён",
        "Срок",
        "Запустить снова",
    ):
        assert said in answer.text, said
    assert f"/public/results/{job_id}?inline=1" in answer.text
    for unknown in ("0" * 32, "x"):
        assert (await page(http, api, f"/jobs/{unknown}")).status_code == 404


async def test_a_failure_says_what_to_do(api: Api, http: httpx.AsyncClient) -> None:
    job_id = await failing(api, "slot-001", Failure.PROVIDER_AUTH)
    answer = await page(http, api, f"/jobs/{job_id}")
    assert "Провайдер не принял наш ключ" in answer.text
    assert "Проверьте ключ провайдера в настройках" in answer.text


async def test_what_a_booth_sent_is_text(api: Api, http: httpx.AsyncClient) -> None:
    job_id = await queued_job(api)
    async with api.db.begin() as conn:
        sent = '{"name": "<script>alert(1)</script>", "<b>": "{{7*7}}"}'
        await conn.execute(text("UPDATE job_input SET booth_fields = CAST(:sent AS jsonb)"), {"sent": sent})
    answer = await page(http, api, f"/jobs/{job_id}")
    assert "<script>alert" not in answer.text
    assert "<b>" not in answer.text
    assert "{{7*7}}" in answer.text


async def test_the_photo_is_for_administrators_while_it_is_there(api: Api, http: httpx.AsyncClient) -> None:
    job_id = await queued_job(api)
    path = f"/jobs/{job_id}/photo"
    answer = await page(http, api, path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert "no-store" in answer.headers["cache-control"]
    assert (await http.get(api.url + path)).status_code == 401
    api.media.discard(f"ingest/{job_id}")
    assert (await page(http, api, path)).status_code == 410
