"""Faults of the database with many jobs in flight on real processes: told at once, waited for, and no photo lost."""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy import update

from photochanger.tables import slot
from simulators.booth import run_booths
from tests.booths import photo_bytes
from tests.processes import Studio
from tests.rush import refused, rush, seeded, without_limit
from tests.stoppable_postgres import FAST, IMMEDIATE, Postgres, stoppable

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    with stoppable() as postgres:
        yield postgres


@pytest.fixture
async def studio(postgres: Postgres, tmp_path: Path, http: httpx.AsyncClient) -> AsyncIterator[Studio]:
    async with without_limit(tmp_path, postgres.url, http=http) as studio:
        yield studio


@pytest.fixture
def chance() -> random.Random:
    return seeded()


@pytest.mark.parametrize("how", [FAST, IMMEDIATE], ids=["fast", "immediate"])
async def test_a_restart_of_the_database_loses_no_photo_that_was_taken_in(
    studio: Studio, postgres: Postgres, tmp_path: Path, how: signal.Signals
) -> None:
    await studio.simulators.behave("instant", delay_seconds=3)
    await asyncio.gather(studio.station.api(), studio.station.runners(3))
    work = rush(studio, tmp_path, booths=60, count=4)

    async def restart() -> None:
        for _ in range(2):
            await asyncio.sleep(2.5)
            await postgres.stop(how)
            await postgres.start()

    report = await work.during(restart)
    counted = await work.check(report, killed=False)
    assert set(refused(report)) <= {"503 database_unavailable"}
    assert set(counted) == {"done"}


async def test_a_database_that_is_away_for_twenty_seconds_is_told_at_once_and_waited_for(
    studio: Studio, postgres: Postgres, tmp_path: Path
) -> None:
    await studio.simulators.behave("instant", delay_seconds=4)
    await asyncio.gather(studio.station.api(), studio.station.runners(3))
    work = rush(studio, tmp_path, booths=100, count=1)
    ingest = studio.station.media.folder("ingest")

    async def outage() -> None:
        await studio.until(lambda rows: len(rows) == 100, seconds=30)
        before = {path.name for path in ingest.iterdir()}
        await postgres.stop(FAST)
        gone = time.monotonic()
        while time.monotonic() - gone < 20:
            began = time.monotonic()
            answer = await studio.post(photo_bytes(seed=5))
            assert time.monotonic() - began < 2.0
            assert (answer.status_code, answer.json()["failure_reason"]) == (503, "database_unavailable")
            assert {path.name for path in ingest.iterdir()} <= before
            began = time.monotonic()
            assert (await studio.http.get(f"{studio.station.url}/healthz")).status_code == 503
            assert time.monotonic() - began < 0.5
        await postgres.start()
        await studio.simulators.behave("instant")
        began = time.monotonic()
        while (answer := await studio.post(photo_bytes(seed=5))).status_code != 200:
            assert answer.json()["failure_reason"] == "database_unavailable"
            assert time.monotonic() - began < 2.0
            await asyncio.sleep(0.1)
        assert time.monotonic() - began < 4.0, "and its picture is there two seconds later"

    booths = asyncio.create_task(run_booths(work.plan))
    await outage()
    report = await booths
    assert await work.check(report, killed=False) == {"done": 101}
    assert not refused(report)


async def test_killed_connections_to_the_database_lose_no_photo(
    studio: Studio, postgres: Postgres, tmp_path: Path, chance: random.Random
) -> None:
    await studio.simulators.behave("instant", delay_seconds=1)
    await asyncio.gather(studio.station.api(), studio.station.runners(2))
    work = rush(studio, tmp_path, booths=40, count=5)

    async def kill_backends() -> None:
        for _ in range(12):
            await asyncio.sleep(chance.uniform(0.1, 0.6))
            with psycopg.connect(postgres.url, autocommit=True) as connection:
                connection.execute("SELECT pg_terminate_backend(%s)", [chance.choice(postgres.backends())])
        os.kill(chance.choice(postgres.backends()), signal.SIGKILL)  # the server restarts itself after that

    report = await work.during(kill_backends)
    counted = await work.check(report, killed=False)
    assert set(refused(report)) <= {"503 database_unavailable"}
    assert set(counted) == {"done"}


async def test_a_job_that_fails_while_the_database_is_away_beyond_its_deadline_stops_no_runner(
    studio: Studio, postgres: Postgres
) -> None:
    async with studio.db.begin() as conn:
        await conn.execute(update(slot).values(sync_response_seconds=10))
    await studio.simulators.behave("instant", delay_seconds=3, times=1)
    _, runner = await asyncio.gather(studio.station.api(), studio.station.runner())
    posting = asyncio.create_task(studio.post())
    await studio.calls(in_flight=1)
    await postgres.stop(FAST)
    work = studio.station.media.folder("work")
    work.rename(work.with_name("elsewhere"))  # there will be no place for the picture
    assert (await posting).status_code in {503, 504}
    await postgres.start()
    work.with_name("elsewhere").rename(work)
    line = await runner.told("job_stepped")
    assert line["became"] in {"lost", "too_late"}
    assert (await studio.post(photo_bytes(seed=5))).status_code == 200
    runner.terminate()
    assert await runner.exit_code() == 0
