"""Killed and frozen processes with hundreds of jobs in flight: what was taken in is answered, once; nothing is left.

The seeds of what happens at random are printed; CHAOS_SEED repeats one.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select, update

from photochanger.tables import runner as runner_table
from photochanger.tables import slot
from tests.booths import photo_bytes
from tests.processes import Studio
from tests.queue_rows import until_blocked
from tests.rush import refused, rush, seeded, without_limit
from tests.stoppable_postgres import Postgres, stoppable

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


async def test_twenty_killed_runners_among_two_hundred_photos(
    studio: Studio, tmp_path: Path, chance: random.Random
) -> None:
    await studio.simulators.behave("instant", delay_seconds=1)
    _, runners = await asyncio.gather(studio.station.api(), studio.station.runners(3))
    work = rush(studio, tmp_path, booths=40, count=5)

    async def kill_runners() -> None:
        for _ in range(20):
            await asyncio.sleep(chance.uniform(0.1, 1.2))
            runners.pop(chance.randrange(len(runners))).kill()
            runners.append(studio.station.start("runner"))

    report = await work.during(kill_runners)
    counted = await work.check(report, killed=True)
    assert sum(counted.values()) == 200
    assert set(refused(report)) <= {"503 interrupted", "504 timeout"}
    assert counted["timeout"] <= 10


async def test_a_runner_that_was_frozen_for_thirty_seconds_changes_nothing(studio: Studio, tmp_path: Path) -> None:
    await studio.simulators.behave("instant", delay_seconds=2)
    _, runners = await asyncio.gather(studio.station.api(), studio.station.runners(3))
    work = rush(studio, tmp_path, booths=50, count=4)

    async def freeze() -> None:
        await asyncio.sleep(3)
        runners[0].freeze()

    report = await work.during(freeze)
    await asyncio.sleep(max(0.0, 30 - report.seconds))
    before = await studio.until(lambda rows: len(rows) == 200)
    runners[0].thaw()
    await asyncio.sleep(3)
    assert runners[0].lines("job_stepped", became="lost"), "it had something in hand"
    assert await studio.until(lambda rows: len(rows) == 200) == before
    assert await work.check(report, killed=False) == {"done": 200}


async def test_a_runner_that_was_frozen_in_the_middle_of_a_transaction_goes_on(studio: Studio) -> None:
    """The server ends a transaction that idles: for the runner that is a database that was away."""
    _, runner = await asyncio.gather(studio.station.api(), studio.station.runner())
    assert (await studio.post()).status_code == 200
    async with studio.db.begin() as conn:
        assert list(await conn.execute(select(runner_table).with_for_update()))
        await until_blocked(studio.db)  # its heart
        runner.freeze()
    await asyncio.sleep(12)
    runner.thaw()
    assert (await studio.post(photo_bytes(seed=5))).status_code == 200
    assert runner.popen.poll() is None
    await studio.assert_all_holds()


async def test_a_job_whose_api_was_killed_has_its_verdict_five_seconds_after_its_deadline(studio: Studio) -> None:
    async with studio.db.begin() as conn:
        await conn.execute(update(slot).values(sync_response_seconds=10))
    await studio.simulators.behave("silent")
    api, _ = await asyncio.gather(studio.station.api(), studio.station.runner())
    cleanup = studio.station.start("cleanup")
    posting = asyncio.create_task(studio.post())
    await studio.calls(in_flight=1)
    await cleanup.told("sweep_finished")
    api.kill()
    with pytest.raises(httpx.TransportError):
        await posting
    await studio.station.api()
    await studio.assert_all_holds(killed=True)


async def test_chaos_a_thousand_photos_and_twenty_kills_of_runners_and_apis(
    studio: Studio, tmp_path: Path, chance: random.Random
) -> None:
    await studio.simulators.behave("instant", delay_seconds=0.5)

    apis, runners = [await studio.station.api(), await studio.station.api()], await studio.station.runners(3)
    studio.station.start("cleanup")
    work = rush(studio, tmp_path, booths=40, count=25)

    async def chaos() -> None:
        for _ in range(20):
            await asyncio.sleep(chance.uniform(0.5, 3.5))
            if chance.random() < 0.4:
                apis.pop(chance.randrange(len(apis))).kill()
                apis.append(studio.station.start_api())
            else:
                runners.pop(chance.randrange(len(runners))).kill()
                runners.append(studio.station.start("runner"))

    report = await work.during(chaos)
    counted = await work.check(report, killed=True)
    lost = ("the connection was lost before the answer came", "200 the answer is cut short, or does not say its length")
    assert set(refused(report)) <= {"503 interrupted", "504 timeout", *lost}, refused(report)
    assert counted["done"] >= 900
