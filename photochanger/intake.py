"""Taking a photo in: joining a job that has it already, the slot's limit of photos in work, and the new job's rows.

All under one lock per slot, which lives as long as the transaction: counting without it overshoots the limit. The lock
comes first and the count in a statement of its own, because a statement sees what was committed when *it* began.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Float,
    Integer,
    Interval,
    LargeBinary,
    SmallInteger,
    Text,
    and_,
    bindparam,
    cast,
    func,
    insert,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.elements import ColumnElement

from photochanger.errors import Failure, Refusal
from photochanger.job import OPEN, Source, Status, literal, status_is
from photochanger.photo import NewPhoto as NewPhoto
from photochanger.prepared import Connection, Prepared, rows_of_all
from photochanger.tables import HexId, job, job_input, processing_log

LOCK_CLASS = 41_001
DUPLICATE_OF_DONE_SECONDS = 60
RETRY_AFTER_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class Admission:
    """The job that will answer: a new one, or one that has the same photo already."""

    job_id: str
    joined: bool


_IN_TIME = and_(status_is(*OPEN), job.c.expires_at > func.now())
_THIS_SLOT = bindparam("this_slot", type_=Text)
_LOCK = Prepared(select(func.pg_advisory_xact_lock(LOCK_CLASS, func.hashtext(_THIS_SLOT))))
_IN_WORK = Prepared(select(func.count().label("photos")).where(job.c.slot_id == _THIS_SLOT, status_is(*OPEN)))


def _newest(*which: ColumnElement[bool]) -> Prepared:
    """The newest job of this slot that has the photo already, and whether it can still answer."""
    result_kept = and_(status_is(Status.DONE), job.c.result_expires_at > func.now())
    return Prepared(
        select(job.c.job_id, job_input.c.photo_sha256, or_(_IN_TIME, result_kept).label("still_good"))
        .join_from(job_input, job, job_input.c.job_id == job.c.job_id)
        .where(job_input.c.slot_id == _THIS_SLOT, job.c.source == bindparam("this_source", type_=Text), *which)
        .order_by(job.c.created_at.desc())
        .limit(literal_column("1"))
    )


_BY_KEY = _newest(job_input.c.idempotency_key == bindparam("this_key", type_=Text))
_BY_FILE = _newest(
    job_input.c.photo_sha256 == bindparam("this_sha256", type_=LargeBinary),
    job_input.c.slot_version == bindparam("this_version", type_=Integer),
    or_(
        _IN_TIME,
        and_(
            status_is(Status.DONE),
            job.c.finished_at > func.now() - literal_column(f"interval '{DUPLICATE_OF_DONE_SECONDS} seconds'"),
            job.c.result_path.is_not(None),
            job.c.result_expires_at > func.now(),
        ),
    ),
)


async def admit(conn: Connection, photo: NewPhoto, *, in_work_limit: int) -> Admission:
    """Queue the photo, or join the job that has it. In a transaction, which holds the slot's lock until its end.

    What an administrator runs joins nothing: its settings may be another form's, and who runs it again wants it run.

    Raises `Refusal`: `idempotency_conflict` for a key used with another file, `rate_limited` past the slot's limit.
    """
    this = {"this_slot": photo.slot_id}
    _, found, counted = await rows_of_all(conn, (_LOCK, this), _same_photo(photo), (_IN_WORK, this))
    if found and (same := _job_to_join(photo, found[0])) is not None:
        return Admission(job_id=same, joined=True)
    if counted[0]["photos"] >= in_work_limit:
        raise Refusal(
            Failure.RATE_LIMITED,
            f"The slot has its {in_work_limit} photos in work already.",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    await _INSERT.count(conn, _values(photo))
    return Admission(job_id=photo.job_id, joined=False)


def _same_photo(photo: NewPhoto) -> tuple[Prepared, dict[str, Any]]:
    """What finds the job that has this photo already: by its idempotency key, else by file, slot and slot version."""
    this = {"this_slot": photo.slot_id, "this_source": photo.source}
    if photo.idempotency_key is None:
        return _BY_FILE, {**this, "this_sha256": photo.sha256, "this_version": photo.slot_version}
    return _BY_KEY, {**this, "this_key": photo.idempotency_key}


def _job_to_join(photo: NewPhoto, found: Mapping[str, Any]) -> str | None:
    """The job that was found, if it can still answer. A key that came with another file is a conflict."""
    if photo.source != Source.INGEST:
        return None
    job_id: str = found["job_id"]
    if photo.idempotency_key is not None and found["photo_sha256"] != photo.sha256:
        raise Refusal(Failure.IDEMPOTENCY_CONFLICT, job_id=job_id)
    return job_id if found["still_good"] else None


def _insert() -> Prepared:
    """Job, input and log line, in one statement."""

    def seconds(name: str) -> ColumnElement[Any]:
        return cast(bindparam(name, type_=Float), Float) * literal_column("interval '1 second'", Interval)

    # now() is the moment the transaction began: waiting for the slot's lock moves no deadline.
    created_at = func.now() - seconds("age_seconds")
    expires_at = created_at + seconds("sync_response_seconds")
    job_id = bindparam("job_id", type_=HexId)
    new_job = (
        insert(job)
        .values(
            job_id=job_id,
            source=bindparam("source", type_=Text),
            slot_id=_THIS_SLOT,
            provider=bindparam("provider", type_=Text),
            status=literal(Status.QUEUED),
            max_attempts=bindparam("max_attempts", type_=SmallInteger),
            created_at=created_at,
            expires_at=expires_at,
            start_by=expires_at - seconds("least_seconds"),
            run_after=func.now(),
        )
        .cte("new_job")
    )
    columns = job_input.c
    given: dict[str, Any] = {column.name: bindparam(f"input_{column.name}", type_=column.type) for column in columns}
    given |= {"job_id": job_id, "slot_id": _THIS_SLOT, "created_at": created_at}
    new_input = insert(job_input).values(given).cte("new_input")
    line = insert(processing_log).values(
        job_id=job_id, event=literal_column("'queued'"), details=bindparam("log", type_=JSONB)
    )
    return Prepared(line.add_cte(new_job, new_input))


_INSERT = _insert()


def _values(photo: NewPhoto) -> dict[str, Any]:
    return {
        "job_id": photo.job_id,
        "this_slot": photo.slot_id,
        "source": photo.source,
        "provider": photo.provider,
        "max_attempts": photo.max_attempts,
        "age_seconds": photo.age_seconds,
        "sync_response_seconds": float(photo.sync_response_seconds),
        "least_seconds": photo.least_seconds,
        "input_slot_version": photo.slot_version,
        "input_snapshot": photo.snapshot,
        "input_booth_fields": photo.booth_fields,
        "input_photo_path": photo.photo_path,
        "input_photo_mime": photo.mime,
        "input_photo_bytes": photo.size_bytes,
        "input_photo_width": photo.width,
        "input_photo_height": photo.height,
        "input_photo_sha256": photo.sha256,
        "input_idempotency_key": photo.idempotency_key,
        "input_replay_of": photo.replay_of,
        "log": {"slot": photo.slot_id, "received_seconds": round(photo.age_seconds, 3)},
    }
