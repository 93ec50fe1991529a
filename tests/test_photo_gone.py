"""The photo of people goes when its job is final, whoever is left to see to it.

What runners and answers remove by themselves is tested beside them (test_runner.py, test_answers.py); here something is
missing: the booth, the API, the runner, or all of them.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from cleanup.open_jobs import STEP_GRACE_SECONDS, finished_photos, overdue_jobs
from cleanup.scope import BATCH
from photochanger import app_settings
from photochanger.db import Database
from photochanger.jobs import FINAL, OPEN, Status
from photochanger.media import Media
from photochanger.tables import job
from tests.processes import PHOTO, Studio, opened
from tests.queue_rows import fill, job_in, overdue, queue, row, until
from tests.sweeping import scope, write

pytestmark = pytest.mark.anyio

DEADLINE_SECONDS = 4
PROMPT_SECONDS = 15.0
"""Until the daemon has certainly come by, on a machine with much else to do."""
COPIES = ("ingest", "work", "work/previews", "provider")


@pytest.fixture
async def studio(database_url: str, tmp_path: Path, http: httpx.AsyncClient) -> AsyncIterator[Studio]:
    async with opened(tmp_path, database_url, http=http) as studio:
        async with studio.db.begin() as conn:
            await app_settings.store(conn, "sync_response_seconds", DEADLINE_SECONDS, by="test")
        yield studio


def photos(studio: Studio) -> list[str]:
    """Whatever lies in a folder in which a photo or a copy of one may lie."""
    return [
        f"{folder}/{path.name}"
        for folder in COPIES
        for path in studio.station.media.folder(folder).iterdir()
        if path.is_file()
    ]


async def until_gone(studio: Studio) -> None:
    async def gone() -> bool:
        return not photos(studio)

    await until(gone, seconds=PROMPT_SECONDS)
    rows = await studio.until(lambda rows: all(one.status in FINAL for one in rows))
    assert rows


async def test_when_the_booth_goes_the_photo_still_goes_with_its_job(studio: Studio) -> None:
    await studio.simulators.behave("instant", delay_seconds=1)
    await asyncio.gather(studio.station.api(), studio.station.runner())
    (posting,) = await studio.posts(1)
    assert photos(studio)
    posting.cancel()
    await studio.until(lambda rows: rows[0].status == "done")
    await until_gone(studio)


async def test_when_the_booth_goes_and_nobody_answers_the_photo_goes_at_the_deadline(studio: Studio) -> None:
    await studio.station.api()
    (posting,) = await studio.posts(1)
    posting.cancel()
    (kept,) = await studio.until(lambda rows: rows[0].status == "timeout", seconds=PROMPT_SECONDS)
    await until_gone(studio)
    assert (kept.failure_reason, kept.runner, photos(studio)) == ("timeout", None, [])


@pytest.mark.parametrize("killed", ["api", "both"])
async def test_when_processes_are_killed_the_daemon_removes_the_photo_and_its_copies(
    studio: Studio, killed: str
) -> None:
    """Without an API the daemon closes the job; without a runner it also clears what the step has left in work/."""
    await studio.simulators.behave("silent")
    api, runner = await asyncio.gather(studio.station.api(), studio.station.runner())
    cleanup = studio.station.start("cleanup")
    await cleanup.told("sweep_finished", sweep="storage_figures")
    (posting,) = await studio.posts(1)
    await studio.calls(in_flight=1)
    assert {name.partition("/")[0] for name in photos(studio)} == {"ingest", "work"}
    api.kill()
    if killed == "both":
        runner.kill()
    with pytest.raises(httpx.TransportError):
        await posting
    await until_gone(studio)
    (found,) = await studio.until(lambda rows: True)
    assert found.status == "timeout"


async def test_when_a_runner_is_killed_and_the_call_must_not_be_repeated_the_photo_goes_with_the_failure(
    studio: Studio,
) -> None:
    await studio.set_slots(retries=0, repeat_interrupted=False)
    async with studio.db.begin() as conn:
        await app_settings.store(conn, "sync_response_seconds", 30, by="test")
    await studio.simulators.behave("silent")
    _, victim = await asyncio.gather(studio.station.api(), studio.station.runner())
    (posting,) = await studio.posts(1, PHOTO)
    await studio.calls(in_flight=1)
    await studio.station.runner()
    victim.kill()
    answer = await posting
    assert answer.json()["failure_reason"] == "interrupted"
    assert not [name for name in photos(studio) if name.startswith("ingest/")]


async def test_the_photo_of_a_final_job_goes_at_once_and_that_of_an_open_one_stays(db: Database, media: Media) -> None:
    """A runner was killed between the commit and the removal."""
    kept: list[Path] = []
    gone: list[Path] = []
    for status in Status:
        job_id, _ = await job_in(db, status)
        (kept if status in OPEN else gone).append(write(media.path_of(f"ingest/{job_id}")))
    unknown = write(media.path_of(f"ingest/{'0' * 32}"))  # its row may come in this moment
    strange = write(media.folder("ingest") / "IMG_0001.JPG")
    swept = await finished_photos(scope(db, media))
    assert (swept.files, swept.bytes) == (3, 21)
    assert all(path.exists() for path in (*kept, unknown, strange))
    assert not any(path.exists() for path in gone)
    assert (await finished_photos(scope(db, media))).count == 0


async def test_what_a_step_made_of_the_photo_goes_when_no_step_can_be_at_it_any_more(
    db: Database, media: Media
) -> None:
    folders = ("work", "work/previews")
    made = {}
    for status, seconds_ago in (
        (Status.FAILED, STEP_GRACE_SECONDS + 1),
        (Status.TIMEOUT, STEP_GRACE_SECONDS - 4),
        (Status.RUNNING, STEP_GRACE_SECONDS + 1),
    ):
        job_id, _ = await job_in(db, status)
        async with db.at_once() as conn:
            await overdue(conn, job_id, seconds=seconds_ago)
        made[status] = [write(media.folder(folder) / f"{job_id}-1-photo.jpg") for folder in folders]
    await finished_photos(scope(db, media))
    assert {status: [path.exists() for path in paths] for status, paths in made.items()} == {
        Status.FAILED: [False, False],
        Status.TIMEOUT: [True, True],
        Status.RUNNING: [True, True],
    }


async def test_an_overdue_jobs_photo_goes_with_its_verdict(db: Database, media: Media) -> None:
    job_id = await queue(db)
    photo = write(media.path_of(f"ingest/{job_id}"))
    async with db.at_once() as conn:
        await overdue(conn, job_id, seconds=10)
    assert (await finished_photos(scope(db, media))).count == 0
    assert (await overdue_jobs(scope(db, media))).count == 1
    assert (await finished_photos(scope(db, media))).count == 1
    assert not photo.exists()
    assert (await row(db, job_id)).status == "timeout"


async def test_more_photos_than_a_batch_go_in_one_sweep(db: Database, media: Media) -> None:
    ids = await fill(db, BATCH + 10)
    for job_id in ids:
        write(media.path_of(f"ingest/{job_id}"))
    async with db.begin() as conn:
        final = {"status": "failed", "finished_at": job.c.created_at, "failure_reason": "quota"}
        await conn.execute(update(job).where(job.c.job_id != ids[0]).values(final))
    assert (await finished_photos(scope(db, media))).count == BATCH + 9
    assert [path.name for path in media.folder("ingest").iterdir()] == [ids[0]]


async def test_a_look_at_the_photos_in_work_costs_next_to_nothing(db: Database, media: Media) -> None:
    """The daemon does it every two seconds."""
    for job_id in await fill(db, 300):
        write(media.path_of(f"ingest/{job_id}"))
    began = time.monotonic()
    for _ in range(10):
        assert (await finished_photos(scope(db, media))).count == 0
    assert (time.monotonic() - began) / 10 < 0.5
