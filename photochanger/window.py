"""The time that figures are asked for: cut into the points of a chart, and into what is read from where.

    start ──────┬── whole hours, rolled: hourly_figure, hourly_attempts ──┬────── until (now)
      the jobs' own rows                                          the jobs' own rows

While the whole hours hold few jobs, everything is read from the jobs' own rows: then the durations are exact, and a
point may be shorter than an hour. Else the rolled hours serve, and a window of a million jobs costs no more than they.
Counts are exact either way, as long as the rows of the cut hours live. After that a window begins with a whole hour,
and an hour belongs to the day in which it began.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from sqlalchemy import BindParameter, and_, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from photochanger.tables import MOMENT, hourly_figure, hourly_watermark

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
STEPS = (
    *(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30)),
    *(timedelta(hours=hours) for hours in (1, 2, 3, 6, 12)),
    *(DAY, WEEK),
)
MOST_POINTS = 120
EXTRA_POINTS = 3
"""The first and the last one are cut off, and a day on which the clocks change may need one more."""
MOST_JOBS_BY_ROW = 20_000
"""In rolled hours: with more of them the hours serve. 8,000 of them, read by row, cost a page about 0.2 s."""


@dataclass(frozen=True)
class Span:
    """From one moment to just before another."""

    start: datetime
    until: datetime


@dataclass(frozen=True, kw_only=True)
class Window:
    """What is asked for, and how it is read."""

    span: Span
    edges: tuple[datetime, ...]
    """Where the points begin; the first one at the span's start or before it."""
    step: timedelta
    by_row: tuple[Span, ...]
    """Read from the jobs themselves."""
    by_hour: Span | None
    """Read from the rolled hours: from a whole hour to a whole hour."""

    @property
    def exact(self) -> bool:
        """Durations are the jobs' own, not counts per bucket."""
        return self.by_hour is None


@dataclass(frozen=True, kw_only=True)
class Past:
    """What is known of the past, by the database's clock."""

    now: datetime
    rolled_until: datetime | None
    rows_since: datetime
    """Jobs from then on still have their rows."""


async def past(conn: AsyncConnection, *, job_retention_days: int) -> Past:
    """As it is now."""
    row = (await conn.execute(select(func.now(), select(hourly_watermark.c.rolled_until).scalar_subquery()))).one()
    # An hour less: the cleanup may be at it.
    return Past(now=row[0], rolled_until=row[1], rows_since=row[0] - timedelta(days=job_retention_days) + HOUR)


async def last_minutes(conn: AsyncConnection, known: Past, *, minutes: int, zone: ZoneInfo) -> Window:
    """The time up to now, in at most 120 points."""
    return await since_moment(conn, known, start=known.now - timedelta(minutes=minutes), zone=zone)


async def since_moment(conn: AsyncConnection, known: Past, *, start: datetime, zone: ZoneInfo) -> Window:
    """The time from an earlier moment, at most two years ago, up to now, in at most 120 points."""
    reading = await _divided(conn, known, Span(start, known.now))
    least = STEPS[0] if reading.by_hour is None else HOUR
    length = reading.span.until - reading.span.start
    step = next(step for step in STEPS if step >= least and length / step + EXTRA_POINTS <= MOST_POINTS)
    return _window(reading, edges(reading.span, step=step, zone=zone), step=step)


async def days(conn: AsyncConnection, known: Past, span: Span, *, zone: ZoneInfo) -> Window:
    """Whole days of a zone, a point each. The span begins at a midnight."""
    return _window(await _divided(conn, known, span), edges(span, step=DAY, zone=zone), step=DAY)


async def whole(conn: AsyncConnection, known: Past, *, minutes: int) -> Window:
    """The time up to now as one point."""
    return _as_one(await _divided(conn, known, Span(known.now - timedelta(minutes=minutes), known.now)))


def today(known: Past, *, zone: tzinfo) -> Window:
    """The time since midnight in this zone as one point.

    From the rolled hours wherever there are any, however few their jobs: it is asked for every few seconds.
    """
    midnight = known.now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return _as_one(_cut(known, Span(midnight.astimezone(UTC), known.now)))


@dataclass(frozen=True)
class _Reading:
    """What of a span is read from where; the span is a little shorter where rows are gone."""

    span: Span
    by_row: tuple[Span, ...]
    by_hour: Span | None


def _window(reading: _Reading, points: tuple[datetime, ...], *, step: timedelta) -> Window:
    return Window(span=reading.span, edges=points, step=step, by_row=reading.by_row, by_hour=reading.by_hour)


def _as_one(reading: _Reading) -> Window:
    return _window(reading, (reading.span.start,), step=reading.span.until - reading.span.start)


async def _divided(conn: AsyncConnection, known: Past, span: Span) -> _Reading:
    """All by row where that is possible and the hours hold few jobs."""
    reading = _cut(known, span)
    if reading.by_hour is None or span.start < known.rows_since:
        return reading
    return _Reading(span, (span,), None) if await _jobs_in(conn, reading.by_hour) <= MOST_JOBS_BY_ROW else reading


def _cut(known: Past, span: Span) -> _Reading:
    """Whole hours by hour as far as they are rolled, the rest by row."""
    rows_live = span.start >= known.rows_since
    first = _hour_from(span.start)
    last = min(known.rolled_until or first, _hour_of(span.until) if rows_live else _hour_from(span.until))
    if last <= first:
        return _Reading(span, (span,), None)
    span = Span(span.start if rows_live else first, span.until)
    beside = (Span(span.start, first), Span(last, span.until))
    return _Reading(span, tuple(part for part in beside if part.start < part.until), Span(first, last))


async def _jobs_in(conn: AsyncConnection, hours: Span) -> int:
    query = select(func.coalesce(func.sum(hourly_figure.c.jobs), 0)).where(within(hourly_figure.c.hour, hours))
    return int((await conn.execute(query)).scalar_one())


def within(moment: ColumnElement[datetime], span: Span) -> ColumnElement[bool]:
    """The condition, with the moments as literals: a plan that is made for any span is bad for a short one."""
    return and_(moment >= _literal(span.start), moment < _literal(span.until))


def since(moment: ColumnElement[datetime], start: datetime) -> ColumnElement[bool]:
    """The condition, with the moment as a literal."""
    return moment >= _literal(start)


def _literal(moment: datetime) -> BindParameter[datetime]:
    return bindparam(None, moment, type_=MOMENT, literal_execute=True)


def _hour_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _hour_from(moment: datetime) -> datetime:
    begun = _hour_of(moment)
    return begun if begun == moment else begun + HOUR


def edges(span: Span, *, step: timedelta, zone: ZoneInfo) -> tuple[datetime, ...]:
    """Where the points begin: at round times of the zone, counted anew from each of its midnights.

    A day on which the clocks change is an hour shorter or longer; weeks begin on Monday.
    """
    local = span.start.astimezone(zone)
    midnight = datetime(local.year, local.month, local.day, tzinfo=zone)
    if step == WEEK:
        midnight = _days_later(midnight, -midnight.weekday())
    found: list[datetime] = []
    while midnight.astimezone(UTC) < span.until:
        following = _days_later(midnight, 7 if step == WEEK else 1)
        begin, end = midnight.astimezone(UTC), min(following.astimezone(UTC), span.until)
        steps = math.ceil((end - begin) / step)  # none where a zone has left out a day
        count = min(steps, 1) if step >= DAY else steps
        found += [begin + step * number for number in range(count)]
        midnight = following
    begun = sum(edge <= span.start for edge in found)
    return tuple(found[begun - 1 :])


def _days_later(midnight: datetime, days: int) -> datetime:
    """The midnight so many days later, by the zone's own calendar."""
    day = midnight.date() + timedelta(days=days)
    return datetime(day.year, day.month, day.day, tzinfo=midnight.tzinfo)
