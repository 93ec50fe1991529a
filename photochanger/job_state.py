"""What the outside may know of a job: one by its id, or all final ones among those that requests wait for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.jobs import FINAL, Status, status_is
from photochanger.tables import HexId, job


@dataclass(frozen=True, kw_only=True)
class JobState:
    """A job as it stands."""

    job_id: str
    status: Status
    slot_id: str
    source: str
    created_at: datetime
    expires_at: datetime
    finished_at: datetime | None
    failure_reason: str | None
    failure_details: str | None
    retry_after_seconds: int | None
    result_path: str | None
    preview_path: str | None
    result_mime: str | None
    result_bytes: int | None
    result_sha256: bytes | None
    result_expires_at: datetime | None
    result_expired: bool
    """By the database's clock."""


_COLUMNS = [
    *(job.c[name] for name in JobState.__dataclass_fields__ if name != "result_expired"),
    func.coalesce(job.c.result_expires_at <= func.now(), False).label("result_expired"),
]
_GET = select(*_COLUMNS).where(job.c.job_id == bindparam("wanted", type_=HexId))
_POLL = select(*_COLUMNS).where(job.c.job_id == any_(bindparam("wanted", type_=ARRAY(HexId))), status_is(*FINAL))


def _state(row: Any) -> JobState:
    return JobState(**{**row._mapping, "status": Status(row.status)})  # noqa: SLF001


async def get(conn: AsyncConnection, job_id: str) -> JobState | None:
    """One job, or None."""
    row = (await conn.execute(_GET, {"wanted": job_id})).one_or_none()
    return None if row is None else _state(row)


async def poll(conn: AsyncConnection, job_ids: Sequence[str]) -> dict[str, JobState]:
    """Those of these jobs that are final, in one query however many are asked for."""
    return {row.job_id: _state(row) for row in await conn.execute(_POLL, {"wanted": list(job_ids)})}
