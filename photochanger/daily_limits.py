"""Requests per day: how many of a provider's are used, and when the rest will be, at the rate of the last hour."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Text, bindparam, cast, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import provider_orders
from photochanger.providers import Providers
from photochanger.tables import MOMENT, job_attempt


@dataclass(frozen=True, kw_only=True)
class DailyLimit:
    """One provider's day, in the zone in which it turns."""

    provider: str
    per_day: int
    used_today: int
    last_hour: int
    """Requests of the last 60 minutes."""
    day_ends_at: datetime
    reaches_limit_at: datetime | None
    """None: not before the day ends, or it is used up already."""


_ZONE = bindparam("zone", type_=Text)
_TODAY = func.date_trunc("day", func.now(), _ZONE)
_HOUR_AGO = func.now() - literal_column("interval '1 hour'")
_USED = select(
    func.now().label("now"),
    func.count().filter(job_attempt.c.started_at >= _TODAY).label("today"),
    func.count().filter(job_attempt.c.started_at > _HOUR_AGO).label("last_hour"),
    cast(
        func.timezone(_ZONE, func.timezone(_ZONE, _TODAY) + literal_column("interval '1 day'")),
        MOMENT,
    ).label("day_ends_at"),
).where(
    job_attempt.c.provider == bindparam("of_provider", type_=Text),
    job_attempt.c.started_at >= func.least(_TODAY, _HOUR_AGO),
)


async def all_limits(conn: AsyncConnection, providers: Providers) -> list[DailyLimit]:
    """Of each provider that has one."""
    found = []
    limits = await provider_orders.limits_in_force(conn, providers)
    for provider in providers.by_name.values():
        per_day = limits[provider.name].per_day
        if per_day is not None:
            values = {"of_provider": provider.name, "zone": provider.limits.day_zone}
            row = (await conn.execute(_USED, values)).one()
            reaches = _reaches(row.now, left=per_day - row.today, per_hour=row.last_hour)
            found.append(
                DailyLimit(
                    provider=provider.name,
                    per_day=per_day,
                    used_today=row.today,
                    last_hour=row.last_hour,
                    day_ends_at=row.day_ends_at,
                    reaches_limit_at=reaches if reaches is not None and reaches < row.day_ends_at else None,
                )
            )
    return found


def _reaches(now: datetime, *, left: int, per_hour: int) -> datetime | None:
    if left <= 0 or per_hour == 0:
        return None
    hours = left / per_hour
    return now + timedelta(hours=hours) if hours <= 24 else None
