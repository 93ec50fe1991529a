"""What administrators did: lines of the processing log without a job, written in the transaction that does it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.tables import processing_log


@dataclass(frozen=True, kw_only=True)
class AuditLine:
    """Who did what, when. `details` never has a secret."""

    at: datetime
    event: str
    actor: str
    details: Mapping[str, Any]


async def record(conn: AsyncConnection, event: str, *, actor: str, job_id: str | None = None, **details: Any) -> None:
    """Write a line: a past-tense event (`slot_saved`), who, and what is to be known of it, as JSON."""
    await conn.execute(insert(processing_log).values(job_id=job_id, event=event, actor=actor, details=details))


async def latest(conn: AsyncConnection, *, limit: int = 50, without: Collection[str] = ()) -> list[AuditLine]:
    """The newest lines without a job, the last one first; those of some events are left out on demand."""
    columns = [processing_log.c[name] for name in AuditLine.__dataclass_fields__]
    query = select(*columns).where(processing_log.c.job_id.is_(None), processing_log.c.actor.is_not(None))
    if without:
        query = query.where(processing_log.c.event.not_in(without))
    rows = await conn.execute(query.order_by(processing_log.c.at.desc()).limit(limit))
    return [AuditLine(**row._mapping) for row in rows]  # noqa: SLF001
