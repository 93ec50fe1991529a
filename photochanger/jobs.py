"""The queue: what may become of a job, and the only six functions that write `job.status`.

    queued --claim--> running --park--> waiting --claim--> running …      (asked again later)
    running --finish--> done      running --fail--> failed      running --release--> queued
    queued, running, waiting --expire--> timeout

Each is one UPDATE that names the status it leaves, and writes its line of the processing log in the same statement: the
row count is the mutex, and no transaction is needed around it. A claim is known by its runner *and* its number, so a
runner that was frozen, and whose job was taken back meanwhile, can no longer finish, fail or park it ("zombie").
PostgreSQL's clock is the only clock.

The statements are built once, when the module is imported: building one costs more than running it. A status stands in
them as a literal, because a prepared statement finds a partial index only by a literal.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Float,
    Insert,
    Integer,
    Interval,
    LargeBinary,
    Select,
    Text,
    Update,
    and_,
    bindparam,
    cast,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from photochanger.errors import Failure
from photochanger.tables import HexId, job, job_input, processing_log


class Status(enum.StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    TIMEOUT = "timeout"


OPEN = (Status.QUEUED, Status.RUNNING, Status.WAITING)
FINAL = (Status.DONE, Status.FAILED, Status.TIMEOUT)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A claimed job: what its runner needs, and what proves that the claim is still its own."""

    job_id: str
    source: str
    slot_id: str
    provider: str
    runner: str
    claim_number: int
    attempt: int
    """How many attempts (calls of a provider) were begun so far."""
    max_attempts: int
    reference: str | None
    """The provider's own name for it, once the provider has accepted it: then it is polled, not submitted."""
    seconds_left: float
    """Until its deadline, at the moment of the claim."""
    snapshot: Mapping[str, Any]
    photo_path: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """A changed picture that is safely on disk. Paths are relative to MEDIA_ROOT."""

    path: str
    preview_path: str
    mime: str
    size_bytes: int
    sha256: bytes


def status_is(*statuses: Status) -> ColumnElement[bool]:
    """The condition that a job has one of these, with the values as literals in the SQL."""
    if len(statuses) == 1:
        return job.c.status == _literal(statuses[0])
    return job.c.status.in_([_literal(status) for status in statuses])


def _literal(status: Status) -> ColumnElement[str]:
    return literal_column(f"'{status.value}'", Text)


def _seconds(name: str) -> ColumnElement[Any]:
    return cast(bindparam(name, type_=Float), Float) * literal_column("interval '1 second'", Interval)


HELD_BY_CLAIM = and_(
    job.c.job_id == bindparam("held_job_id", type_=HexId),
    status_is(Status.RUNNING),
    job.c.runner == bindparam("held_runner", type_=Text),
    job.c.claim_number == bindparam("held_claim_number", type_=Integer),
)
"""A claim still holds: its job runs, with this runner and this claim's number. Takes the parameters of `held()`."""


def held(claimed: Job) -> dict[str, Any]:
    """The parameters of `HELD_BY_CLAIM`."""
    return {
        "held_job_id": claimed.job_id,
        "held_runner": claimed.runner,
        "held_claim_number": claimed.claim_number,
    }


NO_RUNNER: Mapping[str, Any] = {"runner": null(), "lease_until": null()}


def _logged(move: Update, *, event: str) -> Insert:
    """The UPDATE and its log line as one statement; its row count is the number of jobs moved."""
    moved = move.returning(job.c.job_id).cte("moved")
    line = select(
        moved.c.job_id, literal_column(f"'{event}'"), bindparam("log_runner", type_=Text), bindparam("log", type_=JSONB)
    )
    return insert(processing_log).from_select(["job_id", "event", "runner", "details"], line)


async def _moved(
    conn: AsyncConnection, statement: Insert, *, log: Mapping[str, Any] | None = None, **values: Any
) -> int:
    parameters = {"log_runner": values.get("held_runner"), "log": log, **values}
    # SQLAlchemy keeps an INSERT's row count only when asked to.
    return (await conn.execute(statement, parameters, execution_options={"preserve_rowcount": True})).rowcount


def _claim() -> Select[Any]:
    polled = job.c.provider_job_reference.is_not(None)
    worth_it = or_(job.c.start_by > func.now(), and_(polled, job.c.expires_at > func.now()))
    places = bindparam("places", type_=Integer)
    due = (
        select(job.c.job_id)
        .where(status_is(Status.WAITING), job.c.run_after <= func.now(), worth_it)
        .order_by(job.c.run_after)
        .limit(places)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    queued = (
        select(job.c.job_id)
        .where(status_is(Status.QUEUED), worth_it)
        .order_by(job.c.priority.desc(), job.c.expires_at)
        .limit(places - select(func.count()).select_from(due).scalar_subquery())
        .with_for_update(skip_locked=True)
        .cte("queued")
    )
    chosen = union_all(select(due.c.job_id), select(queued.c.job_id)).subquery("chosen")
    claimed = (
        update(job)
        .where(job.c.job_id == chosen.c.job_id)
        .values(
            status=_literal(Status.RUNNING),
            runner=bindparam("claiming_runner", type_=Text),
            claim_number=job.c.claim_number + 1,
            lease_until=job.c.expires_at,
        )
        .returning(job)
        .cte("claimed")
    )
    line = select(claimed.c.job_id, literal_column("'claimed'"), claimed.c.runner)
    logged = insert(processing_log).from_select(["job_id", "event", "runner"], line).cte("logged")
    columns = [claimed.c[name] for name in Job.__dataclass_fields__ if name in claimed.c]
    return (
        select(
            *columns,
            claimed.c.provider_job_reference.label("reference"),
            func.extract("epoch", claimed.c.expires_at - func.clock_timestamp()).label("seconds_left"),
            job_input.c.snapshot,
            job_input.c.photo_path,
        )
        .join_from(claimed, job_input, claimed.c.job_id == job_input.c.job_id)
        .add_cte(logged)
    )


_CLAIM = _claim()


async def claim(conn: AsyncConnection, *, runner: str, places: int) -> list[Job]:
    """Take up to `places` jobs that can still be answered in time, skipping what others hold.

    Those that wait at their provider and are due come first (a poll is short), then the queue by priority and deadline.
    """
    rows = await conn.execute(_CLAIM, {"claiming_runner": runner, "places": places})
    return [Job(**{**row._mapping, "seconds_left": float(row.seconds_left)}) for row in rows]  # noqa: SLF001


_PARK = _logged(
    update(job)
    .where(HELD_BY_CLAIM)
    .values(
        status=_literal(Status.WAITING),
        provider_job_reference=bindparam("reference", type_=Text),
        run_after=func.clock_timestamp() + _seconds("after_seconds"),
        **NO_RUNNER,
    ),
    event="parked",
)


async def park(conn: AsyncConnection, claimed: Job, *, reference: str | None, after_seconds: float) -> bool:
    """Let it wait without a runner: for its provider's queue (`reference`), or to be tried again (None).

    False, here and below, when the job is no longer ours.
    """
    values = {"reference": reference, "after_seconds": after_seconds}
    return await _moved(conn, _PARK, log=values, **values, **held(claimed)) == 1


_HOLD = select(job.c.job_id).where(HELD_BY_CLAIM, job.c.expires_at > func.clock_timestamp()).with_for_update()


async def hold(conn: AsyncConnection, claimed: Job) -> bool:
    """Lock the job's row for this transaction, if the claim still holds and the deadline is still to come.

    Whoever holds it may put the result's files in their place: nobody else can finish, expire or take back meanwhile.
    """
    return (await conn.execute(_HOLD, held(claimed))).one_or_none() is not None


_FINISH = _logged(
    update(job)
    .where(HELD_BY_CLAIM, job.c.expires_at > func.clock_timestamp())
    .values(
        status=_literal(Status.DONE),
        finished_at=func.clock_timestamp(),
        result_path=bindparam("path", type_=Text),
        preview_path=bindparam("preview_path", type_=Text),
        result_mime=bindparam("mime", type_=Text),
        result_bytes=bindparam("size_bytes", type_=Integer),
        result_sha256=bindparam("sha256", type_=LargeBinary),
        result_expires_at=func.clock_timestamp() + _seconds("ttl_seconds"),
        **NO_RUNNER,
    ),
    event="finished",
)


async def finish(conn: AsyncConnection, claimed: Job, *, result: Result, ttl_hours: int) -> bool:
    """Record the result. False also when it comes too late."""
    return await _moved(conn, _FINISH, ttl_seconds=ttl_hours * 3600, **vars(result), **held(claimed)) == 1


_FAIL = _logged(
    update(job)
    .where(HELD_BY_CLAIM)
    .values(
        status=_literal(Status.FAILED),
        finished_at=func.clock_timestamp(),
        failure_reason=bindparam("reason", type_=Text),
        failure_details=bindparam("public_details", type_=Text),
        **NO_RUNNER,
    ),
    event="failed",
)


async def fail(conn: AsyncConnection, claimed: Job, *, failure: Failure, details: str) -> bool:
    """Give it up. `details` is public and cut at 1,000 characters."""
    log = {"failure_reason": failure.code}
    return await _moved(conn, _FAIL, log=log, reason=failure.code, public_details=details[:1000], **held(claimed)) == 1


_RELEASE = _logged(
    update(job).where(HELD_BY_CLAIM).values(status=_literal(Status.QUEUED), **NO_RUNNER), event="released"
)


async def release(conn: AsyncConnection, claimed: Job, *, why: str) -> bool:
    """Give it back to the queue: the runner stops, or its lease ran out."""
    return await _moved(conn, _RELEASE, log={"why": why}, **held(claimed)) == 1


def _expire(which: ColumnElement[bool]) -> Insert:
    timeout = Failure.TIMEOUT
    move = (
        update(job)
        .where(which, status_is(*OPEN))
        .values(
            status=_literal(Status.TIMEOUT),
            finished_at=func.clock_timestamp(),
            failure_reason=literal_column(f"'{timeout.code}'"),
            failure_details=literal_column(f"'{timeout.sentence}'"),
            **NO_RUNNER,
        )
    )
    return _logged(move, event="expired")


_EXPIRE = _expire(
    and_(job.c.job_id == bindparam("expiring_job_id", type_=HexId), job.c.expires_at <= func.clock_timestamp())
)
_EXPIRE_OVERDUE = _expire(job.c.expires_at < func.now() - _seconds("grace_seconds"))


async def expire(conn: AsyncConnection, job_id: str) -> bool:
    """Close it because its deadline has passed. False when it is final already, or the deadline is still to come."""
    return await _moved(conn, _EXPIRE, expiring_job_id=job_id) == 1


async def expire_overdue(conn: AsyncConnection, *, grace_seconds: float) -> int:
    """Close what nobody has closed so long after its deadline. How many."""
    return await _moved(conn, _EXPIRE_OVERDUE, grace_seconds=grace_seconds)
