"""Photos that are taken in, once and again, for the tests of whether a job joins another."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, update

from photochanger import intake, jobs
from photochanger.db import Database
from photochanger.intake import Admission, NewPhoto
from photochanger.tables import job
from tests.queue_rows import claim_one, new_photo, result_of


async def admit(db: Database, photo: NewPhoto, *, limit: int = 100) -> Admission:
    async with db.begin() as conn:
        return await intake.admit(conn, photo, in_work_limit=limit)


def again(photo: NewPhoto, **changes: Any) -> NewPhoto:
    """The same file, posted once more."""
    other = new_photo()
    return replace(photo, job_id=other.job_id, photo_path=other.photo_path, **changes)


async def finish(db: Database, *, ago_seconds: float = 0.0) -> str:
    """Finish the only job there is to claim, so long ago."""
    held = await claim_one(db)
    async with db.at_once() as conn:
        assert await jobs.finish(conn, held, result=result_of(held.job_id), ttl_hours=72)
        finished_at = job.c.finished_at - timedelta(seconds=ago_seconds)
        await conn.execute(update(job).where(job.c.job_id == held.job_id).values(finished_at=finished_at))
    return held.job_id


async def forget_all(db: Database) -> None:
    async with db.at_once() as conn:
        await conn.execute(delete(job))
