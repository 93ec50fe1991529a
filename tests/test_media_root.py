"""MEDIA_ROOT is known by its marker: a disk that is away, or another one, takes nothing in and loses nothing."""

import asyncio
from pathlib import Path

import httpx
import pytest
import structlog
from sqlalchemy import func, select, text

from cleanup.sweep import SWEEPS, sweep_all
from photochanger import app_settings as admin
from photochanger import media_root
from photochanger.db import Database
from photochanger.media import FOLDERS, MARKER, Media
from photochanger.providers import Providers
from photochanger.tables import app_settings, job
from tests.absent_disk import mount, refused, unmount
from tests.booths import photo_bytes, post_photo
from tests.queue_rows import result_of, row, until
from tests.results import finished_job, queued_job
from tests.serving import Api, running, serve_api, settings_for
from tests.sweeping import HOURS, done, everything, scope, write

pytestmark = pytest.mark.anyio


async def test_a_first_start_marks_the_folder_and_remembers_it(db: Database, tmp_path: Path) -> None:
    media = await media_root.opened(db, tmp_path / "deep" / "media")
    assert media.marker() == media.root_id
    assert (media.root / MARKER).stat().st_mode & 0o007 == 0
    assert all(media.folder(name).is_dir() for name in FOLDERS)
    async with db.begin() as conn:
        assert await media_root.known_id(conn) == media.root_id
    assert await media_root.opened(db, media.root) == media
    media.check_root()
    media.check_room()
    assert [path.name for path in media.root.iterdir() if path.is_file()] == [MARKER], "no draft is left"


async def test_pictures_of_an_earlier_release_without_a_marker_are_kept(db: Database, media: Media) -> None:
    job_id, paths = await done(db, media, expired=False, age_seconds=2 * HOURS)
    marked = await media_root.opened(db, media.root)
    assert marked.is_ours()
    assert await sweep_all(scope(db, marked))
    assert [path.exists() for path in paths] == [True, True]
    assert (await row(db, job_id)).result_path is not None


async def test_of_many_first_starts_at_once_all_agree(db: Database, tmp_path: Path) -> None:
    opened = await asyncio.gather(*(media_root.opened(db, tmp_path / "media") for _ in range(12)))
    assert len({media.root_id for media in opened}) == 1
    assert all(media.is_ours() for media in opened)


async def test_of_two_hosts_the_one_without_the_disk_does_not_mark_its_bare_folder(
    db: Database, tmp_path: Path
) -> None:
    """Also when it asks while the first one is at it: it waits for the row, and finds the disk marked."""
    async with db.begin() as conn:
        await media_root._remembered(conn)
    async with db.begin() as conn:
        held = select(app_settings).where(app_settings.c.name == media_root.NAME).with_for_update()
        (known,) = (await conn.execute(held)).all()
        late = asyncio.create_task(media_root.opened(db, tmp_path / "bare"))
        await asyncio.sleep(0.3)
        shared = Media(tmp_path / "disk", known.value["id"])
        shared.mark()
        await media_root._note_marked(conn, shared)
    media = await late
    assert media.root_id == shared.root_id
    assert not (media.root / MARKER).exists()
    assert not media.is_ours()


async def test_a_start_that_died_between_marker_and_row_is_made_good(db: Database, tmp_path: Path) -> None:
    root = tmp_path / "media"
    async with db.begin() as conn:
        Media(root, await media_root._remembered(conn)).mark()
    media = await media_root.opened(db, root)
    (root / MARKER).unlink()
    assert not await media_root.settle(db, media), "it was noted as marked"


async def test_the_folder_of_another_installation_is_refused(db: Database, tmp_path: Path) -> None:
    Media(tmp_path / "media", "f" * 32).mark()
    old = write(tmp_path / "media" / "theirs", age_seconds=1000 * HOURS)
    with structlog.testing.capture_logs() as lines:
        media = await media_root.opened(db, tmp_path / "media")
    assert [(line["event"], line["marker"]) for line in lines] == [("media_root_refused", "f" * 32)]
    refused(media.check_room)
    assert not media.folder("ingest").exists(), "nothing is made in it"
    await sweep_all(scope(db, media))
    assert old.exists()


@pytest.mark.parametrize("marker", ["missing", "another", "empty", "a folder", "a link"])
async def test_without_its_marker_nothing_is_written(db: Database, tmp_path: Path, marker: str) -> None:
    media = await media_root.opened(db, tmp_path / "media")
    path = media.root / MARKER
    said = path.read_bytes()
    path.unlink()
    match marker:
        case "another":
            path.write_text("0" * 32)
        case "empty":
            path.touch()
        case "a folder":
            path.mkdir()
        case "a link":
            path.with_name("elsewhere").write_bytes(said)
            path.symlink_to("elsewhere")
    finished = media.folder("work") / f"{'a' * 32}-1.jpg"
    finished.write_bytes(b"picture")
    refused(media.check_room)
    refused(lambda: media.new_file(f"ingest/{'a' * 32}"))
    refused(lambda: media.keep(finished, f"results/{'a' * 32}.jpg"))
    assert list(media.folder("ingest").iterdir()) == list(media.folder("results").iterdir()) == []
    assert not await media_root.settle(db, media)


async def test_a_root_that_cannot_be_written_at_the_start_is_told_and_tried_again(db: Database, tmp_path: Path) -> None:
    (tmp_path / "media").write_bytes(b"a file in its place")
    with structlog.testing.capture_logs() as lines:
        media = await media_root.opened(db, tmp_path / "media")
    assert [line["event"] for line in lines] == ["media_root_refused"]
    refused(media.check_room)
    (tmp_path / "media").unlink()
    assert await media_root.settle(db, media)
    media.check_room()


async def test_no_sweep_touches_anything_while_the_disk_is_away(db: Database, tmp_path: Path) -> None:
    media = await media_root.opened(db, tmp_path / "media")
    _, expired = await done(db, media, expired=True, age_seconds=2 * HOURS)
    kept, paths = await done(db, media, expired=False, age_seconds=2 * HOURS)
    away = unmount(media)
    bare = write(media.folder("results") / f"{'b' * 32}.jpg", age_seconds=2 * HOURS)
    before = (await everything(db, media))[0]["job"]
    outcomes = await sweep_all(scope(db, media))
    assert outcomes is not None
    failed = {outcome.sweep for outcome in outcomes if outcome.swept is None}
    assert failed == {
        "finished_photos", "expired_results", "orphaned_files", "results_without_file", "storage_figures",
    }  # fmt: skip
    assert set(SWEEPS) > failed
    assert (await everything(db, media))[0]["job"] == before
    assert bare.exists()
    mount(media, away)
    outcomes = await sweep_all(scope(db, media))
    assert outcomes is not None
    assert all(outcome.swept is not None for outcome in outcomes)
    assert (await row(db, kept)).result_path == result_of(kept).path
    assert [path.exists() for path in (*expired, *paths)] == [False, False, True, True]


async def test_photos_are_refused_while_the_disk_is_away_and_taken_when_it_is_back(
    api: Api, http: httpx.AsyncClient
) -> None:
    away = unmount(api.media)
    with structlog.testing.capture_logs() as lines:
        answer = await post_photo(http, api.url, photo_bytes())
        health = await http.get(f"{api.url}/healthz")
    assert (answer.status_code, answer.json()["failure_reason"]) == (503, "storage_full")
    assert str(api.media.root) not in answer.text
    assert (health.status_code, health.json()["checks"]["folders"]) == (503, "failed")
    told = [line for line in lines if line["event"] == "media_root_refused"]
    assert {line["why"] for line in told} == {"it has no marker: is its disk mounted?"}
    assert [path for path in api.media.root.rglob("*") if path.is_file()] == []
    async with api.db.at_once() as conn:
        assert (await conn.execute(select(func.count()).select_from(job))).scalar_one() == 0
    mount(api.media, away)
    assert (await http.get(f"{api.url}/healthz")).json()["checks"]["folders"] == "ok"
    posting = asyncio.create_task(post_photo(http, api.url, photo_bytes()))
    while not list(api.media.folder("ingest").iterdir()):
        assert not posting.done(), posting.result().text
        await asyncio.sleep(0.02)
    posting.cancel()


async def test_an_api_starts_without_its_disk_and_serves_when_it_is_back(
    db: Database, database_url: str, tmp_path: Path, known_providers: Providers, http: httpx.AsyncClient
) -> None:
    settings = settings_for(tmp_path, database_url)
    async with serve_api(settings, known_providers, database_url) as first:
        job_id, picture = await finished_job(first)
        media = first.media
    away = media.root.with_name("disk")
    media.root.rename(away)
    async with serve_api(settings, known_providers, database_url) as api:
        assert not media.root.exists(), "nothing is made on the bare mount point"
        assert (await post_photo(http, api.url, photo_bytes())).json()["failure_reason"] == "storage_full"
        away.rename(media.root)
        assert (await http.get(f"{api.url}/public/results/{job_id}")).content == picture
        assert (await http.get(f"{api.url}/healthz")).json()["checks"]["folders"] == "ok"


async def test_a_runner_tells_a_disk_that_is_away_from_a_photo_that_is_lost(
    api: Api, database_url: str, tmp_path: Path, known_providers: Providers
) -> None:
    job_id = await queued_job(api)
    unmount(api.media)
    settings = settings_for(tmp_path, database_url, GEMINI_API_KEY="key")
    async with running(settings, known_providers, database_url):

        async def ended() -> bool:
            return (await row(api.db, job_id)).finished_at is not None

        await until(ended, seconds=20)
    assert (await row(api.db, job_id)).failure_reason == "storage_full"


async def test_the_settings_of_administrators_do_not_see_the_folders_id(db: Database, tmp_path: Path) -> None:
    await media_root.opened(db, tmp_path / "media")
    async with db.begin() as conn:
        assert await admin.load(conn, result_ttl_hours=72) == admin.AppSettings()
        names = (await conn.execute(text("SELECT name FROM app_settings"))).scalars().all()
    assert names == [media_root.NAME]
