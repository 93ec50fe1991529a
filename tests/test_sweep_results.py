"""Expired results and media objects go at their time, and rows without their file are told."""

import asyncio

import pytest
import structlog
from sqlalchemy import func, select, text

from cleanup.media_objects import expired_media
from cleanup.results import expired_results, results_without_file
from cleanup.scope import BATCH
from cleanup.sweep import sweep_all
from photochanger.db import Database
from photochanger.media import Media
from photochanger.tables import job, media_object
from tests.queue_rows import fill, result_of, row, until_blocked
from tests.sweeping import done, media_of, scope

pytestmark = pytest.mark.anyio


async def test_an_expired_results_files_go_and_its_row_stays(db: Database, media: Media) -> None:
    job_id, paths = await done(db, media, expired=True)
    before = await row(db, job_id)
    assert (await expired_results(scope(db, media))).count == 1
    assert [path.exists() for path in paths] == [False, False]
    after = await row(db, job_id)
    assert (after.status, after.result_path, after.preview_path) == ("done", None, None)
    assert (after.result_sha256, after.result_bytes) == (before.result_sha256, before.result_bytes)
    assert after.result_expires_at == before.result_expires_at
    assert (await expired_results(scope(db, media))).count == 0


async def test_a_result_stays_until_its_time_is_up(db: Database, media: Media) -> None:
    job_id, paths = await done(db, media, expired=False)
    assert (await expired_results(scope(db, media))).count == 0
    assert [path.exists() for path in paths] == [True, True]
    assert (await row(db, job_id)).result_path == result_of(job_id).path


async def test_a_result_that_was_swept_halfway_is_swept_whole(db: Database, media: Media) -> None:
    """The sweep died between the files and the row."""
    job_id, paths = await done(db, media, expired=True)
    paths[0].unlink()
    assert (await expired_results(scope(db, media))).count == 1
    assert not paths[1].exists()
    assert (await row(db, job_id)).result_path is None


async def test_a_sweep_that_is_cut_off_before_it_tells_the_row_is_made_good_by_the_next(
    db: Database, media: Media
) -> None:
    job_id, paths = await done(db, media, expired=True)
    async with db.begin() as conn:
        await conn.execute(select(job.c.job_id).with_for_update())
        sweeping = asyncio.create_task(expired_results(scope(db, media)))
        await until_blocked(db)
        sweeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sweeping
    assert [path.exists() for path in paths] == [False, False]
    assert (await row(db, job_id)).result_path == result_of(job_id).path
    assert (await expired_results(scope(db, media))).count == 1
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
    assert (await expired_results(scope(db, media))).count == count
    async with db.at_once() as conn:
        left = select(func.count()).select_from(job).where(job.c.result_path.is_not(None))
        assert (await conn.execute(left)).scalar_one() == 0


async def test_one_result_that_cannot_be_removed_keeps_no_other(db: Database, media: Media) -> None:
    _, (path, _) = await done(db, media, expired=True)
    path.unlink()
    path.mkdir()
    _, others = await done(db, media, expired=True)
    await sweep_all(scope(db, media))
    assert [other.exists() for other in others] == [False, False]


async def test_a_result_whose_file_is_gone_is_told_and_no_longer_promised(db: Database, media: Media) -> None:
    lost, (path, _) = await done(db, media, expired=False)
    kept, paths = await done(db, media, expired=False)
    path.unlink()
    with structlog.testing.capture_logs() as lines:
        assert (await results_without_file(scope(db, media))).count == 1
    assert [(line["event"], line["job"]) for line in lines] == [("result_lost", lost)]
    assert (await row(db, lost)).result_path is None
    assert (await row(db, kept)).result_path == result_of(kept).path
    assert [path.exists() for path in paths] == [True, True]
    assert (await results_without_file(scope(db, media))).count == 0


async def test_an_expired_medias_file_goes_and_its_row_tells_when(db: Database, media: Media) -> None:
    over, gone = await media_of(db, media, kind="provider_media", expires_in_seconds=-0.001)
    _, upload = await media_of(db, media, kind="upload", expires_in_seconds=-1)
    _, lasting = await media_of(db, media, kind="provider_media", expires_in_seconds=30)
    _, template = await media_of(db, media, kind="template", expires_in_seconds=None)
    assert (await expired_media(scope(db, media))).count == 2
    assert [path.exists() for path in (gone, upload, lasting, template)] == [False, False, True, True]
    async with db.at_once() as conn:
        found = (await conn.execute(select(media_object).where(media_object.c.media_object_id == over))).one()
    assert found.path is None
    assert found.cleaned_at is not None
    assert (await expired_media(scope(db, media))).count == 0
