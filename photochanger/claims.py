"""The claim: a runner takes as many jobs as it has free places, skipping what others hold.

    waiting, due  ──┐
                    ├── by provider, as many as its limit leaves free ── claimed, logged
    queued        ──┘

What waits at its provider and is due comes first (a poll is short), then the queue by priority and deadline. Nothing is
started that can no longer finish in time. Where a provider has a limit of calls in flight, all claims of all runners go
through one gate, and the count is a statement of its own: counting without a lock overshoots.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    Integer,
    Select,
    Subquery,
    Text,
    and_,
    any_,
    bindparam,
    column,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.job import Job, Status, literal, status_is
from photochanger.prepared import Connection, Prepared
from photochanger.tables import HexId, job, job_input, processing_log

GATE = 41_005

_PLACES = bindparam("places", type_=Integer)
_WORTH_IT = or_(
    job.c.start_by > func.now(),
    and_(job.c.provider_job_reference.is_not(None), job.c.expires_at > func.now()),
)
_DUE = (
    select(job.c.job_id, job.c.provider, job.c.priority, job.c.run_after.label("moment"))
    .where(status_is(Status.WAITING), job.c.run_after <= func.now(), _WORTH_IT)
    .order_by(job.c.run_after)
    .limit(_PLACES)
    .with_for_update(skip_locked=True)
)
_QUEUED = (
    select(job.c.job_id, job.c.provider, job.c.priority, job.c.expires_at.label("moment"))
    .where(status_is(Status.QUEUED), _WORTH_IT)
    .order_by(job.c.priority.desc(), job.c.expires_at)
    .with_for_update(skip_locked=True)
)


def _unlimited() -> Subquery:
    """The next jobs, whichever their provider."""
    due = _DUE.cte("due")
    queued = _QUEUED.limit(_PLACES - select(func.count()).select_from(due).scalar_subquery()).cte("queued")
    return union_all(select(due.c.job_id), select(queued.c.job_id)).subquery("chosen")


def _limited() -> Subquery:
    """The next jobs, but of each provider only as many as it has free: `names` and `free` are parallel arrays."""
    admissible = (
        func.unnest(bindparam("names", type_=ARRAY(Text)), bindparam("free", type_=ARRAY(Integer)))
        .table_valued(column("provider", Text), column("free", Integer), name="admissible")
        .render_derived()
    )

    def of_each(jobs: Select[Any], *, rank: int) -> Select[Any]:
        its = jobs.where(job.c.provider == admissible.c.provider).limit(_PLACES).lateral()
        columns = (its.c.job_id, its.c.provider, its.c.priority, its.c.moment, admissible.c.free)
        return select(*columns, literal_column(str(rank), Integer).label("rank")).join_from(admissible, its, true())

    candidates = union_all(of_each(_DUE, rank=0), of_each(_QUEUED, rank=1)).subquery("candidates")
    order = (candidates.c.rank, candidates.c.priority.desc(), candidates.c.moment)
    turn = func.row_number().over(partition_by=candidates.c.provider, order_by=order)
    ranked = select(candidates, turn.label("turn")).subquery("ranked")
    return (
        select(ranked.c.job_id)
        .where(ranked.c.turn <= ranked.c.free)
        .order_by(ranked.c.rank, ranked.c.priority.desc(), ranked.c.moment)
        .limit(_PLACES)
        .subquery("chosen")
    )


def _claim(chosen: Subquery) -> Prepared:
    # As an array: joined to it, the planner takes its unknown limit for a tenth of the queue, and reads all of job.
    ids = func.array(select(chosen.c.job_id).scalar_subquery(), type_=ARRAY(HexId))
    claimed = (
        update(job)
        .where(job.c.job_id == any_(ids))
        .values(
            status=literal(Status.RUNNING),
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
    return Prepared(
        select(
            *columns,
            claimed.c.provider_job_reference.label("reference"),
            func.extract("epoch", claimed.c.expires_at - func.clock_timestamp()).label("seconds_left"),
            func.extract("epoch", func.clock_timestamp() - claimed.c.run_after).label("waited_seconds"),
            job_input.c.snapshot,
            job_input.c.photo_path,
        )
        .join_from(claimed, job_input, claimed.c.job_id == job_input.c.job_id)
        .add_cte(logged)
    )


_CLAIM = _claim(_unlimited())
_CLAIM_WITHIN_LIMITS = _claim(_limited())
_ANYTHING_TO_CLAIM = select(
    or_(
        exists().where(status_is(Status.QUEUED), _WORTH_IT),
        exists().where(status_is(Status.WAITING), job.c.run_after <= func.now(), _WORTH_IT),
    )
)
_RUNNING = (
    select(job.c.provider, func.count().label("running")).where(status_is(Status.RUNNING)).group_by(job.c.provider)
)


async def claim(conn: Connection, *, runner: str, places: int) -> list[Job]:
    """Take up to `places` jobs. One statement: it needs no transaction."""
    return _jobs(await _CLAIM.rows(conn, {"claiming_runner": runner, "places": places}))


async def claim_within_limits(
    conn: AsyncConnection, *, runner: str, places: int, in_flight: Mapping[str, int | None]
) -> list[Job]:
    """Take up to `places` jobs, so that of no provider more than `in_flight[provider]` (None: any number) are running.

    In a transaction, which holds the gate until its end. Jobs of a provider that is not named are left alone.
    """
    if not (await conn.execute(_ANYTHING_TO_CLAIM)).scalar_one():
        return []
    await conn.execute(select(func.pg_advisory_xact_lock(GATE)))
    running = {row.provider: row.running for row in await conn.execute(_RUNNING)}
    free = {
        provider: places if most is None else max(0, most - running.get(provider, 0))
        for provider, most in in_flight.items()
    }
    values = {"claiming_runner": runner, "places": places, "names": list(free), "free": list(free.values())}
    return _jobs(await _CLAIM_WITHIN_LIMITS.rows(conn, values))


def _jobs(rows: list[dict[str, Any]]) -> list[Job]:
    return [Job(**{**row, **{name: float(row[name]) for name in ("seconds_left", "waited_seconds")}}) for row in rows]
