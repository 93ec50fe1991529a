"""A sweep that is killed between any two of its steps harms nothing, and the next one makes it good."""

import asyncio
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from sqlalchemy import func, insert, select, text

from cleanup.sweep import Outcome, sweep_all
from photochanger import media_root
from photochanger.db import Database
from photochanger.jobs import OPEN, Status, status_is
from photochanger.media import Media
from photochanger.tables import hourly_figure, job, job_input, login_failure, media_object, processing_log
from tests.processes import ROOT
from tests.queue_rows import job_in, overdue, queue, until
from tests.sweeping import HOURS, RETENTION_DAYS, done, let_it_be_ago, media_of, scope, write

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]


@dataclass(frozen=True, kw_only=True)
class Strewn:
    """Something for every sweep to do, and what it must leave alone."""

    gone: list[Path]
    kept: list[Path]
    current: list[str]
    """Jobs with a result that is not to be touched."""
    lost: str
    """A job whose result's file is missing."""
    old: str
    """A job past its retention."""


async def strew(db: Database, media: Media) -> Strewn:
    gone: list[Path] = []
    for _ in range(2):
        gone += (await done(db, media, expired=True))[1]
    current, kept = await done(db, media, expired=False, age_seconds=2 * HOURS)
    lost, (missing, preview) = await done(db, media, expired=False)
    missing.unlink()
    old, paths = await done(db, media, expired=True)
    await let_it_be_ago(db, old, days=RETENTION_DAYS + 1)
    late = await queue(db)
    failed, _ = await job_in(db, Status.FAILED)
    open_now, _ = await job_in(db, Status.WAITING)
    async with db.at_once() as conn:
        await overdue(conn, late, seconds=10)
        await conn.execute(insert(login_failure).values(at=text("now() - interval '9 d'"), account="a", address="b"))
    gone += [*paths, write(media.path_of(f"ingest/{late}")), write(media.path_of(f"ingest/{failed}"))]
    gone.append((await media_of(db, media, kind="provider_media", expires_in_seconds=-1, job_id=failed))[1])
    gone.append(write(media.folder("results") / f"{secrets.token_hex(16)}.jpg", age_seconds=2 * HOURS))
    kept += [
        write(media.path_of(f"ingest/{open_now}"), age_seconds=2 * HOURS),
        write(media.path_of(f"ingest/{secrets.token_hex(16)}")),
        (await media_of(db, media, kind="template", expires_in_seconds=None, age_seconds=99 * HOURS))[1],
        preview,  # young: an orphan only when it has lain for an hour
    ]
    return Strewn(gone=gone, kept=kept, current=[current], lost=lost, old=old)


@pytest.fixture
def victim(database_url: str, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.killed_sweep", database_url, str(tmp_path / "media")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield process
        process.kill()


async def killed_at(victim: subprocess.Popen[str], step: int) -> str:
    def ask() -> str:
        assert victim.stdin is not None
        assert victim.stdout is not None
        victim.stdin.write(f"{step}\n")
        victim.stdin.flush()
        # What the sweep logs goes to the same place; the verdict is the line without anything else.
        while (line := victim.stdout.readline().strip()) not in {"killed", "ended"}:
            assert line, "it has ended itself"
            assert not line.startswith("failed"), line
        return line

    return await asyncio.to_thread(ask)


async def assert_nothing_current_was_touched(db: Database, strewn: Strewn) -> None:
    assert all(path.exists() for path in strewn.kept)
    async with db.at_once() as conn:
        kept = select(job.c.job_id).where(job.c.job_id.in_(strewn.current), job.c.result_path.is_not(None))
        assert list((await conn.execute(kept)).scalars()) == strewn.current


async def assert_all_is_in_order(db: Database, media: Media, strewn: Strewn) -> None:
    """After one whole sweep: no file without a row (older than an hour), no row without its file, figures complete."""
    outcomes: list[Outcome] = []

    async def swept() -> bool:
        """The server notices that a client was killed when its statement is done, and frees the lock then."""
        outcomes[:] = await sweep_all(scope(db, media)) or []
        return bool(outcomes)

    with structlog.testing.capture_logs() as lines:
        await until(swept, seconds=10)
    assert all(outcome.swept is not None for outcome in outcomes), lines
    await assert_nothing_current_was_touched(db, strewn)
    assert not any(path.exists() for path in strewn.gone)
    async with db.at_once() as conn:
        promised = select(job.c.result_path, job.c.preview_path).where(job.c.result_path.is_not(None))
        for row in await conn.execute(promised):
            assert all(media.path_of(path).exists() for path in row)
        lent = select(media_object.c.path).where(media_object.c.path.is_not(None))
        assert all(media.path_of(path).exists() for path in (await conn.execute(lent)).scalars())
        long_ago = func.now() - timedelta(seconds=10)  # others become overdue meanwhile
        overdue_now = select(func.count()).where(status_is(*OPEN), job.c.expires_at < long_ago)
        assert (await conn.execute(overdue_now)).scalar_one() == 0
        assert not (await conn.execute(select(job).where(job.c.job_id == strewn.old))).all()
        inputs, jobs = (await conn.execute(select(job_input.c.job_id))).scalars(), select(job.c.job_id)
        assert set(inputs) == set((await conn.execute(jobs)).scalars())
        of_old = select(processing_log).where(processing_log.c.job_id == strewn.old)
        assert not (await conn.execute(of_old)).all()


async def rolled_jobs(db: Database) -> int:
    async with db.at_once() as conn:
        total: int = (await conn.execute(select(func.coalesce(func.sum(hourly_figure.c.jobs), 0)))).scalar_one()
    return total


async def walk(db: Database, root: Path, victim: subprocess.Popen[str], *, stride: int) -> int:
    """Kill a sweep at every `stride`th step, each time with everything to do; how many were killed."""
    media = await media_root.opened(db, root)
    kills, step = 0, 1
    while True:
        strewn = await strew(db, media)
        verdict = await killed_at(victim, step)
        await assert_nothing_current_was_touched(db, strewn)
        await assert_all_is_in_order(db, media, strewn)
        kills += verdict == "killed"
        assert await rolled_jobs(db) <= kills + 1, "an old job was counted twice"
        if verdict == "ended":
            return kills
        step += stride


async def test_a_sweep_that_is_killed_at_some_of_its_steps_is_made_good(
    db: Database, tmp_path: Path, victim: subprocess.Popen[str]
) -> None:
    assert await walk(db, tmp_path / "media", victim, stride=11) >= 8


@pytest.mark.slow
async def test_a_sweep_that_is_killed_at_each_of_its_steps_is_made_good(
    db: Database, tmp_path: Path, victim: subprocess.Popen[str]
) -> None:
    assert await walk(db, tmp_path / "media", victim, stride=1) >= 80
