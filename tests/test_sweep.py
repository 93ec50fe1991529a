"""The sweeps: what is past its time goes, what is still needed stays, and a crash between two steps harms nothing."""

import asyncio
import os
import secrets
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import func, insert, select, text, update

from cleanup import sweep
from cleanup.sweep import (
    BATCH,
    LOCK,
    expired_media,
    expired_results,
    orphaned_files,
    overdue_jobs,
    results_without_file,
    sweep_all,
)
from photochanger import jobs
from photochanger.db import Database
from photochanger.jobs import OPEN, Status
from photochanger.media import FOLDERS, Media
from photochanger.tables import job, media_object
from tests.queue_rows import claim_one, events, fill, job_in, overdue, queue, result_of, row, until_blocked

pytestmark = pytest.mark.anyio

HOURS = 3600.0


def write(path: Path, *, age_seconds: float = 0.0) -> Path:
    """A file last touched so long ago."""
    path.write_bytes(b"picture")
    then = time.time() - age_seconds
    os.utime(path, (then, then))
    return path


async def done(db: Database, media: Media, *, expired: bool, age_seconds: float = 0.0) -> tuple[str, list[Path]]:
    """A done job with its two files."""
    job_id, _ = await job_in(db, Status.DONE)
    if expired:
        await expire_result(db, job_id)
    result = result_of(job_id)
    paths = [media.path_of(result.path), media.path_of(result.preview_path)]
    return job_id, [write(path, age_seconds=age_seconds) for path in paths]


async def expire_result(db: Database, job_id: str) -> None:
    async with db.at_once() as conn:
        past = func.now() - timedelta(seconds=0.001)
        await conn.execute(update(job).where(job.c.job_id == job_id).values(result_expires_at=past))


async def test_an_expired_results_files_go_and_its_row_stays(db: Database, media: Media) -> None:
    job_id, paths = await done(db, media, expired=True)
    before = await row(db, job_id)
    assert await expired_results(db, media) == 1
    assert [path.exists() for path in paths] == [False, False]
    after = await row(db, job_id)
    assert (after.status, after.result_path, after.preview_path) == ("done", None, None)
    assert (after.result_sha256, after.result_bytes) == (before.result_sha256, before.result_bytes)
    assert after.result_expires_at == before.result_expires_at
    assert await expired_results(db, media) == 0


async def test_a_result_stays_until_its_time_is_up(db: Database, media: Media) -> None:
    job_id, paths = await done(db, media, expired=False)
    assert await expired_results(db, media) == 0
    assert [path.exists() for path in paths] == [True, True]
    assert (await row(db, job_id)).result_path == result_of(job_id).path


async def test_a_result_that_was_swept_halfway_is_swept_whole(db: Database, media: Media) -> None:
    """The sweep died between the files and the row."""
    job_id, paths = await done(db, media, expired=True)
    paths[0].unlink()
    assert await expired_results(db, media) == 1
    assert not paths[1].exists()
    assert (await row(db, job_id)).result_path is None


async def test_a_sweep_that_is_cut_off_before_it_tells_the_row_is_made_good_by_the_next(
    db: Database, media: Media
) -> None:
    job_id, paths = await done(db, media, expired=True)
    async with db.begin() as conn:
        await conn.execute(select(job.c.job_id).with_for_update())
        sweeping = asyncio.create_task(expired_results(db, media))
        await until_blocked(db)
        sweeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sweeping
    assert [path.exists() for path in paths] == [False, False]
    assert (await row(db, job_id)).result_path == result_of(job_id).path
    assert await expired_results(db, media) == 1
    assert (await row(db, job_id)).result_path is None


async def test_more_than_a_batch_of_expired_results_goes_in_one_sweep(db: Database, media: Media) -> None:
    count = BATCH * 2 + 1
    await fill(db, count)
    async with db.at_once() as conn:
        await conn.execute(
            text(
                "UPDATE job SET status = 'done', finished_at = created_at, result_mime = 'image/jpeg',"
                " result_bytes = 1, result_sha256 = sha256(''), result_expires_at = now() - interval '1 s',"
                " result_path = 'results/' || replace(job_id::text, '-', '') || '.jpg'"
            )
        )
    assert await expired_results(db, media) == count
    async with db.at_once() as conn:
        left = select(func.count()).select_from(job).where(job.c.result_path.is_not(None))
        assert (await conn.execute(left)).scalar_one() == 0


async def test_one_result_that_cannot_be_removed_keeps_no_other(db: Database, media: Media) -> None:
    _, (path, _) = await done(db, media, expired=True)
    path.unlink()
    path.mkdir()
    _, others = await done(db, media, expired=True)
    await sweep_all(db, media)
    assert [other.exists() for other in others] == [False, False]


async def media_of(
    db: Database, media: Media, *, kind: str, expires_in_seconds: float | None, age_seconds: float = 0.0
) -> tuple[str, Path]:
    """A media object with its file."""
    media_id = secrets.token_hex(16)
    relative = f"{'templates' if kind == 'template' else 'provider'}/{media_id}.jpg"
    values = {
        "media_object_id": media_id,
        "kind": kind,
        "job_id": await queue(db) if kind == "provider_media" else None,
        "path": relative,
        "mime": "image/jpeg",
        "bytes": 7,
        "sha256": b"\x01" * 32,
        "expires_at": None if expires_in_seconds is None else func.now() + timedelta(seconds=expires_in_seconds),
    }
    async with db.at_once() as conn:
        await conn.execute(insert(media_object).values(values))
    return media_id, write(media.path_of(relative), age_seconds=age_seconds)


async def test_an_expired_medias_file_goes_and_its_row_tells_when(db: Database, media: Media) -> None:
    over, gone = await media_of(db, media, kind="provider_media", expires_in_seconds=-0.001)
    _, upload = await media_of(db, media, kind="upload", expires_in_seconds=-1)
    _, lasting = await media_of(db, media, kind="provider_media", expires_in_seconds=30)
    _, template = await media_of(db, media, kind="template", expires_in_seconds=None)
    assert await expired_media(db, media) == 2
    assert [path.exists() for path in (gone, upload, lasting, template)] == [False, False, True, True]
    async with db.at_once() as conn:
        found = (await conn.execute(select(media_object).where(media_object.c.media_object_id == over))).one()
    assert found.path is None
    assert found.cleaned_at is not None
    assert await expired_media(db, media) == 0


async def test_templates_and_lasting_media_are_no_orphans_however_old(db: Database, media: Media) -> None:
    _, template = await media_of(db, media, kind="template", expires_in_seconds=None, age_seconds=9000 * HOURS)
    _, lasting = await media_of(db, media, kind="provider_media", expires_in_seconds=30, age_seconds=2 * HOURS)
    assert await orphaned_files(db, media) == 0
    assert [template.exists(), lasting.exists()] == [True, True]


async def test_a_file_without_a_row_goes_after_an_hour(db: Database, media: Media) -> None:
    for folder in FOLDERS:
        suffix = {"ingest": "", "work": "-1-photo.jpg", "work/previews": "-1.webp"}.get(folder, ".webp")
        old = write(media.folder(folder) / f"{secrets.token_hex(16)}{suffix}", age_seconds=1.01 * HOURS)
        strange = write(media.folder(folder) / "IMG_0001.JPG", age_seconds=2 * HOURS)
        young = write(media.folder(folder) / f"{secrets.token_hex(16)}{suffix}", age_seconds=0.99 * HOURS)
        assert await orphaned_files(db, media) == 2
        assert [path.exists() for path in (old, strange, young)] == [False, False, True]
        assert await orphaned_files(db, media) == 0
        assert media.folder("work/previews").is_dir()


async def test_old_files_stay_as_long_as_their_jobs_need_them(db: Database, media: Media) -> None:
    """The photo of an open job, what the step of a running one has made, the result that a row promises."""
    for status in Status:
        job_id, _ = await job_in(db, status)
        photo = write(media.path_of(f"ingest/{job_id}"), age_seconds=2 * HOURS)
        folders = ("work", "work/previews")
        made = [write(media.folder(folder) / f"{job_id}-1-answer", age_seconds=2 * HOURS) for folder in folders]
        names = (f"results/{job_id}.jpg", f"previews/{job_id}.webp")
        kept = [write(media.path_of(name), age_seconds=71 * HOURS) for name in names]
        await orphaned_files(db, media)
        assert photo.exists() == (status in OPEN), status
        assert [path.exists() for path in made] == [status is Status.RUNNING] * 2, status
        assert [path.exists() for path in kept] == [status is Status.DONE] * 2, status


async def test_more_than_a_batch_of_orphans_goes_in_one_sweep(db: Database, media: Media) -> None:
    for _ in range(BATCH + 1):
        write(media.folder("ingest") / secrets.token_hex(16), age_seconds=2 * HOURS)
    assert await orphaned_files(db, media) == BATCH + 1


async def test_overdue_jobs_that_nobody_closed_are_closed_after_a_moment(db: Database, media: Media) -> None:
    found = {}
    for status in OPEN:
        for seconds in (sweep.OVERDUE_GRACE_SECONDS - 1, sweep.OVERDUE_GRACE_SECONDS + 1):
            job_id, _ = await job_in(db, status)
            async with db.at_once() as conn:
                await overdue(conn, job_id, seconds=seconds)
            found[job_id] = "timeout" if seconds > sweep.OVERDUE_GRACE_SECONDS else status.value
    assert await overdue_jobs(db, media) == 3
    assert {job_id: (await row(db, job_id)).status for job_id in found} == found
    assert await overdue_jobs(db, media) == 0


async def test_a_result_whose_file_is_gone_is_told_and_no_longer_promised(db: Database, media: Media) -> None:
    lost, (path, _) = await done(db, media, expired=False)
    kept, paths = await done(db, media, expired=False)
    path.unlink()
    with structlog.testing.capture_logs() as lines:
        assert await results_without_file(db, media) == 1
    assert [(line["event"], line["job"]) for line in lines] == [("result_lost", lost)]
    assert (await row(db, lost)).result_path is None
    assert (await row(db, kept)).result_path == result_of(kept).path
    assert [path.exists() for path in paths] == [True, True]
    assert await results_without_file(db, media) == 0


@pytest.mark.parametrize("missing", ["the whole root", "the results"])
async def test_a_disk_that_is_away_for_a_while_loses_no_result(db: Database, media: Media, missing: str) -> None:
    """Without its folders nothing is known of the files; once they are back, every result is there again."""
    job_id, paths = await done(db, media, expired=False, age_seconds=2 * HOURS)
    away = media.root if missing == "the whole root" else media.folder("results")
    away.rename(away.with_name("away"))
    await sweep_all(db, media)
    away.with_name("away").rename(away)
    await sweep_all(db, media)
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
        assert await sweep_all(db, media)
    assert {line["sweep"]: line["count"] for line in lines if line["event"] == "sweep_finished"} == {
        "overdue_jobs": 1,
        "expired_results": 1,
        "expired_media": 1,
        "orphaned_files": 1,
        "results_without_file": 1,
    }
    assert (await row(db, job_id)).status == "timeout"
    assert (await row(db, lost)).result_path is None
    assert not any(path.exists() for path in (*expired, orphan, link))


async def test_a_sweep_that_fails_stops_no_other(db: Database, media: Media) -> None:
    _, expired = await done(db, media, expired=True)
    lost, (gone, _) = await done(db, media, expired=False)
    gone.unlink()
    media.folder("work").rename(media.root / "elsewhere")  # the orphans cannot be looked for
    with structlog.testing.capture_logs() as lines:
        assert await sweep_all(db, media)
    assert [line["sweep"] for line in lines if line["event"] == "sweep_failed"] == ["orphaned_files"]
    assert not any(path.exists() for path in expired)
    assert (await row(db, lost)).result_path is None


async def _blocked_sweep(db: Database, media: Media, during: Any) -> bool:
    """A sweep that is held up in the middle while `during` runs: an overdue job's row is locked."""
    job_id = await queue(db)
    async with db.at_once() as conn:
        await overdue(conn, job_id, seconds=10)
    async with db.begin() as conn:
        await conn.execute(select(job.c.job_id).where(job.c.job_id == job_id).with_for_update())
        sweeping = asyncio.create_task(sweep_all(db, media))
        await until_blocked(db)
        await during()
    return await sweeping


async def test_of_two_sweeps_at_once_one_skips(db: Database, media: Media) -> None:
    async def second() -> None:
        assert not await sweep_all(db, media)

    assert await _blocked_sweep(db, media, second)
    assert await sweep_all(db, media), "the first sweep has kept its lock"


async def test_a_sweeper_that_dies_leaves_no_lock(database_url: str, db: Database, media: Media) -> None:
    async def kill() -> None:
        async with db.at_once() as conn:
            holder = text(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = :lock"
            )
            await conn.execute(holder, {"lock": LOCK})

    async with Database(database_url, connections=3) as other:
        await asyncio.gather(_blocked_sweep(other, media, kill), return_exceptions=True)
    assert await sweep_all(db, media)


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
