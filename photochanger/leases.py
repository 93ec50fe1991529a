"""Leases: a runner holds its jobs as long as its heart beats. What a dead one held is taken back.

One row per runner, renewed once a second, instead of one lease per job: a beat costs the same with 1 job or with 256.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, exists, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from photochanger import attempts, jobs
from photochanger.attempts import AttemptEnd
from photochanger.errors import Failure
from photochanger.jobs import Job, Status
from photochanger.tables import job, job_attempt, job_input, runner

LEASE_SECONDS = 5.0
BEAT_SECONDS = 1.0


async def beat(conn: AsyncConnection, name: str, *, host: str, pid: int) -> None:
    """Renew this runner's lease, or begin it."""
    until = func.now() + timedelta(seconds=LEASE_SECONDS)
    row = insert(runner).values(runner=name, host=host, pid=pid, started_at=func.now(), lease_until=until)
    await conn.execute(row.on_conflict_do_update(index_elements=[runner.c.runner], set_={"lease_until": until}))


async def leave(conn: AsyncConnection, name: str) -> None:
    """The runner stops in order."""
    await conn.execute(delete(runner).where(runner.c.runner == name))


ALIVE = select(func.count()).where(runner.c.lease_until > func.now()).scalar_subquery()
"""How many runners' leases have not run out."""


async def alive(conn: AsyncConnection) -> int:
    """How many runners' leases have not run out."""
    return int((await conn.execute(select(ALIVE))).scalar_one())


async def take_back(conn: AsyncConnection) -> int:
    """Take back the jobs of runners whose hearts have stopped. How many. What is past its deadline is left to expire.

    What is at its provider is polled by whoever claims it next. A call that may already have been paid for is repeated
    only if the slot allows it and an attempt is left; else the job fails as `interrupted`.
    """
    held = exists().where(runner.c.runner == job.c.runner, runner.c.lease_until > func.now())
    lost = list(await conn.execute(_running(or_(job.c.lease_until < func.now(), ~held))))
    for row in lost:
        await _take_back(conn, row)
    await conn.execute(delete(runner).where(runner.c.lease_until < func.now() - timedelta(days=1)))
    return len(lost)


async def release_unheld(conn: AsyncConnection, name: str, *, held_job_ids: Collection[str]) -> int:
    """Give back what this runner has claimed without knowing it: the answer to its claim was lost. How many."""
    unheld = list(await conn.execute(_running(job.c.runner == name, job.c.job_id.not_in(held_job_ids))))
    for row in unheld:
        await _take_back(conn, row)
    return len(unheld)


def _running(*which: ColumnElement[bool]) -> Any:
    called = exists().where(job_attempt.c.job_id == job.c.job_id, job_attempt.c.finished_at.is_(None))
    return (
        select(
            job.c.job_id,
            job.c.source,
            job.c.slot_id,
            job.c.provider,
            job.c.runner,
            job.c.claim_number,
            job.c.attempt,
            job.c.max_attempts,
            job.c.provider_job_reference,
            job.c.polls_failed,
            job.c.on_fallback,
            job_input.c.snapshot,
            job_input.c.photo_path,
            called.label("called"),
        )
        .join_from(job, job_input, job.c.job_id == job_input.c.job_id)
        .where(jobs.status_is(Status.RUNNING), job.c.expires_at > func.now(), *which)
        .with_for_update(of=job, skip_locked=True)
    )


async def _take_back(conn: AsyncConnection, row: Any) -> None:
    held = Job(
        job_id=row.job_id,
        source=row.source,
        slot_id=row.slot_id,
        provider=row.provider,
        runner=row.runner,
        claim_number=row.claim_number,
        attempt=row.attempt,
        max_attempts=row.max_attempts,
        reference=row.provider_job_reference,
        polls_failed=row.polls_failed,
        on_fallback=row.on_fallback,
        seconds_left=0.0,
        snapshot=row.snapshot,
        photo_path=row.photo_path,
    )
    if not row.called or held.reference is not None:
        await jobs.release(conn, held, why="its runner's lease ran out")
        return
    reason = "the runner stopped in the middle of the call"
    await attempts.end_open(conn, held.job_id, AttemptEnd(outcome="interrupted", reason=reason))
    may_repeat = bool(held.plan["settings"].get("repeat_interrupted", False))
    if may_repeat and held.attempt < held.max_attempts:
        await jobs.release(conn, held, why="its runner's lease ran out; the slot allows to repeat the call")
    else:
        await jobs.fail(conn, held, failure=Failure.INTERRUPTED, details=Failure.INTERRUPTED.sentence)
