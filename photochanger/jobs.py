"""The queue: what may become of a job, and the only six functions that write `job.status`.

    queued --claim--> running --park--> waiting --claim--> running …      (asked again later)
    running --finish--> done      running --fail--> failed      running --release--> queued
    queued, running, waiting --expire--> timeout

Each is one UPDATE that names the status it leaves, and writes its line of the processing log in the same statement: the
row count is the mutex, and no transaction is needed around it. A claim is known by its runner *and* its number, so a
runner that was frozen, and whose job was taken back meanwhile, can no longer finish, fail or park it ("zombie").
PostgreSQL's clock is the only clock.

The statements are built once, when the module is imported: building one costs more than running it.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    Float,
    Integer,
    Interval,
    LargeBinary,
    Text,
    Update,
    and_,
    bindparam,
    cast,
    func,
    insert,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.elements import ColumnElement

from photochanger.claims import claim as claim
from photochanger.claims import claim_within_limits as claim_within_limits
from photochanger.errors import Failure
from photochanger.job import FINAL as FINAL
from photochanger.job import OPEN as OPEN
from photochanger.job import Job as Job
from photochanger.job import Result as Result
from photochanger.job import Status as Status
from photochanger.job import literal
from photochanger.job import status_is as status_is
from photochanger.prepared import Connection, Prepared
from photochanger.tables import HexId, job, processing_log


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


def _logged(move: Update, *, event: str) -> Prepared:
    """The UPDATE and its log line as one statement; its row count is the number of jobs moved."""
    moved = move.returning(job.c.job_id).cte("moved")
    line = select(
        moved.c.job_id, literal_column(f"'{event}'"), bindparam("log_runner", type_=Text), bindparam("log", type_=JSONB)
    )
    return Prepared(insert(processing_log).from_select(["job_id", "event", "runner", "details"], line))


async def _moved(conn: Connection, statement: Prepared, *, log: Mapping[str, Any] | None = None, **values: Any) -> int:
    return await statement.count(conn, {"log_runner": values.get("held_runner"), "log": log, **values})


def _with_why(details: Mapping[str, Any], why: str | None) -> Mapping[str, Any]:
    return details if why is None else {**details, "why": why}


_PARKED: Mapping[str, Any] = {
    "status": literal(Status.WAITING),
    "provider_job_reference": bindparam("reference", type_=Text),
    "run_after": func.clock_timestamp() + _seconds("after_seconds"),
    "polls_failed": bindparam("polls_failed_now", type_=Integer),
    **NO_RUNNER,
}
_PARK = _logged(update(job).where(HELD_BY_CLAIM).values(**_PARKED), event="parked")
_PARK_FOR_FALLBACK = _logged(
    update(job)
    .where(HELD_BY_CLAIM, job.c.on_fallback.is_(False))
    .values(
        on_fallback=literal_column("true"),
        provider=bindparam("to_provider", type_=Text),
        max_attempts=job.c.attempt + bindparam("its_attempts", type_=Integer),
        start_by=job.c.expires_at - _seconds("least_seconds"),
        **_PARKED,
    ),
    event="fell_back",
)


async def park(
    conn: Connection,
    claimed: Job,
    *,
    reference: str | None,
    after_seconds: float,
    polls_failed: int = 0,
    why: str | None = None,
) -> bool:
    """Let it wait without a runner: for its provider's queue (`reference`), or to be tried again (None).

    `why`, here and below, is for the processing log: never a secret. False when the job is no longer ours.
    """
    values = {"reference": reference, "after_seconds": after_seconds}
    log = _with_why(values, why)
    return await _moved(conn, _PARK, log=log, **values, polls_failed_now=polls_failed, **held(claimed)) == 1


async def park_for_fallback(
    conn: Connection, claimed: Job, *, provider: str, attempts: int, least_seconds: float, why: str | None = None
) -> bool:
    """Hand it to the slot's fallback provider, at once, with so many attempts. A job falls back once.

    `least_seconds`: the shortest time the fallback needs; with less than that left it is not started.
    """
    log = _with_why({"provider": provider}, why)
    values = {"to_provider": provider, "its_attempts": attempts, "least_seconds": least_seconds}
    values |= {"reference": None, "after_seconds": 0.0, "polls_failed_now": 0}
    return await _moved(conn, _PARK_FOR_FALLBACK, log=log, **values, **held(claimed)) == 1


_FINISH = _logged(
    update(job)
    .where(HELD_BY_CLAIM, job.c.expires_at > func.clock_timestamp())
    .values(
        status=literal(Status.DONE),
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


async def finish(conn: Connection, claimed: Job, *, result: Result, ttl_hours: int) -> bool:
    """Record the result. False also when it comes too late.

    In a transaction the row is locked from here to the commit: whoever finishes it puts the files in their place then,
    and nobody else can finish, expire or take back meanwhile.
    """
    return await _moved(conn, _FINISH, ttl_seconds=ttl_hours * 3600, **vars(result), **held(claimed)) == 1


_FAIL = _logged(
    update(job)
    .where(HELD_BY_CLAIM)
    .values(
        status=literal(Status.FAILED),
        finished_at=func.clock_timestamp(),
        failure_reason=bindparam("reason", type_=Text),
        failure_details=bindparam("public_details", type_=Text),
        retry_after_seconds=bindparam("retry_after", type_=Integer),
        **NO_RUNNER,
    ),
    event="failed",
)


async def fail(
    conn: Connection,
    claimed: Job,
    *,
    failure: Failure,
    details: str,
    retry_after_seconds: int | None = None,
    why: str | None = None,
) -> bool:
    """Give it up. `details` is public and cut at 1,000 characters."""
    values = {"reason": failure.code, "public_details": details[:1000], "retry_after": retry_after_seconds}
    log = _with_why({"failure_reason": failure.code}, why)
    return await _moved(conn, _FAIL, log=log, **values, **held(claimed)) == 1


_RELEASE = _logged(
    update(job).where(HELD_BY_CLAIM).values(status=literal(Status.QUEUED), **NO_RUNNER), event="released"
)


async def release(conn: Connection, claimed: Job, *, why: str) -> bool:
    """Give it back to the queue: the runner stops, or its lease ran out."""
    return await _moved(conn, _RELEASE, log={"why": why}, **held(claimed)) == 1


def _expire(which: ColumnElement[bool]) -> Prepared:
    timeout = Failure.TIMEOUT
    move = (
        update(job)
        .where(which, status_is(*OPEN))
        .values(
            status=literal(Status.TIMEOUT),
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


async def expire(conn: Connection, job_id: str) -> bool:
    """Close it because its deadline has passed. False when it is final already, or the deadline is still to come."""
    return await _moved(conn, _EXPIRE, expiring_job_id=job_id) == 1


async def expire_overdue(conn: Connection, *, grace_seconds: float) -> int:
    """Close what nobody has closed so long after its deadline. How many."""
    return await _moved(conn, _EXPIRE_OVERDUE, grace_seconds=grace_seconds)
