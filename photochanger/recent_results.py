"""A slot's newest results, for those who administer it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.job import Status, status_is
from photochanger.tables import job


@dataclass(frozen=True, kw_only=True)
class RecentResult:
    """A result that can still be fetched."""

    job_id: str
    created_at: datetime
    finished_at: datetime
    expires_at: datetime


async def of_slot(conn: AsyncConnection, slot_id: str, *, limit: int = 10) -> list[RecentResult]:
    """The newest first; of photos from booths, not of test runs."""
    query = (
        select(job.c.job_id, job.c.created_at, job.c.finished_at, job.c.result_expires_at.label("expires_at"))
        .where(
            job.c.slot_id == slot_id,
            job.c.source == "ingest",
            status_is(Status.DONE),
            job.c.result_path.is_not(None),
            job.c.result_expires_at > func.now(),
        )
        .order_by(job.c.finished_at.desc())
        .limit(limit)
    )
    return [RecentResult(**row._mapping) for row in await conn.execute(query)]  # noqa: SLF001
