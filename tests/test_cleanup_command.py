"""`photochanger cleanup --once` and the daemon, as real processes."""

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from cleanup.scope import Swept
from cleanup.sweep import LOCK, SWEEPS, Outcome, only_one
from cleanup.table import WHAT, table
from photochanger import hourly, media_root, purges
from photochanger.db import Database
from photochanger.jobs import Status
from photochanger.media import MARKER, Media
from photochanger.tables import login_failure, purge
from tests.processes import ROOT, UP_SECONDS, Process, Station, environment_for
from tests.queue_rows import job_in, overdue, queue, row, until, until_blocked
from tests.sweeping import HOURS, RETENTION_DAYS, done, everything, let_it_be_ago, media_of, write

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Said:
    code: int
    lines: dict[str, list[str]]
    """The cells of the table by the first one, which may have spaces."""
    text: str


async def cleanup(folder: Path, database_url: str, *arguments: str) -> Said:
    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "photochanger", "cleanup", "--once", *arguments],
            cwd=ROOT,
            env=environment_for(folder, database_url),
            capture_output=True,
            text=True,
            timeout=UP_SECONDS,
            check=False,
        )

    finished = await asyncio.to_thread(run)
    assert not finished.stderr.startswith("Traceback"), finished.stderr
    cells = [[cell for cell in line.split("  ") if cell] for line in finished.stdout.splitlines()]
    return Said(finished.returncode, {line[0]: [cell.strip() for cell in line[1:]] for line in cells}, finished.stdout)


async def strew(db: Database, media: Media) -> list[Path]:
    """Something for every sweep."""
    async with db.at_once() as conn:
        await overdue(conn, await queue(db), seconds=10)
        await conn.execute(insert(login_failure).values(at=text("now() - interval '9 d'"), account="a", address="b"))
        await conn.execute(
            insert(purge).values(
                requested_by="serg",
                requested_at=text("now() - interval '40 d'"),
                finished_at=text("now() - interval '40 d'"),
                files=0,
                bytes=0,
            )
        )
        await conn.execute(
            text(
                "INSERT INTO session (session_id, kind, account, created_at) "
                "VALUES (sha256('a'), 'cookie', 'serg', now() - interval '30 d')"
            )
        )
        await conn.execute(
            text("INSERT INTO processing_log (event, actor, at) VALUES ('slot_saved', 'serg', now() - interval '31 d')")
        )
    _, expired = await done(db, media, expired=True)
    _, (missing, _) = await done(db, media, expired=False)
    missing.unlink()
    failed, _ = await job_in(db, Status.FAILED)
    old, _ = await job_in(db, Status.FAILED)
    await let_it_be_ago(db, old, days=RETENTION_DAYS + 1)
    orphan = media.folder("results") / f"{'e' * 32}.png"
    return [
        *expired,
        write(media.path_of(f"ingest/{failed}"), content=bytes(3_000_000)),
        (await media_of(db, media, kind="upload", expires_in_seconds=-1))[1],
        write(orphan, age_seconds=2 * HOURS, content=bytes(1_500_000)),
    ]


async def test_a_dry_run_says_what_would_go_and_changes_nothing(
    db: Database, database_url: str, tmp_path: Path
) -> None:
    media = await media_root.opened(db, tmp_path / "media")
    files = await strew(db, media)
    await hourly.roll_up(db)
    before = await everything(db, media)
    said = await cleanup(tmp_path, database_url, "--dry-run")
    assert said.code == 0, said.text
    assert await everything(db, media) == before
    assert {name: cells[:-1] for name, cells in said.lines.items()} == {
        "would go": ["count", "files", "MB"],
        "overdue jobs closed": ["1"],
        "photos of final jobs": ["1", "1", "3.0"],
        "expired results": ["1", "2", "0.0"],
        "expired links and uploads": ["1", "1", "0.0"],
        "files without a row": ["1", "1", "1.5"],
        "results whose file is lost": ["1"],
        "old jobs": ["1"],
        "old log lines": ["1"],
        "ended sessions": ["1"],
        "old failed logins": ["1"],
        "old purges": ["1"],
        "all files": ["5", "4.5"],
    }
    told = await cleanup(tmp_path, database_url)
    assert told.code == 0, told.text
    assert not any(path.exists() for path in files)
    again = await cleanup(tmp_path, database_url, "--dry-run")
    assert again.lines["all files"][:-1] == ["0", "0.0"]


async def test_a_dry_run_before_any_start_marks_nothing(db: Database, database_url: str, tmp_path: Path) -> None:
    said = await cleanup(tmp_path, database_url, "--dry-run")
    assert said.code == 1, "there is no folder to look at"
    assert not (tmp_path / "media").exists()
    async with db.begin() as conn:
        assert await media_root.known_id(conn) is None


async def test_the_real_run_says_what_went_and_how_many_megabytes(
    db: Database, database_url: str, tmp_path: Path
) -> None:
    media = await media_root.opened(db, tmp_path / "media")
    files = await strew(db, media)
    said = await cleanup(tmp_path, database_url)
    assert said.code == 0, said.text
    assert list(said.lines) == ["went", *WHAT.values(), "all files"]
    assert said.lines["photos of final jobs"][:3] == ["1", "1", "3.0"]
    assert said.lines["files without a row"][:3] == ["1", "1", "1.5"]
    assert said.lines["all files"][:2] == ["5", "4.5"]
    assert not any(path.exists() for path in files)


async def test_it_fails_when_another_process_sweeps(db: Database, database_url: str, tmp_path: Path) -> None:
    async with only_one(db, lock=LOCK):
        for arguments in ([], ["--dry-run"]):
            said = await cleanup(tmp_path, database_url, *arguments)
            assert (said.code, said.text) == (1, "Another process sweeps at this moment.\n")


async def test_it_fails_and_says_so_when_a_sweep_fails(db: Database, database_url: str, tmp_path: Path) -> None:
    media = await media_root.opened(db, tmp_path / "media")
    async with db.at_once() as conn:
        await overdue(conn, await queue(db), seconds=10)
    (media.root / MARKER).unlink()
    said = await cleanup(tmp_path, database_url)
    assert said.code == 1
    assert said.lines["expired results"][0] == "0", "there was none: no file had to be looked at"
    assert said.lines["files without a row"][0] == "FAILED: see the log"
    assert said.lines["overdue jobs closed"][0] == "1"


async def test_the_daemon_sweeps_closes_and_ends_when_told(db: Database, database_url: str, tmp_path: Path) -> None:
    """It finds the disk away at its start, and goes to work when it is back."""
    media = await media_root.opened(db, tmp_path / "media")
    _, expired = await done(db, media, expired=True)
    away = media.root.with_name("disk")
    media.root.rename(away)
    station = Station(folder=tmp_path, environment=environment_for(tmp_path, database_url), socket=None)  # type: ignore[arg-type]
    daemon: Process = station.start("cleanup")
    try:
        await daemon.told("sweep_failed", sweep="orphaned_files")
        late = await queue(db)
        async with db.begin() as conn:
            await overdue(conn, late, seconds=10)
            await purges.request(conn, slot_id=None, by="serg")

        async def closed() -> bool:
            return bool((await row(db, late)).status == "timeout")

        await until(closed, seconds=10)
        assert not media.root.exists(), "nothing is made where the disk was"
        away.rename(media.root)
        await daemon.told("media_root_settled")
        await daemon.told("purge_finished", files=2)
        assert not any(path.exists() for path in expired)
        daemon.terminate()
        assert await daemon.exit_code() == 0
    finally:
        daemon.kill()


async def test_the_daemon_ends_at_once_also_in_the_middle_of_a_sweep(
    db: Database, database_url: str, tmp_path: Path
) -> None:
    await media_root.opened(db, tmp_path / "media")
    late = await queue(db)
    async with db.begin() as conn:
        await overdue(conn, late, seconds=10)
    station = Station(folder=tmp_path, environment=environment_for(tmp_path, database_url), socket=None)  # type: ignore[arg-type]
    async with db.begin() as conn:
        await conn.execute(text("LOCK TABLE job IN ACCESS EXCLUSIVE MODE"))
        daemon = station.start("cleanup")
        await until_blocked(db, seconds=30)
        daemon.terminate()
        assert await daemon.exit_code(seconds=10) == 0
    daemon.kill()
    assert "Traceback" not in daemon.text()


async def test_without_once_it_says_how_it_is_used(tmp_path: Path, database_url: str) -> None:
    said = await asyncio.to_thread(
        lambda: subprocess.run(
            [sys.executable, "-m", "photochanger", "cleanup"],
            cwd=ROOT,
            env=environment_for(tmp_path, database_url),
            capture_output=True,
            text=True,
            timeout=UP_SECONDS,
            check=False,
        )
    )
    assert said.returncode == 2
    assert "--once" in said.stderr


def test_every_sweep_has_its_words() -> None:
    assert list(WHAT) == list(SWEEPS)
    said = table([Outcome(sweep=name, swept=Swept(count=1234), seconds=0.1) for name in SWEEPS], dry_run=False)
    assert said.count("1,234") == len(SWEEPS)
    assert max(len(line) for line in said.splitlines()) <= 80
