"""Real disks: one that is full in the middle, one that is unmounted and mounted again. Where mounting is not allowed,
these tests are skipped.
"""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from cleanup.sweep import sweep_all
from photochanger import app_settings, media_root
from photochanger.db import Database
from photochanger.media import MARKER, Media
from photochanger.providers import Providers
from photochanger.tables import job
from simulators.gemini import KEY
from tests.administrators import bearer
from tests.booths import nothing_left, photo_bytes, post_photo
from tests.invariants import assert_the_sweep_leaves_results_only
from tests.queue_rows import row, until
from tests.raw_http import eventually
from tests.results import finished_job
from tests.serving import Api, running, serve_api, settings_for
from tests.simulated import Simulators, simulated
from tests.sweeping import done, scope

pytestmark = pytest.mark.anyio

PHOTO = photo_bytes()
Mount = Callable[..., None]
Remount = Callable[[str], None]


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mount something; everything is unmounted at the end."""
    mounted: list[Path] = []

    def at(path: Path, *how: str) -> None:
        path.mkdir(parents=True, exist_ok=True)
        tried = subprocess.run(["mount", *how, str(path)], capture_output=True, text=True, check=False)
        if tried.returncode != 0:
            pytest.skip(f"nothing can be mounted here: {tried.stderr.strip()}")
        mounted.append(path)

    if os.geteuid() != 0:
        pytest.skip("nothing can be mounted without root")
    yield at
    for path in reversed(mounted):
        subprocess.run(["umount", "-l", str(path)], capture_output=True, check=False)


@pytest.fixture
async def small(
    mount: Mount,
    tmp_path: Path,
    database_url: str,
    known_providers: Providers,
    monkeypatch: pytest.MonkeyPatch,
    anyio_backend: str,
) -> AsyncIterator[Api]:
    """An API on a disk of 3 MB that is not known to be full."""
    mount(tmp_path / "media", "-t", "tmpfs", "-o", "size=3m", "tmpfs")
    monkeypatch.setattr("photochanger.media.LEAST_FREE_BYTES", 0)
    monkeypatch.setattr("photochanger.media.LEAST_FREE_SHARE", 0.0)
    async with serve_api(settings_for(tmp_path, database_url), known_providers, database_url) as api:
        yield api


@pytest.fixture
def remount(small: Api) -> Iterator[Remount]:
    """Make the small disk read-only or writable, as the kernel does after an error; in the end it can be unmounted."""

    def to(mode: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{mode}", str(small.media.root)], check=True)

    yield to
    to("rw")


async def until_called(simulators: Simulators) -> None:
    """A call of the provider is out."""

    async def called() -> bool:
        return bool((await simulators.read("gemini/stats"))["in_flight"])

    await until(called, seconds=20)


def fill(api: Api, *, leave_bytes: int) -> Path:
    path = api.media.root / "something-else"
    with path.open("wb") as file:
        free = os.statvfs(api.media.root)
        file.write(bytes(free.f_bavail * free.f_bsize - leave_bytes))
    return path


async def test_a_disk_that_is_full_in_the_middle_of_an_upload_leaves_nothing_of_it(
    small: Api, http: httpx.AsyncClient
) -> None:
    answers = await asyncio.gather(
        *(post_photo(http, small.url, PHOTO + bytes(5_000_000) + b"%d" % number) for number in range(4))
    )
    assert {(answer.status_code, answer.json()["failure_reason"]) for answer in answers} == {(503, "storage_full")}
    nothing_left(small.media)
    async with small.db.at_once() as conn:
        assert (await conn.execute(select(func.count()).select_from(job))).scalar_one() == 0
    assert (await http.get(f"{small.url}/healthz")).json()["checks"]["folders"] == "ok", "there is room again"


async def test_a_disk_that_is_full_when_the_result_comes_fails_the_job_and_leaves_nothing(
    small: Api, http: httpx.AsyncClient, database_url: str, known_providers: Providers
) -> None:
    root = small.media.root
    async with simulated() as simulators:
        await simulators.behave("ok", delay_seconds=1.5)
        told = {"GEMINI_API_KEY": KEY, "GEMINI_BASE_URL": f"{simulators.url}/gemini"}
        async with running(settings_for(root.parent, database_url, **told), known_providers, database_url):
            posting = asyncio.create_task(post_photo(http, small.url, PHOTO))
            await until_called(simulators)
            ballast = fill(small, leave_bytes=8_000)
            answer = await posting
            assert (answer.status_code, answer.json()["failure_reason"]) == (503, "storage_full"), answer.text
            ballast.unlink()
            await eventually(lambda: not [path for path in root.rglob("*") if path.is_file() and path.name != MARKER])
            assert (await row(small.db, answer.json()["job_id"])).status == "failed"
            await simulators.behave("instant")
            assert (await post_photo(http, small.url, PHOTO + b"again")).status_code == 200, "it recovers by itself"


async def test_a_disk_that_turns_read_only_takes_no_photo_until_it_can_be_written_again(
    small: Api, remount: Remount, http: httpx.AsyncClient
) -> None:
    remount("ro")
    answer = await post_photo(http, small.url, PHOTO)
    assert (answer.status_code, answer.json()["failure_reason"]) == (503, "storage_full")
    assert (await http.get(f"{small.url}/healthz")).json()["checks"]["folders"] == "failed"
    remount("rw")
    assert (await http.get(f"{small.url}/healthz")).json()["checks"]["folders"] == "ok"
    nothing_left(small.media)
    assert (await post_photo(http, small.url, PHOTO, hash_="0" * 32)).json()["failure_reason"] == "hash_mismatch"


@pytest.mark.parametrize("delay_seconds", [1.5, 60.0], ids=["the result", "the deadline"])
async def test_a_disk_that_turns_read_only_under_a_photo_in_work_is_told_and_leaves_only_what_the_sweep_takes(
    small: Api,
    remount: Remount,
    http: httpx.AsyncClient,
    database_url: str,
    known_providers: Providers,
    delay_seconds: float,
) -> None:
    """Nothing can be removed from it either: not by the runner, which has no place for the result, nor by the API."""
    async with small.db.begin() as conn:
        await app_settings.store(conn, "sync_response_seconds", 10, by="test")
    root = small.media.root
    async with simulated() as simulators:
        await simulators.behave("ok", delay_seconds=delay_seconds)
        told = {"GEMINI_API_KEY": KEY, "GEMINI_BASE_URL": f"{simulators.url}/gemini"}
        async with running(settings_for(root.parent, database_url, **told), known_providers, database_url):
            posting = asyncio.create_task(post_photo(http, small.url, PHOTO))
            await until_called(simulators)
            remount("ro")
            answer = await posting
            expected = (503, "storage_full") if delay_seconds < 10 else (504, "timeout")
            assert (answer.status_code, answer.json()["failure_reason"]) == expected, answer.text
            kept = await row(small.db, answer.json()["job_id"])
            assert (kept.status, kept.result_path) == ("failed" if delay_seconds < 10 else "timeout", None)
            remount("rw")
            await simulators.behave("instant")
            assert (await post_photo(http, small.url, PHOTO + b"again")).status_code == 200, "it recovers by itself"
    async with small.db.at_once() as conn:
        jobs = list(await conn.execute(select(job)))
    await assert_the_sweep_leaves_results_only(small.db, small.media, jobs)


async def test_a_result_that_cannot_be_deleted_is_not_said_to_be_gone_and_goes_with_the_next_sweep(
    small: Api, remount: Remount, http: httpx.AsyncClient
) -> None:
    job_id, _ = await finished_job(small)
    remount("ro")
    answer = await http.delete(f"{small.url}/api/jobs/{job_id}/result", headers=await bearer(small))
    assert (answer.status_code, answer.json()["failure_reason"]) == (503, "storage_full")
    assert (await http.get(f"{small.url}/public/results/{job_id}")).status_code == 410
    remount("rw")
    assert list(small.media.folder("results").iterdir())
    assert await sweep_all(scope(small.db, small.media))
    assert not [*small.media.folder("results").iterdir(), *small.media.folder("previews").glob("*")]


async def test_a_full_disk_does_not_stop_the_sweeps_that_make_room(small: Api, db: Database) -> None:
    _, expired = await done(db, small.media, expired=True)
    fill(small, leave_bytes=0)
    outcomes = await sweep_all(scope(db, small.media))
    assert outcomes is not None
    assert all(outcome.swept is not None for outcome in outcomes)
    assert not any(path.exists() for path in expired)


async def test_a_disk_that_is_unmounted_takes_nothing_and_loses_nothing(
    mount: Mount, tmp_path: Path, db: Database, database_url: str, known_providers: Providers, http: httpx.AsyncClient
) -> None:
    disk, root = tmp_path / "disk", tmp_path / "media"
    disk.mkdir()
    Media(root).create_folders()  # an earlier release wrote here once, while the disk was away
    mount(root, "--bind", str(disk))
    async with serve_api(settings_for(tmp_path, database_url), known_providers, database_url) as api:
        job_id, paths = await done(db, api.media, expired=False)
        await asyncio.to_thread(subprocess.run, ["umount", str(root)], check=True)
        answer = await post_photo(http, api.url, PHOTO)
        assert (answer.status_code, answer.json()["failure_reason"]) == (503, "storage_full")
        await sweep_all(scope(db, api.media))
        assert (await row(db, job_id)).result_path is not None
        assert [path for path in root.rglob("*") if path.is_file()] == []
        mount(root, "--bind", str(disk))
        assert (await http.get(f"{api.url}/healthz")).json()["checks"]["folders"] == "ok"
        await sweep_all(scope(db, api.media))
        assert all(path.exists() for path in paths)
        assert await media_root.settle(db, api.media)
