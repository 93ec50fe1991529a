"""Faults with hundreds of jobs in flight on real processes: what was taken in is answered, once, and nothing is left.

The seeds of what happens at random are printed; CHAOS_SEED repeats one.
"""

import asyncio
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from sqlalchemy import select, update

from photochanger import app_settings, embedded, migrate
from photochanger.db import Database
from photochanger.tables import runner as runner_table
from photochanger.tables import slot
from simulators.booth import SLOTS, Plan, run_booths
from simulators.booth_report import Report
from tests.booths import photo_bytes
from tests.invariants import assert_all_holds, given_to_booths
from tests.processes import Studio, opened
from tests.queue_rows import until_blocked
from tests.serving import PASSWORD

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(900)]

FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT
"""How a postmaster is told to stop."""
NO_LIMIT = 1_000
BACK_SECONDS = 2.0
"""So long after a fault everything answers again."""


@dataclass(frozen=True)
class Postgres:
    """A server of this test's own, that may be stopped."""

    home: Path
    url: str

    def pid(self) -> int:
        return int((self.home / embedded.FOLDER / "postmaster.pid").read_text().splitlines()[0])

    async def stop(self, how: signal.Signals) -> None:
        postmaster = psutil.Process(self.pid())
        postmaster.send_signal(how)
        await asyncio.to_thread(postmaster.wait, 20)

    async def start(self) -> None:
        def again() -> None:
            embedded.start(self.home).start()  # it may have this one for a running server still

        await asyncio.to_thread(again)

    def backends(self) -> list[int]:
        """The server's processes that serve PhotoChanger."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'photochanger'"
            return [row[0] for row in connection.execute(query)]


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    home = Path(tempfile.mkdtemp(prefix="photochanger-faults-"))
    server = embedded.start(home)
    try:
        url = str(server.get_uri())
        migrate.migrate(url)
        yield Postgres(home, url)
    finally:
        embedded.stop(server)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
async def studio(postgres: Postgres, tmp_path: Path, http: httpx.AsyncClient) -> AsyncIterator[Studio]:
    async with opened(tmp_path, postgres.url, http=http) as studio:
        async with studio.db.begin() as conn:
            await app_settings.store(conn, "ingest.photos_in_work_per_slot", NO_LIMIT, by="test")
        yield studio


@pytest.fixture
def chance() -> random.Random:
    seed = int(os.environ.get("CHAOS_SEED") or time.time_ns() % 1_000_000)
    sys.stdout.write(f"CHAOS_SEED={seed}\n")
    return random.Random(seed)


@dataclass(frozen=True, kw_only=True)
class Rush:
    """Booths at work while something happens."""

    studio: Studio
    saved: Path
    plan: Plan

    async def during(self, happening: Callable[[], Awaitable[None]]) -> Report:
        """Let the booths work, and this happen meanwhile; fails when it is not over before them."""
        booths = asyncio.create_task(run_booths(self.plan))
        try:
            await happening()
            assert not booths.done(), "the booths were done before it was over"
        except BaseException:
            booths.cancel()
            raise
        return await booths

    async def check(self, report: Report, *, killed: bool) -> Counter[str]:
        """The invariants, and that a plain photo is quick again. The jobs by their status."""
        studio = self.studio
        await asyncio.sleep(BACK_SECONDS)
        calls = (await studio.simulators.read("gemini/stats"))["requests"]
        async with Database(studio.station.environment["DATABASE_URL"]) as db:  # the studio's own may be in pieces
            counted = await assert_all_holds(
                db,
                studio.station.media,
                given_to_booths(report, saved=self.saved),
                url=studio.station.url,
                http=studio.http,
                calls=calls,
                killed=killed,
            )
        sys.stdout.write(f"{report.table()}\n{dict(counted)}, {calls} calls\n")
        await studio.simulators.behave("instant")
        began = time.monotonic()
        assert (await studio.post(photo_bytes(seed=9))).status_code == 200
        assert time.monotonic() - began < 2.0
        return counted


def rush(studio: Studio, folder: Path, *, booths: int, count: int, timeout_seconds: float = 75.0) -> Rush:
    photo, saved = folder / "photo.jpg", folder / "saved"
    photo.write_bytes(photo_bytes())
    saved.mkdir()
    plan = Plan(
        url=studio.station.url,
        password=PASSWORD.decode(),
        slots=SLOTS,
        photo=photo,
        booths=booths,
        count=count,
        unique=True,
        save=saved,
        timeout_seconds=timeout_seconds,
    )
    return Rush(studio=studio, saved=saved, plan=plan)


def refused(report: Report) -> Counter[str]:
    """The outcomes that are no pictures."""
    return Counter(answer.outcome for answer in report.answers if answer.problem is not None)


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
