"""`POST /api/slots/{slot_id}/test-run`: a slot's form on a photo, through the real pipeline."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from photochanger import app_settings
from photochanger.providers import Providers
from photochanger.tables import job, job_input, slot
from simulators.gemini import KEY
from tests.administrators import bearer
from tests.booths import post_photo
from tests.queue_rows import log_lines
from tests.raw_http import eventually
from tests.serving import Api, running, settings_for
from tests.simulated import Simulators, simulated
from tests.test_contract import check
from tests.trial_runs import PHOTO, accepted, template, tried

pytestmark = pytest.mark.anyio


async def input_of(api: Api, job_id: str) -> Any:
    async with api.db.begin() as conn:
        return (await conn.execute(select(job_input).where(job_input.c.job_id == job_id))).one()


@pytest.fixture
async def gemini(api: Api, tmp_path: Path, database_url: str, known_providers: Providers) -> AsyncIterator[Simulators]:
    """A runner, and the provider it asks."""
    async with simulated() as simulators:
        told = {"GEMINI_API_KEY": KEY, "GEMINI_BASE_URL": f"{simulators.url}/gemini"}
        async with running(settings_for(tmp_path, database_url, **told), known_providers, database_url):
            yield simulators


async def test_an_unsaved_form_goes_the_whole_way(api: Api, http: httpx.AsyncClient, gemini: Simulators) -> None:
    answer = await accepted(api, http, {"settings": {"prompt": "В стиле Рембрандта"}, "is_active": False})

    async def shown() -> Any:
        return (await http.get(answer["status_url"])).json()

    assert (await shown())["expires_at"] == answer["deadline"]

    async def is_done() -> bool:
        return bool((await shown())["status"] == "done")

    await eventually(is_done, seconds=30)
    picture = await http.get((await shown())["result_url"])
    assert picture.headers["content-type"].startswith("image/")
    (request,) = [one for one in await gemini.read("requests") if "behaviour" in one]
    assert "В стиле Рембрандта" in json.dumps(request, ensure_ascii=False)
    async with api.db.begin() as conn:
        saved = (await conn.execute(select(slot).where(slot.c.slot_id == "slot-001"))).one()
    assert (saved.version, saved.is_active) == (1, True)
    assert "Рембрандта" not in saved.settings["prompt"]
    assert not list(api.media.folder("ingest").iterdir())


async def test_with_wait_the_answer_is_the_ended_job(api: Api, http: httpx.AsyncClient, gemini: Simulators) -> None:
    answer = await tried(api, http, query="?wait=1")
    assert answer.status_code == 200
    check(answer.json(), "Job")
    assert answer.json()["status"] == "done"
    assert (await http.get(answer.json()["result_url"])).status_code == 200
    await gemini.behave("unavailable")
    failed = await tried(api, http, {"settings": {"prompt": "x", "retries": 0}}, query="?wait=1")
    check(failed.json(), "Job")
    assert (failed.status_code, failed.json()["status"]) == (200, "failed")
    assert not list(api.media.folder("ingest").iterdir())


async def test_it_is_apart_from_the_booths_photos(api: Api, http: httpx.AsyncClient, gemini: Simulators) -> None:
    booth = await post_photo(http, api.url, PHOTO)
    test = (await tried(api, http, query="?wait=1")).json()
    again = (await tried(api, http, query="?wait=1")).json()
    assert len({booth.headers["x-job-id"], test["job_id"], again["job_id"]}) == 3
    shown = (await http.get(f"{api.url}/public/slots/slot-001")).json()["results"]
    assert [result["result_url"] for result in shown] == [booth.headers["x-result-url"]]
    page = (await http.get(f"{api.url}/api/jobs?source=ui_test", headers=await bearer(api))).json()
    assert [line["job_id"] for line in page["jobs"]] == [again["job_id"], test["job_id"]]


async def test_what_the_form_leaves_out_is_as_it_is_saved(api: Api, http: httpx.AsyncClient) -> None:
    saved = await input_of(api, (await accepted(api, http))["job_id"])
    assert "elegant studio portrait" in saved.snapshot["settings"]["prompt"]
    assert (saved.slot_version, saved.snapshot["slot_version"], saved.booth_fields) == (1, 1, {})
    assert saved.photo_sha256 == hashlib.sha256(PHOTO).digest()
    settings = {"prompt": "another", "model": "gemini-3-pro-image", "retries": 2}
    form = {"display_name": "X", "settings": settings, "sync_response_seconds": 20, "fallback": None, "version": 1}
    answer = await accepted(api, http, form)
    tested = await input_of(api, answer["job_id"])
    assert (tested.slot_version, tested.snapshot["settings"]) == (None, settings)
    async with api.db.begin() as conn:
        queued = (await conn.execute(select(job).where(job.c.job_id == answer["job_id"]))).one()
    assert (queued.source, queued.max_attempts, (queued.expires_at - queued.created_at).seconds) == ("ui_test", 3, 20)


async def test_the_form_may_be_what_the_slot_says_of_itself(api: Api, http: httpx.AsyncClient) -> None:
    shown = (await http.get(f"{api.url}/api/slots/slot-001", headers=await bearer(api))).json()
    tested = await input_of(api, (await accepted(api, http, shown))["job_id"])
    assert tested.snapshot["settings"] == shown["settings"]


async def test_another_provider_and_templates_that_no_slot_has_are_tried(api: Api, http: httpx.AsyncClient) -> None:
    style = await template(api)
    media = [{"media_kind": "style", "media_object_id": style}]
    form = {"provider": "openai", "operation": "style_transfer", "settings": {}, "template_media": media}
    tested = await input_of(api, (await accepted(api, http, form))["job_id"])
    assert (tested.snapshot["provider"], tested.snapshot["template_media"]) == ("openai", {"style": style})


async def test_it_works_on_a_slot_that_is_switched_off(api: Api, http: httpx.AsyncClient) -> None:
    async with api.db.begin() as conn:
        await conn.execute(update(slot).values(is_active=False))
    assert (await input_of(api, (await accepted(api, http))["job_id"])).slot_id == "slot-001"


async def test_who_tested_is_in_the_jobs_log(api: Api, http: httpx.AsyncClient) -> None:
    job_id = (await accepted(api, http, {}))["job_id"]
    (line,) = [line for line in await log_lines(api.db, job_id) if line.event == "slot_tested"]
    assert (line.actor, line.details) == ("serg", {"slot": "slot-001", "unsaved": True})


async def test_a_test_that_nobody_works_on_is_closed_at_its_deadline(api: Api, http: httpx.AsyncClient) -> None:
    async with api.db.begin() as conn:
        await app_settings.store(conn, "sync_response_seconds", 2, by="test")
    answer = await accepted(api, http)
    waited = await tried(api, http, query="?wait=1")
    assert (waited.status_code, waited.json()["status"]) == (200, "timeout")

    async def closed() -> bool:
        return bool((await http.get(answer["status_url"])).json()["status"] == "timeout")

    await eventually(closed)
    await eventually(lambda: not list(api.media.folder("ingest").iterdir()))
