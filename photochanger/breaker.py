"""Circuit breakers: one per provider and model, in the database, so that all runners stop asking at once.

    closed --5 failures in a row--> open --its time is over--> probing (one call at a time) --success--> closed
                                      ^-----------------------------failure-------------'

A bad hour at a provider then costs its jobs a fallback or a quick answer instead of their whole deadline.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import (
    Float,
    Integer,
    Interval,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from photochanger.prepared import Prepared
from photochanger.tables import breaker

FAILURES_TO_OPEN = 5
OPEN_SECONDS = 10.0
PROBE_SECONDS = 65.0
"""Longer than the longest deadline: a probe whose runner died does not keep the circuit open for ever."""


def _seconds(seconds: float) -> ColumnElement[timedelta]:
    return literal_column(f"interval '{seconds} seconds'", Interval)


_ENOUGH: ColumnElement[int] = literal_column(str(FAILURES_TO_OPEN), Integer)
_THIS = and_(
    breaker.c.provider == bindparam("of_provider", type_=Text), breaker.c.model == bindparam("of_model", type_=Text)
)
_SECONDS_LEFT = func.extract("epoch", func.greatest(breaker.c.open_until, breaker.c.probe_until) - func.now())
_TRIPPED = Prepared(
    select(cast(_SECONDS_LEFT, Float).label("seconds_left")).where(_THIS, breaker.c.failures_in_row >= _ENOUGH)
)
_PROBE = Prepared(
    update(breaker)
    .where(
        _THIS,
        breaker.c.open_until <= func.now(),
        or_(breaker.c.probe_until.is_(None), breaker.c.probe_until <= func.now()),
    )
    .values(probe_until=func.now() + _seconds(PROBE_SECONDS))
)


async def seconds_until_probe(conn: AsyncConnection, provider: str, model: str) -> float | None:
    """None: the call may be made (it is the probe, if the circuit was open). Else how long not to ask again."""
    this = {"of_provider": provider, "of_model": model}
    tripped = await _TRIPPED.rows(conn, this)
    if not tripped or await _PROBE.count(conn, this) == 1:
        return None
    return max(1.0, min(tripped[0]["seconds_left"] or 0.0, OPEN_SECONDS))


_ONE_MORE = breaker.c.failures_in_row + literal_column("1")
_FAILED = Prepared(
    insert(breaker)
    .values(
        provider=bindparam("of_provider", type_=Text),
        model=bindparam("of_model", type_=Text),
        failures_in_row=literal_column("1"),
    )
    .on_conflict_do_update(
        index_elements=[breaker.c.provider, breaker.c.model],
        set_={
            "failures_in_row": _ONE_MORE,
            "open_until": case(
                (_ONE_MORE >= _ENOUGH, func.now() + _seconds(OPEN_SECONDS)),
                else_=breaker.c.open_until,
            ),
            "probe_until": null(),
            "changed_at": func.now(),
        },
    )
)
_SUCCEEDED = Prepared(
    update(breaker)
    .where(_THIS, breaker.c.failures_in_row > literal_column("0"))
    .values(failures_in_row=literal_column("0"), open_until=null(), probe_until=null(), changed_at=func.now())
)


async def note(conn: AsyncConnection, provider: str, model: str, *, answered: bool) -> None:
    """What came of a call: whether the provider answered at all, with a picture or without."""
    await (_SUCCEEDED if answered else _FAILED).count(conn, {"of_provider": provider, "of_model": model})


@dataclass(frozen=True, kw_only=True)
class OpenCircuit:
    """A provider's model that is not asked at the moment."""

    provider: str
    model: str
    failures_in_row: int


async def open_circuits(conn: AsyncConnection) -> list[OpenCircuit]:
    """All of them."""
    query = select(breaker.c.provider, breaker.c.model, breaker.c.failures_in_row).where(
        breaker.c.failures_in_row >= FAILURES_TO_OPEN
    )
    return [OpenCircuit(**row._mapping) for row in await conn.execute(query.order_by(breaker.c.provider))]  # noqa: SLF001
