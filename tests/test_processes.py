"""Real processes and real signals: what a stop, a kill and a freeze do to photos in work."""

import asyncio
import hashlib
import io
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from PIL import Image
from sqlalchemy import select, update

from photochanger.media import MARKER
from photochanger.tables import job_attempt, slot
from tests.booths import photo_bytes
from tests.pictures import photo
from tests.processes import Studio, opened
from tests.queue_rows import claim_one, events, row, until
from tests.simulated import simulated

pytestmark = pytest.mark.anyio
LONG_LEASE_SECONDS = 6.0
"""Longer than a runner's lease."""


def slow_photo() -> bytes:
    """One of 8 megapixels that lies on its side: it takes its time to be prepared."""
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    with Image.open(io.BytesIO(photo())) as image:
        image.save(file, "JPEG", exif=exif)
    return file.getvalue()


@pytest.fixture
async def studio(database_url: str, tmp_path: Path, http: httpx.AsyncClient) -> AsyncIterator[Studio]:
    async with opened(tmp_path, database_url, http=http) as studio:
        yield studio


async def test_a_runner_that_is_told_to_stop_finishes_the_call_that_is_out(studio: Studio) -> None:
    await studio.simulators.behave("ok", delay_seconds=1.5)
    _, runner = await asyncio.gather(studio.station.api(), studio.station.runner())
    posting = asyncio.create_task(studio.post())
    await studio.calls(in_flight=1)
    runner.terminate()
    assert await runner.exit_code() == 0
    assert (await posting).status_code == 200
    assert runner.lines("runner_stopped")
    async with studio.db.at_once() as conn:
        assert (await conn.execute(select(job_attempt.c.outcome))).scalars().all() == ["ok"]
    await studio.assert_all_holds()


async def test_a_runner_that_is_told_to_stop_gives_back_what_has_not_begun(studio: Studio) -> None:
    await studio.simulators.behave("instant", delay_seconds=1)
    _, runner = await asyncio.gather(studio.station.api(), studio.station.runner())
    runner.freeze()
    posting = await studio.posts(12, slow_photo())
    runner.thaw()
    await studio.until(lambda rows: all(one.status == "running" for one in rows))
    runner.terminate()
    assert await runner.exit_code() == 0
    rows = await studio.until(lambda rows: all(one.status in {"queued", "done"} for one in rows))
    given_back = [one for one in rows if one.status == "queued"]
    assert given_back, "all calls were out already"
    for one in given_back:
        assert one.attempt == 0
        assert await events(studio.db, one.job_id) == ["queued", "claimed", "released"]
    await studio.station.runner()
    assert [(await answer).status_code for answer in posting] == [200] * 12
    assert (await studio.simulators.read("gemini/stats"))["requests"] == 12
    await studio.assert_all_holds()


async def test_an_api_that_is_told_to_stop_answers_the_requests_that_wait(studio: Studio) -> None:
    await studio.simulators.behave("ok", delay_seconds=1.5)
    first, runner = await asyncio.gather(studio.station.api(), studio.station.runner())
    posting = await studio.posts(6)
    first.terminate()
    second = await studio.station.api()  # on the same socket, as supervisor starts it
    late = asyncio.create_task(studio.post(slot="slot-007"))
    assert await first.exit_code() == 0
    assert [(await answer).status_code for answer in [*posting, late]] == [200] * 7
    assert len(first.lines("request_finished", status=200, path="/ingest/slot-001")) == 1
    await second.told("request_finished", status=200, path="/ingest/slot-007")
    for process in (runner, second):
        process.terminate()
        assert await process.exit_code() == 0
    await studio.station.api()
    await studio.assert_all_holds()


async def test_a_rolling_restart_loses_no_connection(studio: Studio) -> None:
    """A booth opens one for every photo, also in the moment in which a process stops listening."""
    address = studio.station.socket.getsockname()
    answers: Counter[bytes] = Counter()
    over = asyncio.Event()

    async def visit() -> None:
        while not over.is_set():
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            try:
                answers[(await reader.read())[:12]] += 1
            except ConnectionError:
                answers[b"reset"] += 1
            writer.close()

    process = await studio.station.api()
    async with asyncio.TaskGroup() as visitors:
        for _ in range(20):
            visitors.create_task(visit())
        for _ in range(3):
            following = await studio.station.api()
            process.terminate()
            assert await process.exit_code() == 0
            process = following
        over.set()
    assert set(answers) == {b"HTTP/1.1 200"}, answers


async def test_a_killed_runners_call_is_made_again_where_the_slot_allows_it_and_fails_where_not(
    studio: Studio,
) -> None:
    await studio.set_slots(retries=1, repeat_interrupted=True)
    async with studio.db.begin() as conn:
        strict = {"prompt": "once only", "retries": 1, "repeat_interrupted": False}
        await conn.execute(update(slot).where(slot.c.slot_id == "slot-002").values(settings=strict))
    await studio.simulators.behave("slow", times=2)
    _, victim = await asyncio.gather(studio.station.api(), studio.station.runner())
    posting = await studio.posts(2)
    await studio.calls(in_flight=2)
    children = victim.children()
    other = await studio.station.runner()
    loop = asyncio.get_running_loop()
    killed = loop.time()
    victim.kill()
    repeated, failed = await asyncio.gather(*posting)
    assert loop.time() - killed < 8.0
    assert repeated.status_code == 200, repeated.text
    assert (failed.status_code, failed.json()["failure_reason"]) == (503, "interrupted")
    assert other.lines("jobs_taken_back", jobs=2)
    assert await events(studio.db, repeated.headers["x-job-id"]) == [
        "queued", "claimed", "released", "claimed", "finished",
    ]  # fmt: skip
    _, alive = psutil.wait_procs(children, timeout=2)
    assert not alive, "the decoding children of a killed runner end with it"
    assert (await studio.simulators.read("gemini/stats"))["requests"] == 3
    await studio.assert_all_holds(killed=True)


async def test_a_frozen_runners_late_finish_changes_nothing(studio: Studio) -> None:
    await studio.set_slots(retries=1, repeat_interrupted=True)
    await studio.simulators.behave("instant", mime="image/png", delay_seconds=3, times=1)
    _, frozen = await asyncio.gather(studio.station.api(), studio.station.runner())
    posting = asyncio.create_task(studio.post())
    await studio.calls(in_flight=1)
    frozen.freeze()
    await studio.station.runner()
    answer = await posting
    assert answer.status_code == 200
    kept = await row(studio.db, answer.headers["x-job-id"])
    assert kept.result_mime == "image/jpeg"
    frozen.thaw()
    line = await frozen.told("job_stepped", seconds=5)
    assert (line["became"], line["claim"]) == ("lost", 1)
    assert await row(studio.db, kept.job_id) == kept
    assert sorted(path.name for path in studio.station.media.root.rglob("*") if path.is_file()) == [
        MARKER,
        f"{kept.job_id}.jpg",
        f"{kept.job_id}.webp",
    ]
    await studio.assert_all_holds()


async def test_a_claim_whose_answer_was_lost_is_not_held_by_a_living_runner(studio: Studio, database_url: str) -> None:
    """The connection breaks after the claim's commit: the job is the runner's, and the runner does not know it."""
    async with studio.db.begin() as conn:
        await conn.execute(update(slot).values(sync_response_seconds=10))
    _, runner = await asyncio.gather(studio.station.api(), studio.station.runner())
    name = (await runner.told("runner_started"))["runner"]
    assert (await studio.post(photo_bytes(seed=2))).status_code == 200
    runner.freeze()
    posting = asyncio.create_task(studio.post())
    await studio.until(lambda rows: len(rows) == 2)
    claimed = await claim_one(studio.db, runner=name)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    runner.thaw()
    await runner.told("claim_failed")
    answer = await posting
    assert answer.headers["x-job-id"] == claimed.job_id
    assert answer.status_code == 200, answer.text


@pytest.mark.slow
async def test_runners_that_were_all_frozen_do_not_rob_each_other_when_they_wake(studio: Studio) -> None:
    """A laptop that was closed, a machine that was moved: every lease has run out, and nobody is dead."""
    await studio.simulators.behave("instant", delay_seconds=1.5)
    _, first, second = await asyncio.gather(
        studio.station.api(),
        studio.station.runner(RUNNER_CONCURRENCY="1"),
        studio.station.runner(RUNNER_CONCURRENCY="1"),
    )
    posting = await studio.posts(2)
    await studio.calls(in_flight=2)
    for process in (first, second):
        process.freeze()
    await asyncio.sleep(LONG_LEASE_SECONDS)
    first.thaw()
    await asyncio.sleep(0.2)
    second.thaw()
    assert [(await answer).status_code for answer in posting] == [200, 200]
    assert not first.lines("jobs_taken_back")
    assert (await studio.simulators.read("gemini/stats"))["requests"] == 2
    await studio.assert_all_holds()


async def test_the_jobs_of_a_killed_api_are_finished_and_found_by_id_and_key(studio: Studio) -> None:
    await studio.simulators.behave("instant", delay_seconds=1)
    api, _ = await asyncio.gather(studio.station.api(), studio.station.runner())
    posting = [
        asyncio.create_task(studio.post(slot=f"slot-{number:03}", headers={"Idempotency-Key": f"shot-{number}"}))
        for number in range(1, 13)
    ]
    await studio.until(lambda rows: len(rows) == 12)
    api.kill()
    lost = await asyncio.gather(*posting, return_exceptions=True)
    assert all(isinstance(answer, httpx.TransportError) for answer in lost)
    rows = await studio.until(lambda rows: all(one.status == "done" for one in rows))
    await studio.station.api()
    for one in rows:
        picture = (await studio.http.get(f"{studio.station.url}/public/results/{one.job_id}")).content
        assert hashlib.sha256(picture).digest() == one.result_sha256
        again = await studio.post(slot=one.slot_id, headers={"Idempotency-Key": f"shot-{int(one.slot_id[-3:])}"})
        assert (again.status_code, again.headers["x-duplicate-of"]) == (200, one.job_id)
        assert again.content == picture
    await studio.assert_all_holds()


async def test_a_killed_simulator_leaves_runner_and_api_in_good_order(studio: Studio) -> None:
    """The provider dies in the middle of a call: the answer may have been paid for, and is not bought again."""
    await studio.set_slots(retries=1, repeat_interrupted=False)
    simulators = studio.station.start("simulators", "--port", "0", "--delay", "20")
    url = (await simulators.told("simulators_started"))["url"]
    await asyncio.gather(studio.station.api(), studio.station.runner(GEMINI_BASE_URL=f"{url}/gemini"))
    posting = asyncio.create_task(studio.post())
    async with simulated(url) as watched:

        async def called() -> bool:
            return bool((await watched.read("gemini/stats"))["in_flight"])

        await until(called, seconds=10)
    simulators.kill()
    answer = await posting
    assert (answer.status_code, answer.json()["failure_reason"]) == (503, "interrupted")
    async with studio.db.at_once() as conn:
        assert (await conn.execute(select(job_attempt.c.outcome))).scalars().all() == ["ambiguous"]
