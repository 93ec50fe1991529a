"""Files without a row go after an hour; what a row still needs stays, however old it is."""

import secrets

import pytest

from cleanup.open_jobs import finished_photos
from cleanup.orphans import orphaned_files
from cleanup.scope import BATCH
from photochanger.db import Database
from photochanger.jobs import FINAL, OPEN, Status
from photochanger.media import FOLDERS, Media
from tests.queue_rows import job_in, overdue
from tests.sweeping import HOURS, media_of, scope, write

pytestmark = pytest.mark.anyio


async def test_templates_and_lasting_media_are_no_orphans_however_old(db: Database, media: Media) -> None:
    _, template = await media_of(db, media, kind="template", expires_in_seconds=None, age_seconds=9000 * HOURS)
    _, lasting = await media_of(db, media, kind="provider_media", expires_in_seconds=30, age_seconds=2 * HOURS)
    assert (await orphaned_files(scope(db, media))).count == 0
    assert [template.exists(), lasting.exists()] == [True, True]


async def test_a_file_without_a_row_goes_after_an_hour(db: Database, media: Media) -> None:
    for folder in FOLDERS:
        suffix = {"ingest": "", "work": "-1-photo.jpg", "work/previews": "-1.webp"}.get(folder, ".webp")
        old = write(media.folder(folder) / f"{secrets.token_hex(16)}{suffix}", age_seconds=1.01 * HOURS)
        strange = write(media.folder(folder) / "IMG_0001.JPG", age_seconds=2 * HOURS)
        young = write(media.folder(folder) / f"{secrets.token_hex(16)}{suffix}", age_seconds=0.99 * HOURS)
        assert (await orphaned_files(scope(db, media))).count == 2
        assert [path.exists() for path in (old, strange, young)] == [False, False, True]
        assert (await orphaned_files(scope(db, media))).count == 0
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
        if status in FINAL:
            async with db.at_once() as conn:
                await overdue(conn, job_id, seconds=10)
        would = [await sweep(scope(db, media, dry_run=True)) for sweep in (finished_photos, orphaned_files)]
        went = [await sweep(scope(db, media)) for sweep in (finished_photos, orphaned_files)]
        assert would == went, "nothing is announced by both of them"
        assert photo.exists() == (status in OPEN), status
        assert [path.exists() for path in made] == [status is Status.RUNNING] * 2, status
        assert [path.exists() for path in kept] == [status is Status.DONE] * 2, status


async def test_more_than_a_batch_of_orphans_goes_in_one_sweep(db: Database, media: Media) -> None:
    for _ in range(BATCH + 1):
        write(media.folder("ingest") / secrets.token_hex(16), age_seconds=2 * HOURS)
    assert (await orphaned_files(scope(db, media))).count == BATCH + 1
