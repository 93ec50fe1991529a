"""Jobs for tests: photos to take in, rows brought into each state, and a look at what became of them."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import func, literal_column, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import intake, jobs
from photochanger.db import Database
from photochanger.errors import Failure
from photochanger.intake import NewPhoto
from photochanger.job import new_job_id
from photochanger.jobs import Job, Result, Status
from photochanger.tables import job, processing_log

NO_LIMIT = 1_000_000
SETTINGS = {"prompt": "a studio portrait", "retries": 1, "repeat_interrupted": True}


def new_photo(**changes: Any) -> NewPhoto:
    """A photo that has passed every check, of another file each time."""
    job_id = new_job_id()
    photo = NewPhoto(
        job_id=job_id,
        source="ingest",
        slot_id="slot-001",
        slot_version=1,
        provider="gemini",
        snapshot=snapshot(),
        booth_fields={"name": "IMG_0001.JPG"},
        photo_path=f"ingest/{job_id}",
        mime="image/jpeg",
        size_bytes=2_000_000,
        width=3000,
        height=2000,
        sha256=secrets.token_bytes(32),
        idempotency_key=None,
        age_seconds=0.0,
        sync_response_seconds=48,
        least_seconds=2.0,
        max_attempts=2,
    )
    return replace(photo, **changes)


def snapshot(**settings: Any) -> dict[str, Any]:
    """A slot as its job keeps it, with these settings changed."""
    return {
        "slot_id": "slot-001",
        "slot_version": 1,
        "provider": "gemini",
        "operation": "image_edit",
        "settings": {**SETTINGS, **settings},
        "result_ttl_hours": 72,
    }


async def queue(db: Database, **changes: Any) -> str:
    """Take a photo in; its job's id."""
    async with db.begin() as conn:
        return (await intake.admit(conn, new_photo(**changes), in_work_limit=NO_LIMIT)).job_id


async def fill(db: Database, count: int) -> list[str]:
    """Queue that many photos in one statement a table, as `queue` does one by one."""
    model = await queue(db)
    job_ids = [new_job_id() for _ in range(count - 1)]
    copy_job = text(
        "INSERT INTO job (job_id, source, slot_id, provider, status, max_attempts, created_at, expires_at, start_by,"
        " run_after) SELECT id::uuid, source, slot_id, provider, status, max_attempts, created_at, expires_at,"
        " start_by, run_after FROM job, unnest(CAST(:ids AS text[])) AS id WHERE job_id = CAST(:model AS uuid)"
    )
    copy_input = text(
        "INSERT INTO job_input (job_id, slot_id, slot_version, snapshot, photo_path, photo_mime, photo_bytes,"
        " photo_width, photo_height, photo_sha256, created_at) SELECT id::uuid, slot_id, slot_version, snapshot,"
        " 'ingest/' || id, photo_mime, photo_bytes, photo_width, photo_height, sha256(id::bytea), created_at"
        " FROM job_input,"
        " unnest(CAST(:ids AS text[])) AS id WHERE job_id = CAST(:model AS uuid)"
    )
    copy_line = text(
        "INSERT INTO processing_log (job_id, event, details) SELECT id::uuid, event, details FROM processing_log,"
        " unnest(CAST(:ids AS text[])) AS id WHERE job_id = CAST(:model AS uuid)"
    )
    async with db.begin() as conn:
        for copy in (copy_job, copy_input, copy_line):
            await conn.execute(copy, {"ids": job_ids, "model": model})
    return [model, *job_ids]


async def claim(db: Database, *, runner: str = "runner-a", places: int = 1) -> list[Job]:
    """Claim, as a runner does it."""
    async with db.at_once() as conn:
        return await jobs.claim(conn, runner=runner, places=places)


async def claim_one(db: Database, *, runner: str = "runner-a") -> Job:
    """Claim the only job there is to claim."""
    (claimed,) = await claim(db, runner=runner, places=1)
    return claimed


def result_of(job_id: str, *, mark: bytes = b"\x11") -> Result:
    """A result on disk; `mark` tells two results of one job apart."""
    return Result(
        path=f"results/{job_id}.jpg",
        preview_path=f"previews/{job_id}.webp",
        mime="image/jpeg",
        size_bytes=500_000,
        sha256=mark * 32,
    )


async def job_in(db: Database, status: Status) -> tuple[str, Job]:
    """A job that came to this state by the real moves, and the last claim on it that does or did hold."""
    job_id = await queue(db)
    async with db.begin() as others:  # what is locked is skipped: the claim gets this job and no other
        await others.execute(select(job.c.job_id).where(job.c.job_id != job_id).with_for_update())
        claimed = await claim_one(db)
    this = update(job).where(job.c.job_id == job_id)
    async with db.at_once() as conn:
        match status:
            case Status.QUEUED:
                await jobs.release(conn, claimed, why="test")
            case Status.WAITING:
                await jobs.park(conn, claimed, reference="q-1", after_seconds=0)
            case Status.DONE:
                await jobs.finish(conn, claimed, result=result_of(job_id), ttl_hours=72)
            case Status.FAILED:
                await jobs.fail(conn, claimed, failure=Failure.NO_IMAGE, details="nothing came")
            case Status.TIMEOUT:
                await overdue(conn, job_id)
                await jobs.expire(conn, job_id)
                await conn.execute(this.values(expires_at=func.now() + timedelta(seconds=30)))
    assert (await row(db, job_id)).status == status
    return job_id, claimed


async def overdue(conn: AsyncConnection, job_id: str, *, seconds: float = 0.001) -> None:
    """Let the job's deadline have passed so long ago."""
    past = func.now() - timedelta(seconds=seconds)
    created = func.least(job.c.created_at, past - timedelta(minutes=1))
    await conn.execute(
        update(job).where(job.c.job_id == job_id).values(expires_at=past, start_by=past, created_at=created)
    )


async def row(db: Database, job_id: str) -> Any:
    """The job's whole row, with `xmin` as `written_by`: the transaction that wrote it last."""
    async with db.at_once() as conn:
        query = select(job, literal_column("job.xmin::text").label("written_by")).where(job.c.job_id == job_id)
        return (await conn.execute(query)).one()


async def log_lines(db: Database, job_id: str) -> list[Any]:
    """The job's audit trail, the oldest line first, with `written_by`."""
    query = (
        select(processing_log, literal_column("processing_log.xmin::text").label("written_by"))
        .where(processing_log.c.job_id == job_id)
        .order_by(processing_log.c.at)
    )
    async with db.at_once() as conn:
        return list(await conn.execute(query))


async def events(db: Database, job_id: str) -> list[str]:
    """The names in the job's audit trail, up to its verdict: that the answer went out is written after the answer."""
    return [line.event for line in await log_lines(db, job_id) if line.event not in {"sent", "booth_gone"}]


async def until(happened: Callable[[], Awaitable[bool]], *, seconds: float = 20.0) -> None:
    """Wait for something that happens elsewhere; fail when it does not."""
    deadline = time.monotonic() + seconds
    while not await happened():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.005)


async def until_blocked(db: Database, *, count: int = 1, seconds: float = 5.0) -> None:
    """Wait until that many statements of this database wait for a lock."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    async def blocked() -> bool:
        async with db.at_once() as conn:
            return bool((await conn.execute(query)).scalar_one() >= count)

    await until(blocked, seconds=seconds)
