"""Circuit breakers: one per provider and model, in the database, so that all runners stop asking at once.

    closed --5 failures in a row--> open --its time is over--> probing (one call at a time) --success--> closed
                                      ^-----------------------------failure-------------'

A bad hour at a provider then costs its jobs a fallback or a quick answer instead of their whole deadline.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import (
    Float,
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

from photochanger.tables import breaker

FAILURES_TO_OPEN = 5
OPEN_SECONDS = 10.0
PROBE_SECONDS = 65.0
"""Longer than the longest deadline: a probe whose runner died does not keep the circuit open for ever."""


def _seconds(seconds: float) -> ColumnElement[timedelta]:
    return literal_column(f"interval '{seconds} seconds'", Interval)


_THIS = and_(
    breaker.c.provider == bindparam("of_provider", type_=Text), breaker.c.model == bindparam("of_model", type_=Text)
)
_OPEN = select(
    (breaker.c.failures_in_row >= FAILURES_TO_OPEN).label("tripped"),
    cast(func.extract("epoch", func.greatest(breaker.c.open_until, breaker.c.probe_until) - func.now()), Float).label(
        "seconds_left"
    ),
).where(_THIS)
_PROBE = (
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
    row = (await conn.execute(_OPEN, this)).one_or_none()
    if row is None or not row.tripped:
        return None
    if (await conn.execute(_PROBE, this)).rowcount == 1:
        return None
    return max(1.0, min(row.seconds_left or 0.0, OPEN_SECONDS))


_FAILED = insert(breaker).values(
    provider=bindparam("of_provider", type_=Text), model=bindparam("of_model", type_=Text), failures_in_row=1
)
_FAILED = _FAILED.on_conflict_do_update(
    index_elements=[breaker.c.provider, breaker.c.model],
    set_={
        "failures_in_row": breaker.c.failures_in_row + 1,
        "open_until": case(
            (breaker.c.failures_in_row + 1 >= FAILURES_TO_OPEN, func.now() + _seconds(OPEN_SECONDS)),
            else_=breaker.c.open_until,
        ),
        "probe_until": null(),
        "changed_at": func.now(),
    },
)
_SUCCEEDED = (
    update(breaker)
    .where(_THIS, breaker.c.failures_in_row > 0)
    .values(failures_in_row=0, open_until=null(), probe_until=null(), changed_at=func.now())
)


async def note(conn: AsyncConnection, provider: str, model: str, *, answered: bool) -> None:
    """What came of a call: whether the provider answered at all, with a picture or without."""
    await conn.execute(_SUCCEEDED if answered else _FAILED, {"of_provider": provider, "of_model": model})


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
