"""Attempts: each call of a provider is a row, written before the call: from then on it may have been paid for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Integer,
    Numeric,
    SmallInteger,
    Text,
    bindparam,
    func,
    insert,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from photochanger import jobs
from photochanger.jobs import Job
from photochanger.prepared import Prepared
from photochanger.tables import HexId, job, job_attempt


@dataclass(frozen=True, kw_only=True)
class AttemptEnd:
    """How a call ended, for its row."""

    outcome: str
    model: str | None = None
    http_status: int | None = None
    request_id: str | None = None
    usage: Mapping[str, Any] | None = None
    cost_usd: float | None = None
    reason: str | None = None
    """At most 300 characters."""


_ATTEMPTS_GRANTED = job.c.max_attempts + bindparam("granted", type_=Integer)
_BEGIN_COUNT = (
    update(job)
    .where(jobs.HELD_BY_CLAIM, job.c.attempt < _ATTEMPTS_GRANTED)
    .values(attempt=job.c.attempt + literal_column("1"), max_attempts=_ATTEMPTS_GRANTED)
    .returning(job.c.job_id, job.c.attempt)
    .cte("counted")
)
_BEGIN = Prepared(
    insert(job_attempt)
    .from_select(
        ["job_id", "number", "provider", "model", "started_at"],
        select(
            _BEGIN_COUNT.c.job_id,
            _BEGIN_COUNT.c.attempt,
            bindparam("called_provider", type_=Text),
            bindparam("called_model", type_=Text),
            func.clock_timestamp(),
        ),
    )
    .returning(job_attempt.c.number)
)


async def begin(conn: AsyncConnection, claimed: Job, *, provider: str, model: str, granted: bool = False) -> int | None:
    """Open the next attempt; its number from 1. None when the job is no longer ours, or has no attempt left.

    Then no call may be made. `granted`: one more than the slot allows, because the last one cannot have cost anything.
    """
    values = {"called_provider": provider, "called_model": model, "granted": int(granted), **jobs.held(claimed)}
    begun = await _BEGIN.rows(conn, values)
    return begun[0]["number"] if begun else None


def _close(which: ColumnElement[bool]) -> Prepared:
    return Prepared(
        update(job_attempt)
        .where(job_attempt.c.job_id == bindparam("of_job", type_=HexId), which, job_attempt.c.finished_at.is_(None))
        .values(
            finished_at=func.greatest(func.clock_timestamp(), job_attempt.c.started_at),
            outcome=bindparam("its_outcome", type_=Text),
            model=func.coalesce(bindparam("its_model", type_=Text), job_attempt.c.model),
            http_status=bindparam("its_http_status", type_=SmallInteger),
            request_id=bindparam("its_request_id", type_=Text),
            usage=bindparam("its_usage", type_=JSONB),
            cost_usd=bindparam("its_cost_usd", type_=Numeric(10, 6)),
            reason=bindparam("its_reason", type_=Text),
        )
    )


_END = _close(job_attempt.c.number == bindparam("of_number", type_=SmallInteger))
_END_OPEN = _close(true())


async def end(conn: AsyncConnection, job_id: str, number: int, ended: AttemptEnd) -> None:
    """Close it. An attempt that is closed already stays as it is."""
    await _END.count(conn, {"of_job": job_id, "of_number": number, **_values(ended)})


async def end_open(conn: AsyncConnection, job_id: str, ended: AttemptEnd) -> None:
    """Close what is open of a job: usually one; two where the answer to a commit was lost and it was made again."""
    await _END_OPEN.count(conn, {"of_job": job_id, **_values(ended)})


def _values(ended: AttemptEnd) -> dict[str, Any]:
    return {
        "its_outcome": ended.outcome,
        "its_model": ended.model,
        "its_http_status": ended.http_status,
        "its_request_id": ended.request_id and ended.request_id[:200],
        "its_usage": ended.usage,
        "its_cost_usd": None if ended.cost_usd is None else Decimal(str(round(ended.cost_usd, 6))),
        "its_reason": ended.reason and ended.reason[:300],
    }


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt, as its job shows it."""

    number: int
    provider: str
    model: str | None
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    http_status: int | None
    request_id: str | None
    usage: Mapping[str, Any] | None
    cost_usd: Decimal | None
    reason: str | None

    @property
    def seconds(self) -> float | None:
        """From its beginning to its end; None while it is out."""
        return None if self.finished_at is None else (self.finished_at - self.started_at).total_seconds()


_COLUMNS = [job_attempt.c[name] for name in Attempt.__dataclass_fields__]


async def of_job(conn: AsyncConnection, job_id: str) -> list[Attempt]:
    """All attempts of a job, the first one first."""
    query = select(*_COLUMNS).where(job_attempt.c.job_id == job_id).order_by(job_attempt.c.number)
    return [Attempt(**row._asdict()) for row in await conn.execute(query)]
