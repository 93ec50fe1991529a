"""A slot's newest results that can still be fetched: for its guests, and for those who administer it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.job import Source
from photochanger.tables import job


@dataclass(frozen=True, kw_only=True)
class RecentResult:
    """A result that can still be fetched."""

    job_id: str
    """The secret of its link."""
    created_at: datetime
    """When the photo came in."""
    finished_at: datetime
    expires_at: datetime


LOOKED_AT = 500
"""Of a slot's newest results: the answer comes as fast while the cleanup is away and expired ones pile up."""


async def of_slot(conn: AsyncConnection, slot_id: str, *, limit: int = 10) -> list[RecentResult]:
    """The newest first; of photos from booths, not of test runs."""
    newest = (
        select(job.c.job_id, job.c.source, job.c.created_at, job.c.finished_at, job.c.result_expires_at)
        .where(job.c.slot_id == slot_id, job.c.result_path.is_not(None))
        .order_by(job.c.finished_at.desc())
        .limit(LOOKED_AT)
        .subquery("newest")
    )
    query = (
        select(
            newest.c.job_id, newest.c.created_at, newest.c.finished_at, newest.c.result_expires_at.label("expires_at")
        )
        .where(newest.c.source == Source.INGEST.value, newest.c.result_expires_at > func.now())
        .order_by(newest.c.finished_at.desc())
        .limit(limit)
    )
    return [RecentResult(**row._mapping) for row in await conn.execute(query)]  # noqa: SLF001
