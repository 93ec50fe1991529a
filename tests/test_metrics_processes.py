"""`/metrics` over several real API and runner processes: whoever is asked tells of all, kill -9 or not."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from photochanger.metrics_files import FOLDER
from tests.booths import photo_bytes
from tests.processes import Studio, opened
from tests.scrapes import Scrape, scrape

pytestmark = pytest.mark.anyio


@pytest.fixture
async def studio(database_url: str, tmp_path: Path, http: httpx.AsyncClient) -> AsyncIterator[Studio]:
    async with opened(tmp_path, database_url, http=http) as studio:
        yield studio


async def scraped(studio: Studio) -> Scrape:
    """By a connection of its own each time: any of the API processes may answer."""
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
        return await scrape(http, studio.station.url)


async def post_round(studio: Studio, number: int) -> None:
    """A photo to each of five slots."""
    photos = [photo_bytes(seed=10 * number + slot) for slot in range(1, 6)]
    async with asyncio.TaskGroup() as posting:
        answers = [
            posting.create_task(studio.post(photo, slot=f"slot-{slot:03}")) for slot, photo in enumerate(photos, 1)
        ]
    assert [(await answer).status_code for answer in answers] == [200] * 5


def counted(told: Scrape) -> dict[str, float]:
    names = {name for name in told.names() if name.endswith(("_total", "_count", "_sum", "_bucket"))}
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value for sample in told.samples if sample.name in names
    }


async def test_what_all_processes_have_counted_is_right_and_outlives_them(studio: Studio) -> None:
    await studio.simulators.behave("instant", delay_seconds=0.2)
    station = studio.station
    apis = [await station.api(), await station.api()]
    runners = await station.runners(2)
    cleanup = station.start("cleanup")
    await cleanup.told("sweep_finished", sweep="results_without_file")
    for number in range(4):
        await post_round(studio, number)
    before = await scraped(studio)
    for name in ("ingest_requests_total", "ingest_success_total", "photochanger_claims_total"):
        assert before.total(name) == 20, name
    assert before.total("ingest_success_total", slot_id="slot-003", provider="gemini") == 4
    assert before.total("photochanger_attempts_total", outcome="ok") == 20
    assert before.total("ingest_duration_seconds_count") == 20
    assert before.total("photochanger_stage_seconds_count", stage="record") == 20
    assert before.total("photochanger_sweeps_total", sweep="expired_results", outcome="ok") == 1
    assert before.total("photochanger_processes", process="api") == 2
    assert before.total("photochanger_runners") == 2
    files = {path.name for path in (station.folder / "home" / FOLDER).iterdir()}

    apis[0].kill()
    runners[0].kill()
    cleanup.kill()
    after_kill = await scraped(studio)
    assert {name: value for name, value in counted(before).items() if counted(after_kill).get(name, -1) < value} == {}
    assert after_kill.total("photochanger_processes", process="api") == 1
    assert after_kill.total("photochanger_processes", process="cleanup") == 0
    assert after_kill.total("photochanger_database_connections", process="cleanup") == 0
    assert after_kill.total("photochanger_sweep_last_success_timestamp_seconds", sweep="expired_results") > 0

    await station.api()
    await station.runner()
    await post_round(studio, 9)
    after = await scraped(studio)
    assert after.total("ingest_success_total") == 25
    assert after.total("photochanger_attempts_total", outcome="ok") == 25
    assert after.total("photochanger_processes", process="api") == 2
    assert after.total("photochanger_requests_in_hand") == 0
    assert {name: value for name, value in counted(before).items() if counted(after).get(name, -1) < value} == {}
    assert {path.name for path in (station.folder / "home" / FOLDER).iterdir()} <= files | {
        f"gauge_livesum_cleanup-0{ending}" for ending in (".db", ".new")
    }


async def test_a_killed_api_takes_its_waiting_requests_out_of_the_figure(studio: Studio) -> None:
    station = studio.station
    first = await station.api()
    posting = await studio.posts(3)
    assert (await scraped(studio)).total("photochanger_requests_in_hand", state="waiting") == 3
    second = await station.api()
    first.kill()
    await asyncio.gather(*posting, return_exceptions=True)
    told = await scraped(studio)
    assert told.total("photochanger_requests_in_hand") == 0
    assert told.total("ingest_requests_total") == 3
    assert told.total("ingest_answers_total") == 0
    assert told.total("photochanger_jobs", status="queued") == 3
    await station.runner()
    await studio.until(lambda rows: all(row.status == "done" for row in rows), seconds=30)
    assert (await scraped(studio)).total("photochanger_steps_total", became="done") == 3
    second.terminate()
    assert await second.exit_code() == 0
