"""Purges that somebody asked for: done within seconds, counted, and nothing current goes."""

import asyncio
import secrets
from pathlib import Path

import pytest
from sqlalchemy import select

from cleanup.daemon import Daemon
from cleanup.purging import LOCK, purge_waiting
from cleanup.sweep import LOCK as SWEEP_LOCK
from cleanup.sweep import only_one
from photochanger import media_root, purges, setting_changes
from photochanger.db import Database
from photochanger.jobs import Status
from photochanger.media import Media
from photochanger.tables import purge, storage_figure
from tests.queue_rows import job_in, row, until
from tests.sweeping import HOURS, done, media_of, put_into, scope, write

pytestmark = pytest.mark.anyio

PICTURE_BYTES = len(b"picture")


async def ask(db: Database, *, slot: str | None = None) -> int:
    async with db.begin() as conn:
        return await purges.request(conn, slot_id=slot, by="serg")


async def asked(db: Database, purge_id: int) -> tuple[int | None, int | None]:
    """Files and bytes of a purge that is done; both None before."""
    async with db.at_once() as conn:
        found = (await conn.execute(select(purge).where(purge.c.purge_id == purge_id))).one()
    assert (found.finished_at is None) == (found.files is None) == (found.bytes is None)
    return found.files, found.bytes


async def test_a_purge_takes_what_has_expired_or_is_orphaned_and_leaves_all_that_is_current(
    db: Database, media: Media
) -> None:
    _, expired = await done(db, media, expired=True)
    _, current = await done(db, media, expired=False, age_seconds=71 * HOURS)
    _, link = await media_of(db, media, kind="upload", expires_in_seconds=-1)
    _, template = await media_of(db, media, kind="template", expires_in_seconds=None, age_seconds=9000 * HOURS)
    orphan = write(media.folder("results") / f"{secrets.token_hex(16)}.jpg", age_seconds=2 * HOURS)
    fresh = write(media.folder("ingest") / secrets.token_hex(16))
    final, _ = await job_in(db, Status.FAILED)
    photo = write(media.path_of(f"ingest/{final}"))
    purge_id = await ask(db)
    assert await purge_waiting(scope(db, media))
    assert not any(path.exists() for path in (*expired, link, orphan, photo))
    assert all(path.exists() for path in (*current, template, fresh))
    assert await asked(db, purge_id) == (5, 5 * PICTURE_BYTES)
    async with db.at_once() as conn:
        figures = {found.name: found.files for found in await conn.execute(select(storage_figure))}
    assert (figures["results"], figures["previews"]) == (1, 1), "the figures say so at once"


async def test_a_slots_purge_leaves_the_other_slots_alone(db: Database, media: Media) -> None:
    gone: list[Path] = []
    kept: list[Path] = []
    for slot, paths in (("slot-002", gone), ("slot-003", kept)):
        job_id, results = await done(db, media, expired=True, slot=slot)
        _, link = await media_of(db, media, kind="provider_media", expires_in_seconds=-1, job_id=job_id)
        failed, _ = await job_in(db, Status.FAILED)
        await put_into(db, failed, slot=slot)
        photo = write(media.path_of(f"ingest/{failed}"))
        old = write(media.path_of(f"results/{failed}.jpg"), age_seconds=2 * HOURS)
        paths += [*results, link, photo, old]
    _, current = await done(db, media, expired=False, slot="slot-002", age_seconds=2 * HOURS)
    nobodys = write(media.folder("results") / f"{secrets.token_hex(16)}.jpg", age_seconds=2 * HOURS)
    purge_id = await ask(db, slot="slot-002")
    assert await purge_waiting(scope(db, media))
    assert [path.exists() for path in gone] == [False] * 5
    assert all(path.exists() for path in (*kept, *current, nobodys))
    assert await asked(db, purge_id) == (5, 5 * PICTURE_BYTES)


async def test_a_purge_without_anything_to_do_is_done_all_the_same(db: Database, media: Media) -> None:
    purge_id = await ask(db, slot="slot-015")
    assert await purge_waiting(scope(db, media))
    assert await asked(db, purge_id) == (0, 0)


async def test_purges_are_done_in_their_order_and_each_counts_its_own(db: Database, media: Media) -> None:
    await done(db, media, expired=True, slot="slot-002")
    await done(db, media, expired=True, slot="slot-003")
    one, all_of_them, again = [await ask(db, slot=slot) for slot in ("slot-003", None, None)]
    assert again == all_of_them  # it had not begun yet
    assert await purge_waiting(scope(db, media))
    assert [(await asked(db, one))[0], (await asked(db, all_of_them))[0]] == [2, 2]


async def test_a_purge_waits_for_no_sweep_and_of_two_purging_processes_one_does_it(db: Database, media: Media) -> None:
    purge_id = await ask(db)
    async with only_one(db, lock=LOCK) as ours:
        assert ours
        assert await purge_waiting(scope(db, media))
        assert await asked(db, purge_id) == (None, None)
    async with only_one(db, lock=SWEEP_LOCK) as sweeping:
        assert sweeping
        assert await purge_waiting(scope(db, media))
    assert await asked(db, purge_id) == (0, 0)


async def test_a_purge_while_the_disk_is_away_waits_until_it_is_back(db: Database, media: Media) -> None:
    marked = await media_root.opened(db, media.root)
    job_id, paths = await done(db, marked, expired=True)
    purge_id = await ask(db)
    away = media.root.with_name("disk")
    media.root.rename(away)
    assert not await purge_waiting(scope(db, marked))
    assert await asked(db, purge_id) == (None, None)
    assert (await row(db, job_id)).result_path is not None
    away.rename(media.root)
    assert await purge_waiting(scope(db, marked))
    assert await asked(db, purge_id) == (2, 2 * PICTURE_BYTES)
    assert not any(path.exists() for path in paths)


async def test_the_daemon_does_a_purge_within_five_seconds_also_while_it_sweeps(db: Database, tmp_path: Path) -> None:
    media = await media_root.opened(db, tmp_path / "media")
    _, paths = await done(db, media, expired=True)
    stopping = asyncio.Event()
    async with only_one(db, lock=SWEEP_LOCK):  # the 15-minute sweep takes long
        working = asyncio.create_task(Daemon(scope(db, media)).work(stopping))
        await asyncio.sleep(0.5)
        purge_id = await ask(db)

        async def is_done() -> bool:
            return await asked(db, purge_id) == (2, 2 * PICTURE_BYTES)

        await until(is_done, seconds=5)
        assert not any(path.exists() for path in paths)
        stopping.set()
        await working


async def test_a_purge_at_work_holds_up_nobody_who_changes_settings(db: Database) -> None:
    async with only_one(db, lock=LOCK) as ours, db.begin() as conn:
        assert ours
        assert (await setting_changes.begin(conn, result_ttl_hours=72)).result_ttl_hours == 72
