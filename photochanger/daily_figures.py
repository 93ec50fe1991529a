"""What each day came to, slot by slot: for people who take it along as a table."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import figures, tally, window
from photochanger.figures import AttemptFigures, JobFigures
from photochanger.stats import BOOTHS, Sums
from photochanger.tables import slot
from photochanger.window import Past, Span


@dataclass(frozen=True, kw_only=True)
class SlotDay:
    """One slot's day. Test runs are not in it."""

    day: date
    slot_id: str
    display_name: str
    sums: Sums


async def of_days(
    conn: AsyncConnection, known: Past, *, first: date, last: date, zone: ZoneInfo, slot_id: str | None = None
) -> list[SlotDay]:
    """Every day of the zone on which a slot, or this one, had a photo, by day and slot. What is to come is left out."""
    span = Span(_midnight(first, zone), min(_midnight(last + timedelta(days=1), zone), known.now))
    if span.until <= span.start:
        return []
    days = await window.days(conn, known, span, zone=zone)
    jobs: dict[tuple[int, str], list[JobFigures]] = defaultdict(list)
    attempts: dict[tuple[int, str], list[AttemptFigures]] = defaultdict(list)
    for part in await figures.of_jobs(conn, days, slot_id=slot_id):
        if part.source == BOOTHS:
            jobs[part.point, part.slot_id].append(part)
    for tried in await figures.of_attempts(conn, days, slot_id=slot_id):
        if tried.source == BOOTHS:
            attempts[tried.point, tried.slot_id].append(tried)
    names = {row.slot_id: row.display_name for row in await conn.execute(select(slot.c.slot_id, slot.c.display_name))}
    found = [
        SlotDay(
            day=days.edges[point].astimezone(zone).date(),
            slot_id=slot_id,
            display_name=names.get(slot_id, slot_id),
            sums=Sums(jobs=tally.jobs(parts), attempts=tally.attempts(attempts[point, slot_id])),
        )
        for (point, slot_id), parts in sorted(jobs.items(), key=lambda item: item[0])
    ]
    return [one for one in found if one.sums.jobs.jobs]


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone)
