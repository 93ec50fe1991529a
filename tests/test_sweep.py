"""All sweeps together: one at a time, none stopped by another, and a disk that is away loses nothing."""

import asyncio
import secrets
from typing import Any

import pytest
import structlog
from sqlalchemy import select, text

from cleanup.open_jobs import OVERDUE_GRACE_SECONDS, overdue_jobs
from cleanup.sweep import LOCK, SWEEPS, sweep_all
from photochanger import jobs
from photochanger.db import Database
from photochanger.jobs import OPEN
from photochanger.media import Media
from photochanger.tables import job
from tests.queue_rows import claim_one, events, job_in, overdue, queue, result_of, row, until_blocked
from tests.sweeping import HOURS, done, media_of, scope, write

pytestmark = pytest.mark.anyio


async def test_overdue_jobs_that_nobody_closed_are_closed_after_a_moment(db: Database, media: Media) -> None:
    found = {}
    for status in OPEN:
        for seconds in (OVERDUE_GRACE_SECONDS - 1, OVERDUE_GRACE_SECONDS + 1):
            job_id, _ = await job_in(db, status)
            async with db.at_once() as conn:
                await overdue(conn, job_id, seconds=seconds)
            found[job_id] = "timeout" if seconds > OVERDUE_GRACE_SECONDS else status.value
    assert (await overdue_jobs(scope(db, media))).count == 3
    assert {job_id: (await row(db, job_id)).status for job_id in found} == found
    assert (await overdue_jobs(scope(db, media))).count == 0


@pytest.mark.parametrize("missing", ["the whole root", "the results"])
async def test_a_disk_that_is_away_for_a_while_loses_no_result(db: Database, media: Media, missing: str) -> None:
    """Without its folders nothing is known of the files; once they are back, every result is there again."""
    job_id, paths = await done(db, media, expired=False, age_seconds=2 * HOURS)
    away = media.root if missing == "the whole root" else media.folder("results")
    away.rename(away.with_name("away"))
    await sweep_all(scope(db, media))
    away.with_name("away").rename(away)
    await sweep_all(scope(db, media))
    assert (await row(db, job_id)).result_path == result_of(job_id).path
    assert [path.exists() for path in paths] == [True, True]


async def test_all_sweeps_run_and_tell_what_they_did(db: Database, media: Media) -> None:
    job_id = await queue(db)
    async with db.at_once() as conn:
        await overdue(conn, job_id, seconds=10)
    _, expired = await done(db, media, expired=True)
    lost, (gone, _) = await done(db, media, expired=False)
    gone.unlink()
    orphan = write(media.folder("ingest") / secrets.token_hex(16), age_seconds=2 * HOURS)
    _, link = await media_of(db, media, kind="upload", expires_in_seconds=-1)
    with structlog.testing.capture_logs() as lines:
        assert await sweep_all(scope(db, media))
    assert {line["sweep"]: line["count"] for line in lines if line["event"] == "sweep_finished"} == {
        **dict.fromkeys(SWEEPS, 0),
        "overdue_jobs": 1,
        "expired_results": 1,
        "expired_media": 1,
        "orphaned_files": 1,
        "results_without_file": 1,
        "storage_figures": 9,
    }
    assert (await row(db, job_id)).status == "timeout"
    assert (await row(db, lost)).result_path is None
    assert not any(path.exists() for path in (*expired, orphan, link))


async def test_a_sweep_that_fails_stops_no_other(db: Database, media: Media) -> None:
    _, expired = await done(db, media, expired=True)
    lost, (gone, _) = await done(db, media, expired=False)
    gone.unlink()
    media.folder("work").rename(media.root / "elsewhere")  # what lies there cannot be looked at
    with structlog.testing.capture_logs() as lines:
        assert await sweep_all(scope(db, media))
    assert [line["sweep"] for line in lines if line["event"] == "sweep_failed"] == [
        "finished_photos",
        "orphaned_files",
        "storage_figures",
    ]
    assert not any(path.exists() for path in expired)
    assert (await row(db, lost)).result_path is None


async def _blocked_sweep(db: Database, media: Media, during: Any) -> bool:
    """A sweep that is held up in the middle while `during` runs: an overdue job's row is locked."""
    job_id = await queue(db)
    async with db.at_once() as conn:
        await overdue(conn, job_id, seconds=10)
    async with db.begin() as conn:
        await conn.execute(select(job.c.job_id).where(job.c.job_id == job_id).with_for_update())
        sweeping = asyncio.create_task(sweep_all(scope(db, media)))
        await until_blocked(db)
        await during()
    return bool(await sweeping)


async def test_of_two_sweeps_at_once_one_skips(db: Database, media: Media) -> None:
    async def second() -> None:
        assert not await sweep_all(scope(db, media))

    assert await _blocked_sweep(db, media, second)
    assert await sweep_all(scope(db, media)), "the first sweep has kept its lock"


async def test_a_sweeper_that_dies_leaves_no_lock(database_url: str, db: Database, media: Media) -> None:
    async def kill() -> None:
        async with db.at_once() as conn:
            holder = text(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = :lock"
            )
            await conn.execute(holder, {"lock": LOCK})

    async with Database(database_url, connections=3) as other:
        await asyncio.gather(_blocked_sweep(other, media, kill), return_exceptions=True)
    assert await sweep_all(scope(db, media))


async def test_a_photo_that_is_finished_during_the_sweep_keeps_its_result(db: Database, media: Media) -> None:
    await queue(db)
    held = await claim_one(db)
    result = result_of(held.job_id)

    async def finish() -> None:
        async with db.begin() as conn:
            assert await jobs.finish(conn, held, result=result, ttl_hours=72)
            for relative in (result.path, result.preview_path):
                write(media.path_of(relative), age_seconds=1.5)

    assert await _blocked_sweep(db, media, finish)
    assert media.path_of(result.path).exists()
    assert (await row(db, held.job_id)).result_path == result.path
    assert (await events(db, held.job_id))[-1] == "finished"
