"""Which jobs are wanted from the log, and in which order they stand there: the newest first.

They are found by the one index that fits the filters, in the order of the log, so that a page costs the same with a
million jobs as with a thousand: what is seldom (failures, test runs, fallbacks) has a small index on `job`, everything
else is found by the rows that are written once, `job_input`. The moment of a job's arrival stands in both; a page is
ordered by that of the table it is found in.
"""

import base64
import binascii
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Select, Table, Text, literal, literal_column, select, tuple_, union_all
from sqlalchemy.sql.elements import ColumnElement

from photochanger.errors import PROVIDER_ERRORS, Failure
from photochanger.job import OPEN, Source, Status, status_is
from photochanger.tables import MOMENT, HexId, job, job_input

PROVIDER_ERROR = "provider_error"
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
    """One of them, or `PROVIDER_ERROR`: any that is the provider's doing."""
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


SELDOM = (Status.FAILED, Status.TIMEOUT, *OPEN)
"""What has an index on `job`."""
_SLOTS_PROVIDER: ColumnElement[str] = literal_column("(job_input.snapshot ->> 'provider')", Text)
"""As its index has it."""


def ids(wanted: Wanted, *, beyond: Place | None, limit: int, newest_first: bool = True) -> Select[Any]:
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
        return ordered(query, rows.c, newest_first=newest_first).limit(limit)

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
    return ordered(select(either), either.c, newest_first=newest_first).limit(limit)


def ordered(query: Select[Any], columns: Any, *, newest_first: bool) -> Select[Any]:
    """By the moment of arrival; jobs of the same moment by their ids."""
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
        theirs = wanted_reason == PROVIDER_ERROR
        yield job.c.failure_reason.in_(PROVIDER_ERRORS) if theirs else job.c.failure_reason == wanted_reason
        yield status_is(Status.FAILED, Status.TIMEOUT)
