"""The log of jobs, the newest first: one page after the other by the place where the last one ended, never by a number.

Which rows a page holds is found by the one index that fits its filters, in the order of the log, so that a page costs
the same with a million jobs as with a thousand: what is seldom (failures, test runs, fallbacks) has a small index on
`job`, everything else is found by the rows that are written once, `job_input`. The moment of a job's arrival stands in
both; a page is ordered by that of the table it is found in.
"""

import base64
import binascii
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ARRAY,
    Select,
    Table,
    Text,
    and_,
    func,
    literal,
    literal_column,
    select,
    text,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from photochanger.errors import Failure
from photochanger.job import OPEN, Source, Status, status_is
from photochanger.tables import MOMENT, HexId, job, job_attempt, job_input, slot

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE = struct.Struct(">q16s")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A job's place in the log."""

    created_at: datetime
    job_id: str

    def cursor(self) -> str:
        """As text for a link."""
        microseconds = (self.created_at - EPOCH) // timedelta(microseconds=1)
        return base64.urlsafe_b64encode(_PLACE.pack(microseconds, bytes.fromhex(self.job_id))).decode("ascii")

    @classmethod
    def of_cursor(cls, cursor: str) -> "Place":
        """Raises `ValueError` for what `cursor` has not made."""
        try:
            microseconds, job_id = _PLACE.unpack(
                base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
            )
            return cls(created_at=EPOCH + timedelta(microseconds=microseconds), job_id=job_id.hex())
        except (binascii.Error, struct.error, OverflowError) as error:
            raise ValueError("not a cursor") from error


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which jobs; None: whatever it is."""

    slot_id: str | None = None
    status: Status | None = None
    failure_reason: str | None = None
    source: Source | None = None
    provider: str | None = None
    """Who changed it, or was to, at the end: a job that fell back belongs to its fallback."""
    since: datetime | None = None
    """At this moment or later."""
    until: datetime | None = None
    """Before this moment."""
    id_prefix: str | None = None
    """Hex digits."""


EVERYTHING = Wanted()


@dataclass(frozen=True, kw_only=True)
class LoggedJob:
    """A line of the log."""

    job_id: str
    slot_id: str
    slot_name: str
    source: Source
    provider: str
    model: str | None
    """Of the last attempt."""
    status: Status
    failure_reason: str | None
    created_at: datetime
    finished_at: datetime | None
    attempts: int
    cost_usd: Decimal | None
    result_expires_at: datetime | None
    result_there: bool
    """It has not expired, by the database's clock, and its file has not gone."""
    preview_there: bool
    replay_of: str | None

    @property
    def seconds(self) -> float | None:
        """From its arrival to its end."""
        return None if self.finished_at is None else (self.finished_at - self.created_at).total_seconds()

    @property
    def place(self) -> Place:
        """Where it stands in the log."""
        return Place(created_at=self.created_at, job_id=self.job_id)


SELDOM = (Status.FAILED, Status.TIMEOUT, *OPEN)
"""What has an index on `job`."""
_SLOTS_PROVIDER: ColumnElement[str] = literal_column("(job_input.snapshot ->> 'provider')", Text)
"""As its index has it."""


def _ids(wanted: Wanted, *, beyond: Place | None, limit: int, newest_first: bool = True) -> Select[Any]:
    """The jobs beyond this place, in order, at most so many."""

    def found_in(rows: Table, *more: ColumnElement[bool]) -> Select[Any]:
        place = tuple_(rows.c.created_at, rows.c.job_id)
        query = (
            select(rows.c.job_id, rows.c.created_at)
            .join_from(job_input, job, job_input.c.job_id == job.c.job_id)
            .where(*_conditions(wanted, rows), *more)
        )
        if beyond is not None:
            there = tuple_(literal(beyond.created_at, MOMENT), literal(beyond.job_id, HexId))
            query = query.where(place < there if newest_first else place > there)
        return _ordered(query, rows.c, newest_first=newest_first).limit(limit)

    seldom = wanted.failure_reason is not None or wanted.source is Source.UI_TEST or wanted.status in SELDOM
    rows = job if seldom else job_input
    if wanted.provider is None:
        return found_in(rows)
    # A job's provider is the one its slot had, unless it fell back, which is seldom.
    at_the_end = job.c.provider == wanted.provider
    slots_own = literal(wanted.provider) == _SLOTS_PROVIDER
    either = union_all(
        select(found_in(rows, slots_own, at_the_end).subquery("own")),
        select(found_in(job, job.c.on_fallback, ~slots_own, at_the_end).subquery("fallback")),
    ).subquery("either")
    return _ordered(select(either), either.c, newest_first=newest_first).limit(limit)


def _ordered(query: Select[Any], columns: Any, *, newest_first: bool) -> Select[Any]:
    keys = (columns.created_at, columns.job_id)
    return query.order_by(*(key.desc() for key in keys) if newest_first else keys)


def _conditions(wanted: Wanted, rows: Table) -> Iterator[ColumnElement[bool]]:
    if wanted.slot_id is not None:
        yield rows.c.slot_id == wanted.slot_id
    if wanted.since is not None:
        yield rows.c.created_at >= wanted.since
    if wanted.until is not None:
        yield rows.c.created_at < wanted.until
    if wanted.id_prefix is not None:
        yield rows.c.job_id.between(wanted.id_prefix.ljust(32, "0"), wanted.id_prefix.ljust(32, "f"))
    if wanted.source is not None:
        yield job.c.source == wanted.source.value
    if wanted.status is not None:
        yield status_is(wanted.status)
    reason = Failure.TIMEOUT.code if wanted.status is Status.TIMEOUT else None
    for wanted_reason in {wanted.failure_reason, reason} - {None}:
        yield job.c.failure_reason == wanted_reason
        yield status_is(Status.FAILED, Status.TIMEOUT)


def _lines(ids: Select[Any]) -> Select[Any]:
    """The same jobs with all that a line says of them."""
    page = ids.subquery("page")
    latest_first = aggregate_order_by(job_attempt.c.model, job_attempt.c.number.desc())
    tried = (
        select(
            func.count().label("attempts"),
            func.sum(job_attempt.c.cost_usd).label("cost_usd"),
            func.array_agg(latest_first, type_=ARRAY(Text))[1].label("model"),
        )
        .where(job_attempt.c.job_id == page.c.job_id)
        .lateral("tried")
    )
    there = func.coalesce(and_(job.c.result_path.is_not(None), job.c.result_expires_at > func.now()), False)
    columns = [
        *(job.c[name] for name in LoggedJob.__dataclass_fields__ if name in job.c and name != "created_at"),
        page.c.created_at,
        slot.c.display_name.label("slot_name"),
        job_input.c.replay_of,
        there.label("result_there"),
        and_(there, job.c.preview_path.is_not(None)).label("preview_there"),
        *tried.c,
    ]
    query = (
        select(*columns)
        .select_from(page)
        .join(job, job.c.job_id == page.c.job_id)
        .join(job_input, job_input.c.job_id == page.c.job_id)
        .join(slot, slot.c.slot_id == job.c.slot_id)
        .join(tried, true())
    )
    return _ordered(query, page.c, newest_first=True)


async def page(
    conn: AsyncConnection, wanted: Wanted, *, limit: int, beyond: Place | None = None
) -> tuple[list[LoggedJob], Place | None]:
    """The newest of the wanted jobs, or those older than this place; and where the next page begins, if there is one.

    In a transaction.
    """
    await _plan_for_these_values(conn)
    rows = (await conn.execute(_lines(_ids(wanted, beyond=beyond, limit=limit + 1)))).all()
    found = [_logged(row) for row in rows[:limit]]
    return found, found[-1].place if len(rows) > limit else None


def _logged(row: Any) -> LoggedJob:
    return LoggedJob(**{**row._mapping, "status": Status(row.status), "source": Source(row.source)})  # noqa: SLF001


async def neighbours(
    conn: AsyncConnection, place: Place, *, wanted: Wanted = EVERYTHING
) -> tuple[str | None, str | None]:
    """The job before this place in the log (newer) and the one behind it (older). In a transaction."""
    await _plan_for_these_values(conn)
    newer = _ids(wanted, beyond=place, limit=1, newest_first=False).subquery()
    older = _ids(wanted, beyond=place, limit=1).subquery()
    row = (
        await conn.execute(
            select(
                select(newer.c.job_id).scalar_subquery().label("newer"),
                select(older.c.job_id).scalar_subquery().label("older"),
            )
        )
    ).one()
    return row.newer, row.older


async def _plan_for_these_values(conn: AsyncConnection) -> None:
    """A plan that is made for any value walks all of the log for a slot that has no job."""
    await conn.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))
