"""What came of jobs and attempts in a window, counted by the database: from their own rows, and from the rolled hours.

    JobFigures       by point of the window, slot and source
    AttemptFigures   by point of the window, slot, source, provider and model

A job belongs to the moment its photo came, and its attempts belong to that moment too. A group may come in several
parts; tally.py puts together what is wanted of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import (
    Column,
    Float,
    Integer,
    Select,
    Subquery,
    Table,
    case,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, array
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement, Label

from photochanger import histogram
from photochanger.errors import PROVIDER_ERRORS
from photochanger.job import Status, status_is
from photochanger.tables import MOMENT, hourly_attempts, hourly_figure, job, job_attempt, job_input
from photochanger.window import Span, Window, within

OK = "ok"
"""The outcome of an attempt that brought a picture."""


@dataclass(frozen=True)
class Durations:
    """How long things took: each one's seconds, or counts by the number of the histogram's bucket."""

    seconds: Sequence[float] = ()
    counts: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class JobFigures:
    """Jobs that have something in common. `durations`: of those done, from the photo's arrival to the result."""

    point: int
    slot_id: str
    source: str
    in_work: int = 0
    done: int = 0
    timeouts: int = 0
    failed: int = 0
    provider_errors: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    durations: Durations = field(default_factory=Durations)


@dataclass(frozen=True, kw_only=True)
class AttemptFigures:
    """Attempts that have something in common. `durations`: of those that have ended, well or not."""

    point: int
    slot_id: str
    source: str
    provider: str
    model: str
    """Empty where nobody knows."""
    attempts: int
    failed: int
    repeats: int | None
    """Those beyond a job's first. None: rolled hours do not tell."""
    cost_usd: Decimal
    durations: Durations


async def of_jobs(
    conn: AsyncConnection, window: Window, *, slot_id: str | None = None, reasons: bool = True
) -> list[JobFigures]:
    """Of one slot, or of all. Without `reasons` those of the rolled hours are not asked for, which cost a statement."""
    found: list[JobFigures] = []
    if window.by_hour is not None:
        rolled = await conn.execute(_rolled_jobs(window, window.by_hour, slot_id))
        found += [
            JobFigures(**_plain(row, "histogram"), durations=Durations(counts=_counts(row.histogram))) for row in rolled
        ]
        rolled_reasons = await conn.execute(_rolled_reasons(window.by_hour, slot_id)) if reasons else ()
        found += [
            JobFigures(point=0, slot_id=row.slot_id, source=row.source, reasons={row.reason: row.times})
            for row in rolled_reasons
        ]
    if window.by_row:
        found += [_of_row(row) for row in await conn.execute(_jobs(window, slot_id))]
    return found


async def of_attempts(conn: AsyncConnection, window: Window, *, slot_id: str | None = None) -> list[AttemptFigures]:
    """Of one slot's jobs, or of all."""
    found: list[AttemptFigures] = []
    if window.by_hour is not None:
        rolled = await conn.execute(_rolled_attempts(window, window.by_hour, slot_id))
        found += [
            AttemptFigures(**_plain(row, "histogram"), repeats=None, durations=Durations(counts=_counts(row.histogram)))
            for row in rolled
        ]
    if window.by_row:
        rows = await conn.execute(_attempts(window, slot_id))
        found += [AttemptFigures(**_plain(row, "took", "times"), durations=_durations(row)) for row in rows]
    return found


def _of_row(row: Any) -> JobFigures:
    """What the row's jobs have in common is their status, too."""
    key = {"point": row.point, "slot_id": row.slot_id, "source": row.source}
    reasons = {} if row.failure_reason is None else {row.failure_reason: row.jobs}
    match Status(row.status):
        case Status.DONE:
            return JobFigures(**key, done=row.jobs, durations=_durations(row))
        case Status.TIMEOUT:
            return JobFigures(**key, timeouts=row.jobs, reasons=reasons)
        case Status.FAILED:
            theirs = row.jobs if row.failure_reason in PROVIDER_ERRORS else 0
            return JobFigures(**key, failed=row.jobs, provider_errors=theirs, reasons=reasons)
        case _:
            return JobFigures(**key, in_work=row.jobs)


def _plain(row: Any, *without: str) -> dict[str, Any]:
    return {name: value for name, value in row._mapping.items() if name not in without}  # noqa: SLF001


def _counts(counts: Sequence[int]) -> dict[int, int]:
    return {number: count for number, count in enumerate(counts) if count}


def _durations(row: Any) -> Durations:
    """Of a row of `_grouped`."""
    if isinstance(row.took, list):
        return Durations(seconds=[seconds for seconds in row.took if seconds is not None])
    return Durations() if row.took is None else Durations(counts={row.took: row.times})


def _jobs(window: Window, slot_id: str | None) -> Select[Any]:
    key = [job.c.slot_id, job.c.source, job.c.status, job.c.failure_reason]
    took = case((status_is(Status.DONE), _seconds(job.c.created_at, job.c.finished_at)))
    rows = select(_point(job_input.c.created_at, window), *key, took.label("took"))
    made = _chosen(rows.join_from(job_input, job, job_input.c.job_id == job.c.job_id), window, slot_id)
    return _grouped(made, window, ["point", *(column.name for column in key)], {"jobs": func.count()})


def _attempts(window: Window, slot_id: str | None) -> Select[Any]:
    key = [job.c.slot_id, job.c.source, job_attempt.c.provider]
    model = func.coalesce(job_attempt.c.model, "").label("model")
    # One that was never closed came to nothing, unless its job is still in work.
    failed = func.coalesce(job_attempt.c.outcome != OK, job.c.finished_at.is_not(None)).label("failed")
    took = _seconds(job_attempt.c.started_at, job_attempt.c.finished_at).label("took")
    again = (job_attempt.c.number > 1).label("again")
    rows = (
        select(_point(job_input.c.created_at, window), *key, model, took, failed, again, job_attempt.c.cost_usd)
        .join_from(job_input, job, job_input.c.job_id == job.c.job_id)
        .join(job_attempt, job_attempt.c.job_id == job_input.c.job_id)
    )
    made = _chosen(rows, window, slot_id)
    figures = {
        "attempts": func.count(),
        "failed": func.count().filter(made.c.failed),
        "repeats": func.count().filter(made.c.again),
        "cost_usd": func.coalesce(func.sum(made.c.cost_usd), 0),
    }
    return _grouped(made, window, ["point", *(column.name for column in key), "model"], figures)


def _chosen(rows: Select[Any], window: Window, slot_id: str | None) -> Subquery:
    """Of photos that came in the spans which are read by row."""
    rows = rows.where(or_(*(within(job_input.c.created_at, span) for span in window.by_row)))
    rows = rows.where(job.c.kind == "photo")
    return (rows if slot_id is None else rows.where(job_input.c.slot_id == slot_id)).subquery("made")


def _grouped(
    made: Subquery, window: Window, key: Sequence[str], figures: Mapping[str, ColumnElement[Any]]
) -> Select[Any]:
    """The figures by the key, and `took`: all of a group's seconds, or one bucket's number and its `times`."""
    by = [made.c[name] for name in key]
    query = select(*by, *(figure.label(name) for name, figure in figures.items()), func.count().label("times"))
    if window.exact:
        return query.add_columns(func.array_agg(cast(made.c.took, Float)).label("took")).group_by(*by)
    bucket = histogram.bucket(made.c.took).label("took")
    return query.add_columns(bucket).group_by(*by, bucket)


def _rolled_jobs(window: Window, hours: Span, slot_id: str | None) -> Select[Any]:
    figures = ("done", "timeouts", "failed", "provider_errors")
    key = [_point(hourly_figure.c.hour, window), hourly_figure.c.slot_id, hourly_figure.c.source]
    query = select(*key, *_sums(hourly_figure, figures)).where(*_in_hours(hourly_figure, hours, slot_id))
    return query.group_by(*key)


def _rolled_reasons(hours: Span, slot_id: str | None) -> Select[Any]:
    reasons = func.jsonb_each_text(hourly_figure.c.reasons).table_valued("key", "value", name="reasons")
    key = [hourly_figure.c.slot_id, hourly_figure.c.source, reasons.c.key.label("reason")]
    times = func.sum(cast(reasons.c.value, Integer)).label("times")
    query = select(*key, times).select_from(hourly_figure).join(reasons, literal(value=True))
    return query.where(*_in_hours(hourly_figure, hours, slot_id), hourly_figure.c.reasons != {}).group_by(*key)


def _rolled_attempts(window: Window, hours: Span, slot_id: str | None) -> Select[Any]:
    key = [
        _point(hourly_attempts.c.hour, window),
        *(hourly_attempts.c[name] for name in ("slot_id", "source", "provider", "model")),
    ]
    query = select(*key, *_sums(hourly_attempts, ("attempts", "failed", "cost_usd")))
    return query.where(*_in_hours(hourly_attempts, hours, slot_id)).group_by(*key)


@cache
def _sums(table: Table, names: tuple[str, ...]) -> list[ColumnElement[Any]]:
    """The sums of these columns, and the histograms as one. Building them costs as much as running the statement."""
    buckets = [func.sum(table.c.seconds_histogram[number + 1]) for number in range(histogram.BUCKETS)]
    together: ColumnElement[Any] = cast(array(buckets), ARRAY(Integer)).label("histogram")
    return [*(func.sum(table.c[name]).label(name) for name in names), together]


def _in_hours(table: Table, hours: Span, slot_id: str | None) -> list[ColumnElement[bool]]:
    condition = within(table.c.hour, hours)
    return [condition] if slot_id is None else [condition, table.c.slot_id == slot_id]


def _point(moment: Column[datetime], window: Window) -> Label[int]:
    """The number of the window's point, from 0."""
    edges: ColumnElement[Any] = cast(literal(list(window.edges), ARRAY(MOMENT)), ARRAY(MOMENT))
    return (func.width_bucket(moment, edges, type_=Integer) - literal_column("1", Integer)).label("point")


def _seconds(since: ColumnElement[Any], until: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.extract("epoch", until - since)
