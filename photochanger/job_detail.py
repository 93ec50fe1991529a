"""All that is known of one job, for administrators: its rows, and its way as a timeline."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import attempts, timeline
from photochanger.attempts import Attempt
from photochanger.job import Source, Status
from photochanger.tables import job, job_input, slot
from photochanger.timeline import Moment


@dataclass(frozen=True, kw_only=True)
class JobDetail:
    """A job with what was written of it."""

    job_id: str
    slot_id: str
    slot_name: str
    source: Source
    provider: str
    """In charge now, or at the end."""
    on_fallback: bool
    status: Status
    created_at: datetime
    expires_at: datetime
    finished_at: datetime | None
    failure_reason: str | None
    failure_details: str | None
    retry_after_seconds: int | None
    runner: str | None
    max_attempts: int
    provider_job_reference: str | None
    result_there: bool
    """It has not expired, by the database's clock, and its file has not gone."""
    preview_there: bool
    result_mime: str | None
    result_bytes: int | None
    result_sha256: bytes | None
    result_expires_at: datetime | None
    slot_version: int | None
    snapshot: Mapping[str, Any]
    booth_fields: Mapping[str, str]
    photo_path: str
    photo_mime: str
    photo_bytes: int
    photo_width: int
    photo_height: int
    photo_sha256: bytes
    replay_of: str | None
    attempts: list[Attempt]
    timeline: list[Moment]

    @property
    def seconds(self) -> float | None:
        """From its arrival to its end."""
        return None if self.finished_at is None else (self.finished_at - self.created_at).total_seconds()

    @property
    def cost_usd(self) -> Decimal | None:
        """Of all its attempts; None when of none it is known."""
        costs = [attempt.cost_usd for attempt in self.attempts if attempt.cost_usd is not None]
        return sum(costs, Decimal()) if costs else None


_THERE = func.coalesce(and_(job.c.result_path.is_not(None), job.c.result_expires_at > func.now()), False)
_WRITTEN_ONCE = {"slot_version", "snapshot", "booth_fields", "replay_of"}
_COLUMNS = [
    *(job.c[name] for name in JobDetail.__dataclass_fields__ if name in job.c),
    *(
        job_input.c[name]
        for name in JobDetail.__dataclass_fields__
        if name.startswith("photo_") or name in _WRITTEN_ONCE
    ),
    slot.c.display_name.label("slot_name"),
    _THERE.label("result_there"),
    and_(_THERE, job.c.preview_path.is_not(None)).label("preview_there"),
]


@dataclass(frozen=True, kw_only=True)
class PhotoFile:
    """Where the photo of a job was put; whether it is there still, the disk knows."""

    path: str
    """Relative to MEDIA_ROOT."""
    mime: str


async def photo_of(conn: AsyncConnection, job_id: str) -> PhotoFile | None:
    """The photo that the job was made of, or None when there is no such job."""
    query = select(job_input.c.photo_path, job_input.c.photo_mime).where(job_input.c.job_id == job_id)
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else PhotoFile(path=row.photo_path, mime=row.photo_mime)


async def of_job(conn: AsyncConnection, job_id: str) -> JobDetail | None:
    """The job, or None when there is none with this id."""
    whole = job.join(job_input, job_input.c.job_id == job.c.job_id).join(slot, slot.c.slot_id == job.c.slot_id)
    row = (await conn.execute(select(*_COLUMNS).select_from(whole).where(job.c.job_id == job_id))).one_or_none()
    if row is None:
        return None
    return JobDetail(
        **{**row._mapping, "status": Status(row.status), "source": Source(row.source)},  # noqa: SLF001
        attempts=await attempts.of_job(conn, job_id),
        timeline=await timeline.timeline(conn, job_id),
    )
