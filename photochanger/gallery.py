"""A slot's public gallery: its last results that still live. For guests, so it says nothing of anything else."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.job import Source
from photochanger.tables import job, slot


@dataclass(frozen=True, kw_only=True)
class GalleryResult:
    """One picture. Its job's id is the secret of its link, which is public here."""

    job_id: str
    created_at: datetime
    """When the photo came in."""
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """A slot as guests see it; the newest result first."""

    slot_id: str
    display_name: str
    results: list[GalleryResult]


LOOKED_AT = 500
"""Of a slot's newest results: the answer comes as fast while the cleanup is away and expired ones pile up."""


async def gallery_of(conn: AsyncConnection, slot_id: str, *, limit: int) -> Gallery | None:
    """The last results of this slot's booths, no test runs; None when there is no such slot."""
    name = (await conn.execute(select(slot.c.display_name).where(slot.c.slot_id == slot_id))).scalar_one_or_none()
    if name is None:
        return None
    newest = (
        select(job.c.job_id, job.c.source, job.c.created_at, job.c.finished_at, job.c.result_expires_at)
        .where(job.c.slot_id == slot_id, job.c.result_path.is_not(None))
        .order_by(job.c.finished_at.desc())
        .limit(LOOKED_AT)
        .subquery("newest")
    )
    rows = await conn.execute(
        select(newest.c.job_id, newest.c.created_at, newest.c.result_expires_at.label("expires_at"))
        .where(newest.c.source == Source.INGEST.value, newest.c.result_expires_at > func.now())
        .order_by(newest.c.finished_at.desc())
        .limit(limit)
    )
    return Gallery(slot_id=slot_id, display_name=name, results=[GalleryResult(**row._mapping) for row in rows])  # noqa: SLF001
