"""How every slot stands at this moment: its photos in work, and how the last ones ended.

The dashboard asks every few seconds, beside a million jobs: each query walks a partial index.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Float, Select, and_, cast, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from photochanger.job import OPEN, Source, Status, status_is
from photochanger.tables import job, slot


@dataclass(frozen=True, kw_only=True)
class OpenJobs:
    """A slot's photos that have no end yet."""

    queued: int = 0
    """No runner has begun with them."""
    in_work: int = 0
    """With a runner or at their provider."""
    oldest_share: float = 0.0
    """How much of its time the oldest has used up: 0 to 1, and above while nobody has closed it."""


@dataclass(frozen=True, kw_only=True)
class LastEnds:
    """How a slot's last photos ended. Of booths: test runs are in no figure of a slot."""

    success_at: datetime | None = None
    """When the newest result that is still kept was finished."""
    failure_at: datetime | None = None
    failure_reason: str | None = None


_SHARE_OF_TIME: ColumnElement[Any] = func.extract("epoch", func.now() - job.c.created_at) / func.extract(
    "epoch", job.c.expires_at - job.c.created_at
)
_OPEN_JOBS = (
    select(
        job.c.slot_id,
        func.count().filter(status_is(Status.QUEUED)).label("queued"),
        func.count().filter(~status_is(Status.QUEUED)).label("in_work"),
        cast(func.max(_SHARE_OF_TIME), Float).label("oldest_share"),
    )
    .where(status_is(*OPEN))
    .group_by(job.c.slot_id)
)


async def open_jobs(conn: AsyncConnection, *, sources: Collection[Source]) -> dict[str, OpenJobs]:
    """Those of these sources, by slot; slots without any are left out."""
    rows = await conn.execute(_OPEN_JOBS.where(job.c.source.in_([source.value for source in sources])))
    return {
        row.slot_id: OpenJobs(queued=row.queued, in_work=row.in_work, oldest_share=row.oldest_share) for row in rows
    }


def _last_ends() -> Select[Any]:
    """Two steps in an index for each slot."""
    of_slot = and_(job.c.slot_id == slot.c.slot_id, job.c.source == Source.INGEST.value)
    newest_first = job.c.finished_at.desc()
    kept = job.c.result_path.is_not(None)
    success = select(job.c.finished_at).where(of_slot, kept).order_by(newest_first).limit(1).lateral("success")
    failed = status_is(Status.FAILED, Status.TIMEOUT)
    reason = select(job.c.finished_at, job.c.failure_reason)
    failure = reason.where(of_slot, failed).order_by(newest_first).limit(1).lateral("failure")
    return select(
        slot.c.slot_id,
        success.c.finished_at.label("success_at"),
        failure.c.finished_at.label("failure_at"),
        failure.c.failure_reason,
    ).select_from(slot.outerjoin(success, true()).outerjoin(failure, true()))


_LAST_ENDS = _last_ends()


async def last_ends(conn: AsyncConnection) -> dict[str, LastEnds]:
    """Of every slot."""
    return {
        row.slot_id: LastEnds(success_at=row.success_at, failure_at=row.failure_at, failure_reason=row.failure_reason)
        for row in await conn.execute(_LAST_ENDS)
    }
