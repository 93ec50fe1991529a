"""The storage figures: what lies where, measured by the daemon and kept in rows."""

import shutil
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from cleanup.storage import storage_figures
from cleanup.sweep import sweep_all
from photochanger.db import Database
from photochanger.media import Media
from photochanger.tables import job, storage_figure
from tests.sweeping import done, media_of, scope, write

pytestmark = pytest.mark.anyio

NAMES = ("database", "disk_free", "disk_total", "ingest", "previews", "provider", "results", "templates", "work")


async def figures(db: Database) -> dict[str, tuple[int | None, int]]:
    async with db.at_once() as conn:
        return {row.name: (row.files, row.bytes) for row in await conn.execute(select(storage_figure))}


async def test_every_folder_is_measured_and_so_are_disk_and_database(db: Database, media: Media) -> None:
    await done(db, media, expired=False)
    await media_of(db, media, kind="template", expires_in_seconds=None)
    await media_of(db, media, kind="upload", expires_in_seconds=60)
    for number in range(3):
        write(media.path_of(f"ingest/{number:032x}"), content=b"x" * 1000)
    write(media.folder("work") / "a", content=b"xx")
    write(media.folder("work/previews") / "b", content=b"xxx")
    (media.folder("work") / "link").symlink_to("a")
    await storage_figures(scope(db, media))
    found = await figures(db)
    assert tuple(sorted(found)) == NAMES
    assert {name: found[name] for name in ("ingest", "work", "previews", "provider", "templates")} == {
        "ingest": (3, 3000),
        "work": (2, 5),
        "previews": (1, 7),
        "provider": (1, 7),
        "templates": (1, 7),
    }
    async with db.at_once() as conn:
        (size,) = (await conn.execute(select(job.c.result_bytes).where(job.c.result_path.is_not(None)))).scalars()
    assert found["results"] == (1, size), "by the row, which has the size"
    assert found["database"][1] > 1_000_000
    usage = shutil.disk_usage(media.root)
    assert found["disk_total"] == (None, usage.total)
    assert abs(found["disk_free"][1] - usage.free) < 2_000_000_000


async def test_figures_are_measured_anew(db: Database, media: Media) -> None:
    path = write(media.path_of(f"ingest/{'a' * 32}"))
    await storage_figures(scope(db, media))
    async with db.begin() as conn:
        await conn.execute(update(storage_figure).values(measured_at=func.now() - timedelta(days=1)))
    path.unlink()
    assert await sweep_all(scope(db, media))
    assert (await figures(db))["ingest"] == (0, 0)
    async with db.at_once() as conn:
        age = select(func.extract("epoch", func.now() - func.min(storage_figure.c.measured_at)))
        assert (await conn.execute(age)).scalar_one() < 300


async def test_a_disk_that_is_away_leaves_the_last_figures(db: Database, media: Media) -> None:
    write(media.path_of(f"ingest/{'a' * 32}"))
    await storage_figures(scope(db, media))
    before = await figures(db)
    media.root.rename(media.root.with_name("away"))
    outcomes = await sweep_all(scope(db, media))
    assert outcomes is not None
    assert {outcome.sweep: outcome.swept for outcome in outcomes}["storage_figures"] is None
    assert await figures(db) == before
