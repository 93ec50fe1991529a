"""Taking a photo in: joining a job that has it already, the slot's limit of photos in work, and the new job's rows.

All under one lock per slot, which lives as long as the transaction: counting without it overshoots the limit. The lock
comes first and the count in a statement of its own, because a statement sees what was committed when *it* began.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, and_, func, insert, literal, or_, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.errors import Failure, Refusal
from photochanger.jobs import OPEN, Status, status_is
from photochanger.tables import job, job_input, processing_log

LOCK_CLASS = 41_001
DUPLICATE_OF_DONE_SECONDS = 60
RETRY_AFTER_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class NewPhoto:
    """A photo that has passed every check and lies in `ingest/`."""

    job_id: str
    source: str
    slot_id: str
    slot_version: int
    provider: str
    snapshot: Mapping[str, Any]
    booth_fields: Mapping[str, str]
    photo_path: str
    """Relative to MEDIA_ROOT."""
    mime: str
    size_bytes: int
    width: int
    height: int
    sha256: bytes
    idempotency_key: str | None
    age_seconds: float
    """From the request's arrival to the beginning of the transaction that takes it in."""
    sync_response_seconds: int
    least_seconds: float
    """The shortest time the provider needs: later than that before the deadline nothing is started."""
    max_attempts: int


@dataclass(frozen=True, kw_only=True)
class Admission:
    """The job that will answer: a new one, or one that has the same photo already."""

    job_id: str
    joined: bool


async def admit(conn: AsyncConnection, photo: NewPhoto, *, in_work_limit: int) -> Admission:
    """Queue the photo, or join the job that has it.

    Raises `Refusal`: `idempotency_conflict` for a key used with another file, `rate_limited` past the slot's limit.
    """
    await conn.execute(select(func.pg_advisory_xact_lock(LOCK_CLASS, func.hashtext(photo.slot_id))))
    same = await _same_photo(conn, photo)
    if same is not None:
        return Admission(job_id=same, joined=True)
    in_work = select(func.count()).where(job.c.slot_id == photo.slot_id, status_is(*OPEN))
    if (await conn.execute(in_work)).scalar_one() >= in_work_limit:
        raise Refusal(
            Failure.RATE_LIMITED,
            f"The slot has its {in_work_limit} photos in work already.",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    await _insert(conn, photo)
    return Admission(job_id=photo.job_id, joined=False)


async def _same_photo(conn: AsyncConnection, photo: NewPhoto) -> str | None:
    """The job that answers for this photo already: by its idempotency key, else by file, slot and slot version."""
    in_time = and_(status_is(*OPEN), job.c.expires_at > func.now())
    still_good = or_(in_time, and_(status_is(Status.DONE), job.c.result_expires_at > func.now()))
    query = (
        select(job.c.job_id, job_input.c.photo_sha256, still_good.label("still_good"))
        .join_from(job_input, job, job_input.c.job_id == job.c.job_id)
        .where(job_input.c.slot_id == photo.slot_id, job.c.source == photo.source)
        .order_by(job.c.created_at.desc())
        .limit(1)
    )
    if photo.idempotency_key is not None:
        found = (await conn.execute(query.where(job_input.c.idempotency_key == photo.idempotency_key))).one_or_none()
        return _keyed(found, photo)
    fresh = and_(
        status_is(Status.DONE),
        job.c.finished_at > func.now() - timedelta(seconds=DUPLICATE_OF_DONE_SECONDS),
        job.c.result_path.is_not(None),
    )
    same_file = and_(
        job_input.c.photo_sha256 == photo.sha256,
        job_input.c.slot_version == photo.slot_version,
        or_(in_time, fresh),
    )
    found = (await conn.execute(query.where(same_file))).one_or_none()
    return None if found is None else str(found.job_id)


def _keyed(found: Row[Any] | None, photo: NewPhoto) -> str | None:
    if found is None:
        return None
    if found.photo_sha256 != photo.sha256:
        raise Refusal(Failure.IDEMPOTENCY_CONFLICT, job_id=found.job_id)
    return str(found.job_id) if found.still_good else None


async def _insert(conn: AsyncConnection, photo: NewPhoto) -> None:
    # now() is the moment the transaction began: waiting for the slot's lock moves no deadline.
    created_at = func.now() - timedelta(seconds=photo.age_seconds)
    moments = select(
        created_at.label("created_at"),
        (created_at + timedelta(seconds=photo.sync_response_seconds)).label("expires_at"),
    ).subquery("moments")
    new_job = (
        insert(job)
        .from_select(
            [
                "job_id", "source", "slot_id", "provider", "status", "max_attempts",
                "created_at", "expires_at", "start_by", "run_after",
            ],
            select(
                literal(photo.job_id, job.c.job_id.type),
                literal(photo.source),
                literal(photo.slot_id),
                literal(photo.provider),
                literal(Status.QUEUED.value),
                literal(photo.max_attempts),
                moments.c.created_at,
                moments.c.expires_at,
                moments.c.expires_at - timedelta(seconds=photo.least_seconds),
                moments.c.created_at,
            ),
            include_defaults=False,
        )
        .cte("new_job")
    )  # fmt: skip
    new_input = (
        insert(job_input)
        .values(
            job_id=photo.job_id,
            slot_id=photo.slot_id,
            slot_version=photo.slot_version,
            snapshot=photo.snapshot,
            booth_fields=photo.booth_fields,
            photo_path=photo.photo_path,
            photo_mime=photo.mime,
            photo_bytes=photo.size_bytes,
            photo_width=photo.width,
            photo_height=photo.height,
            photo_sha256=photo.sha256,
            idempotency_key=photo.idempotency_key,
        )
        .cte("new_input")
    )
    log_line = insert(processing_log).values(
        job_id=photo.job_id,
        event="queued",
        details=literal({"slot": photo.slot_id, "received_seconds": round(photo.age_seconds, 3)}, JSONB),
    )
    await conn.execute(log_line.add_cte(new_job, new_input))
