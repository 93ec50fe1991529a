"""What must hold after every fault, whatever was killed: looked up in the rows, the files, the links and the answers.

1. Every job has one final verdict, by its deadline + 5 s.
2. The bytes of every 200 are those of the row's checksum, of the file and of the public link.
3. No file without a row, no row without its file; what a kill has left in ingest/ and work/ goes with the next sweep.
4. A provider is called at most once a job, and once more for each repeat that the slot allows.
"""

import asyncio
import hashlib
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, select, update

from cleanup.orphans import ORPHAN_AGE_SECONDS
from cleanup.scope import Scope
from cleanup.sweep import sweep_all
from photochanger.db import Database
from photochanger.jobs import FINAL, OPEN, Status, status_is
from photochanger.media import FOLDERS, Media
from photochanger.tables import job, job_attempt, processing_log
from simulators.booth_report import Report

GRACE_SECONDS = 5.0
VERDICTS = ("finished", "failed", "expired")


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a booth was given: the picture's sha256 with a 200, else the reason."""

    status: int | None
    job_id: str | None
    sha256: bytes | None = None
    failure_reason: str | None = None


def given(answer: httpx.Response) -> Given:
    """An answer that came to a test's own client."""
    job_id = answer.headers.get("x-job-id")
    if answer.status_code == 200:
        return Given(status=200, job_id=job_id, sha256=hashlib.sha256(answer.content).digest())
    return Given(status=answer.status_code, job_id=job_id, failure_reason=answer.json()["failure_reason"])


def given_to_booths(report: Report, *, saved: Path) -> list[Given]:
    """The answers to simulated booths that kept their pictures in this folder; a cut one is none."""
    found = []
    for answer in report.answers:
        if answer.problem is None:
            (path,) = saved.glob(f"{answer.slot}_{answer.booth:03}_{answer.number:04}.*")
            found.append(Given(status=200, job_id=answer.job_id, sha256=hashlib.sha256(path.read_bytes()).digest()))
        else:
            status = None if answer.status == 200 else answer.status
            found.append(Given(status=status, job_id=answer.job_id, failure_reason=answer.failure_reason))
    return found


async def assert_all_holds(
    db: Database,
    media: Media,
    answers: Sequence[Given],
    *,
    url: str,
    http: httpx.AsyncClient,
    calls: int,
    killed: bool = False,
) -> Counter[str]:
    """Check everything; the jobs counted by their status.

    `calls`: how often the provider was asked for a picture. `killed`: a process may have died between a file and its
    row, and the sweep takes that file away.
    """
    jobs = await _final_jobs(db)
    by_id = {row.job_id: row for row in jobs}
    assert await _verdicts(db) == {row.job_id: 1 for row in jobs}
    for answer in answers:
        if answer.job_id is not None:
            await _assert_answered_by(by_id[answer.job_id], answer, url=url, http=http)
    for row in jobs:
        if row.status == Status.DONE:
            path = media.path_of(row.result_path)
            assert hashlib.sha256(path.read_bytes()).digest() == row.result_sha256, row
            assert path.stat().st_size == row.result_bytes
    if not killed:
        _assert_files_have_jobs(media, jobs)
        _assert_results_have_rows(media, jobs)
    await _assert_calls_are_counted(db, jobs, calls=calls)
    await assert_the_sweep_leaves_results_only(db, media, jobs)
    return Counter(row.status for row in jobs)


async def _final_jobs(db: Database) -> list[Any]:
    """All jobs, once none is open any more: by their deadline and a little."""
    overdue = (func.clock_timestamp() - job.c.expires_at).label("overdue")
    while True:
        async with db.at_once() as conn:
            still_open = list(await conn.execute(select(job, overdue).where(status_is(*OPEN))))
        if not still_open:
            break
        late = [row for row in still_open if row.overdue.total_seconds() > GRACE_SECONDS]
        assert not late, f"{len(late)} jobs are open {GRACE_SECONDS} s after their deadline: {late[0]}"
        await asyncio.sleep(0.2)
    async with db.at_once() as conn:
        rows = list(await conn.execute(select(job)))
    for row in rows:
        assert row.status in FINAL
        assert (row.finished_at - row.expires_at).total_seconds() <= GRACE_SECONDS, row
    return rows


async def _verdicts(db: Database) -> dict[str, int]:
    numbers = select(processing_log.c.job_id, func.count().label("number")).group_by(processing_log.c.job_id)
    async with db.at_once() as conn:
        return {
            row.job_id: row.number for row in await conn.execute(numbers.where(processing_log.c.event.in_(VERDICTS)))
        }


async def _assert_answered_by(row: Any, answer: Given, *, url: str, http: httpx.AsyncClient) -> None:
    if answer.status == 200:
        assert row.status == Status.DONE, (row, answer)
        assert answer.sha256 == row.result_sha256, (row, answer)
        link = await http.get(f"{url}/public/results/{row.job_id}")
        assert (link.status_code, hashlib.sha256(link.content).digest()) == (200, answer.sha256), link.text[:300]
    elif answer.failure_reason is not None:
        assert row.failure_reason == answer.failure_reason, (row, answer)


def _files(media: Media, folder: str) -> set[str]:
    return {path.name for path in media.folder(folder).iterdir() if path.is_file()}


def _assert_files_have_jobs(media: Media, jobs: Sequence[Any]) -> None:
    known = {row.job_id for row in jobs}
    for folder in FOLDERS:
        assert {name[:32] for name in _files(media, folder)} <= known, folder


def _assert_results_have_rows(media: Media, jobs: Sequence[Any]) -> None:
    done = [row for row in jobs if row.status == Status.DONE]
    assert {f"results/{name}" for name in _files(media, "results")} == {row.result_path for row in done}
    assert {f"previews/{name}" for name in _files(media, "previews")} == {row.preview_path for row in done}


async def _assert_calls_are_counted(db: Database, jobs: Sequence[Any], *, calls: int) -> None:
    async with db.at_once() as conn:
        rows = await conn.execute(select(job_attempt.c.job_id))
        recorded = Counter(row.job_id for row in rows)
    for row in jobs:
        assert recorded[row.job_id] == row.attempt <= row.max_attempts, row
    assert calls <= sum(recorded.values()), "a call was made that no row tells of"


async def assert_the_sweep_leaves_results_only(db: Database, media: Media, jobs: Sequence[Any]) -> None:
    """Some hours later, of all jobs there are, nothing lies under MEDIA_ROOT but the results of those that are done."""
    past = time.time() - 2 * ORPHAN_AGE_SECONDS
    async with db.at_once() as conn:  # until its deadline a runner may still be at work on a job that others have ended
        earlier = {name: job.c[name] - timedelta(hours=2) for name in ("created_at", "expires_at", "start_by")}
        await conn.execute(update(job).values(earlier))
    for folder in FOLDERS:
        for name in _files(media, folder):
            os.utime(media.folder(folder) / name, (past, past))
    assert await sweep_all(Scope(db=db, media=media, job_retention_days=90))
    for folder in ("ingest", "work", "work/previews"):
        assert _files(media, folder) == set(), folder
    _assert_results_have_rows(media, jobs)
