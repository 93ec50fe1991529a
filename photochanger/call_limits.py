"""What all runners together may ask of a provider, counted in the rows: no runner needs to know of another.

Calls in flight are counted when jobs are claimed (jobs.claim), requests per minute and per day here, when an attempt
begins. Both under a lock, because counting without one overshoots; and the count in a statement of its own, because a
statement sees what was committed when *it* began.
"""

import enum

from sqlalchemy import Float, Text, bindparam, cast, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.providers import CallLimits
from photochanger.tables import job_attempt

LOCK_CLASS = 41_003

_OF_PROVIDER = job_attempt.c.provider == bindparam("of_provider", type_=Text)
_MINUTE_AGO = func.now() - literal_column("interval '1 minute'")
_MINUTE = select(
    func.count().label("begun"),
    cast(func.extract("epoch", func.min(job_attempt.c.started_at) - _MINUTE_AGO), Float).label("oldest_leaves_in"),
).where(_OF_PROVIDER, job_attempt.c.started_at > _MINUTE_AGO)
_DAY = select(func.count()).where(
    _OF_PROVIDER, job_attempt.c.started_at >= func.date_trunc("day", func.now(), bindparam("zone", type_=Text))
)


class UsedUp(enum.Enum):
    """The day's requests are used up."""

    DAY = "day"


async def seconds_until_free(conn: AsyncConnection, provider: str, limits: CallLimits) -> float | UsedUp:
    """0: an attempt may begin, in this transaction. Else how long to wait for the minute, or that the day is over."""
    if limits.per_minute is None and limits.per_day is None:
        return 0.0
    await conn.execute(select(func.pg_advisory_xact_lock(LOCK_CLASS, func.hashtext(provider))))
    this = {"of_provider": provider}
    if limits.per_day is not None:
        begun = (await conn.execute(_DAY, {**this, "zone": limits.day_zone})).scalar_one()
        if begun >= limits.per_day:
            return UsedUp.DAY
    if limits.per_minute is not None:
        minute = (await conn.execute(_MINUTE, this)).one()
        if minute.begun >= limits.per_minute:
            return max(0.05, float(minute.oldest_leaves_in))
    return 0.0
