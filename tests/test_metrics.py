"""`/metrics` of one API process: what it counts, what the rows tell, who may read it, and that no label explodes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, text, update

from photochanger import breaker, leases, sweep_runs
from photochanger.db import Database
from photochanger.errors import PROVIDER_ERRORS, Failure
from photochanger.providers import Providers
from photochanger.settings import Settings
from photochanger.tables import provider_check, slot, storage_figure
from simulators.gemini import KEY
from tests.booths import photo_bytes, post_photo
from tests.outages import Outage
from tests.scrapes import scrape
from tests.serving import Api, running, settings_for
from tests.simulated import Simulators, simulated

pytestmark = pytest.mark.anyio

PHOTO = photo_bytes()
SLOT = {"slot_id": "slot-001", "provider": "gemini"}


@pytest.fixture
async def simulators() -> AsyncIterator[Simulators]:
    async with simulated() as simulators:
        yield simulators


def runner_settings(simulators: Simulators, tmp_path: Path, database_url: str) -> Settings:
    told = {"GEMINI_API_KEY": KEY, "GEMINI_BASE_URL": f"{simulators.url}/gemini"}
    return settings_for(tmp_path, database_url, **told)


async def set_slots(api: Api, **values: Any) -> None:
    async with api.db.begin() as conn:
        await conn.execute(update(slot).values(**values))


async def test_a_changed_photo_is_counted_on_all_of_its_way(
    api: Api,
    http: httpx.AsyncClient,
    simulators: Simulators,
    tmp_path: Path,
    database_url: str,
    known_providers: Providers,
) -> None:
    before = await scrape(http, api.url)
    async with running(runner_settings(simulators, tmp_path, database_url), known_providers, database_url):
        assert (await post_photo(http, api.url, PHOTO)).status_code == 200
        await asyncio.sleep(1)  # until its places are told
        after = await scrape(http, api.url)

    def grown(name: str, **labels: str) -> float:
        return after.total(name, **labels) - before.total(name, **labels)

    assert grown("ingest_requests_total", **SLOT) == grown("ingest_success_total", **SLOT) == 1
    assert grown("ingest_requests_total") == 1
    assert grown("ingest_answers_total", status="200") == grown("ingest_answers_total") == 1
    assert grown("ingest_duration_seconds_count", slot_id="slot-001") == 1
    assert grown("photochanger_claims_total", provider="gemini") == 1
    assert grown("photochanger_steps_total", provider="gemini", became="done") == 1
    assert grown("photochanger_attempts_total", provider="gemini", outcome="ok") == 1
    assert grown("photochanger_provider_call_seconds_count", provider="gemini", call="submit") == 1
    for stage in ("upload", "admit", "queue", "prepare", "provider", "check", "record"):
        assert grown("photochanger_stage_seconds_count", stage=stage) == 1, stage
    pieces = grown("photochanger_stage_seconds_sum")
    assert 0 < pieces <= grown("ingest_duration_seconds_sum")
    assert grown("photochanger_poll_ticks_total", outcome="ok") >= 1
    assert after.total("photochanger_requests_in_hand") == 0
    assert after.total("photochanger_runner_places", state="all") == 4
    assert after.total("photochanger_database_connections", process="api") >= 1


async def test_a_photo_that_is_late_counts_once_as_late(api: Api, http: httpx.AsyncClient) -> None:
    await set_slots(api, sync_response_seconds=10)
    before = await scrape(http, api.url)
    posting = asyncio.create_task(post_photo(http, api.url, PHOTO))
    await asyncio.sleep(3)
    waiting = await scrape(http, api.url)
    assert waiting.total("photochanger_requests_in_hand", state="waiting") == 1
    assert waiting.total("photochanger_jobs", status="queued") == 1
    assert 1 < waiting.total("photochanger_oldest_job_seconds", status="queued") < 10
    assert (await posting).status_code == 504
    after = await scrape(http, api.url)
    assert after.total("ingest_timeout_total") - before.total("ingest_timeout_total") == 1
    assert after.total("ingest_timeout_total", **SLOT) - before.total("ingest_timeout_total", **SLOT) == 1
    assert after.total("ingest_success_total") == before.total("ingest_success_total")
    late = {"status": "504", "failure_reason": "timeout"}
    assert after.total("ingest_answers_total", **late) - before.total("ingest_answers_total", **late) == 1
    assert after.total("ingest_duration_seconds_bucket", le="5.0") == before.total(
        "ingest_duration_seconds_bucket", le="5.0"
    )


async def test_a_providers_error_is_counted_and_a_bad_upload_is_none(
    api: Api,
    http: httpx.AsyncClient,
    simulators: Simulators,
    tmp_path: Path,
    database_url: str,
    known_providers: Providers,
) -> None:
    await simulators.behave("image_safety")
    before = await scrape(http, api.url)
    async with running(runner_settings(simulators, tmp_path, database_url), known_providers, database_url):
        assert (await post_photo(http, api.url, PHOTO)).json()["failure_reason"] == "content_blocked"
    assert (await post_photo(http, api.url, PHOTO, hash_="0" * 32)).status_code == 400
    assert (await post_photo(http, api.url, PHOTO, password=b"wrong")).status_code == 401
    after = await scrape(http, api.url)
    assert after.total("ingest_requests_total") - before.total("ingest_requests_total") == 3
    assert after.total("ingest_provider_error_total") - before.total("ingest_provider_error_total") == 1
    assert after.total("ingest_duration_seconds_count") - before.total("ingest_duration_seconds_count") == 1
    for reason in ("content_blocked", "hash_mismatch", "invalid_password"):
        counted = [one.total("ingest_answers_total", failure_reason=reason) for one in (before, after)]
        assert counted[1] - counted[0] == 1, reason
    assert after.total("photochanger_requests_in_hand") == 0
    attempts = {"provider": "gemini", "outcome": "content_blocked"}
    grown = after.total("photochanger_attempts_total", **attempts) - before.total(
        "photochanger_attempts_total", **attempts
    )
    assert grown >= 1


def test_every_error_of_a_provider_is_a_failure_of_ours() -> None:
    assert {Failure.of(code).status for code in PROVIDER_ERRORS} == {502, 503}


async def test_what_strangers_send_never_becomes_a_label(api: Api, http: httpx.AsyncClient) -> None:
    await set_slots(api, is_active=False)
    for path in ("slot-016", "slot-0010", "..%2fslot-001", "%d0%96", "x" * 300, "slot-001%00", "slot-001"):
        answer = await post_photo(http, api.url, PHOTO, slot=path)
        assert answer.status_code == 404, path
    for path in ("/nothing", "/metrics/more", "/public/results/none"):
        assert (await http.get(f"{api.url}{path}")).status_code == 404
    await set_slots(api, is_active=True)
    assert (await post_photo(http, api.url, PHOTO, hash_="0" * 32, fields={"name": "odd"})).status_code == 400
    after = await scrape(http, api.url)
    assert after.labels("slot_id") <= {f"slot-{number:03}" for number in range(1, 16)}
    assert after.labels("provider") <= {"gemini", "turbotext", "openai"}
    assert after.labels("failure_reason") <= {"", *(failure.code for failure in Failure)}
    assert after.labels("status") <= {
        *(str(failure.status) for failure in Failure),
        *("200", "queued", "running", "waiting"),
    }
    known = {"slot_id", "provider", "failure_reason", "status", "le", "state", "stage", "outcome", "became", "call"}
    known |= {"answer", "why", "sweep", "process", "model", "name"}
    assert {name for sample in after.samples for name in sample.labels} <= known


async def test_the_rows_are_told(api: Api, http: httpx.AsyncClient) -> None:
    async with api.db.begin() as conn:
        await leases.beat(conn, "r", host="h", pid=1)
        for _ in range(breaker.FAILURES_TO_OPEN):
            await breaker.note(conn, "gemini", "m-1", answered=False)
        await breaker.note(conn, "gemini", "m-2", answered=False)
        check = insert(provider_check).values(checked_at=text("now()"), sentence="no")
        await conn.execute(check, [{"provider": "gemini", "good": True}, {"provider": "openai", "good": False}])
        await conn.execute(insert(storage_figure).values(name="results", files=3, bytes=3_000_000_000))
        await conn.execute(insert(storage_figure).values(name="disk_free", bytes=1))
        await sweep_runs.finish(conn, {"expired_results": 2})
        now = (await conn.execute(text("SELECT extract(epoch FROM now())::float8"))).scalar_one()
    told = await scrape(http, api.url)
    assert told.total("photochanger_database_up") == told.total("photochanger_runners") == 1
    assert told.total("photochanger_circuit_open", model="m-1") == 1
    assert told.total("photochanger_circuit_open", model="m-2") == 0
    assert told.total("photochanger_circuit_failures_in_row", model="m-2") == 1
    assert told.total("photochanger_provider_key_good", provider="gemini") == 1
    assert told.total("photochanger_provider_key_good", provider="openai") == 0
    assert told.total("photochanger_storage_bytes", name="results") == 3_000_000_000
    assert told.total("photochanger_storage_files", name="results") == 3
    assert "disk_free" not in {one.labels["name"] for one in told.families["photochanger_storage_files"].samples}
    swept = told.total("photochanger_sweep_last_success_timestamp_seconds", sweep="expired_results")
    assert abs(swept - now) < 5
    assert told.total("photochanger_jobs") == 0


async def test_many_scrapes_at_once_cost_one_look_at_the_rows(api: Api, http: httpx.AsyncClient) -> None:
    figures = api.services.row_figures
    looks = await asyncio.gather(*(figures.vitals() for _ in range(20)))
    assert looks[0] is not None
    assert len({id(look) for look in looks}) == 1
    await asyncio.sleep(1.1)
    assert await figures.vitals() is not looks[0]
    answers = await asyncio.gather(*(http.get(f"{api.url}/metrics") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}


async def test_without_the_database_the_counters_are_told_all_the_same(
    api: Api, db: Database, http: httpx.AsyncClient, postgres_url: str, database_url: str
) -> None:
    assert (await post_photo(http, api.url, PHOTO, hash_="0" * 32)).status_code == 400
    outage = Outage(postgres_url, database_url)
    await outage.begin()
    told = await scrape(http, api.url)
    assert told.total("photochanger_database_up") == 0
    assert told.total("ingest_requests_total", **SLOT) >= 1
    assert "photochanger_runners" in told.families
    assert told.families["photochanger_runners"].samples == []
    await outage.end()
    await asyncio.sleep(1.1)
    assert (await scrape(http, api.url)).total("photochanger_database_up") == 1
