"""`GET /api/stats/export.csv`: days and slots as a table for a spreadsheet, which must not take a name for a formula.

Read and sent a month at a time: no connection is held while a slow client reads, and ten years need no more memory.
"""

import csv
import io
from collections.abc import AsyncIterator
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import StreamingResponse

from api.access import administrators
from api.state import services
from api.stats_parameters import AskedDays, asked_days
from photochanger import daily_figures, window
from photochanger.daily_figures import SlotDay
from photochanger.db import Database
from photochanger.window import Past

BYTE_ORDER_MARK = "\ufeff"
"""By this Excel knows that it is UTF-8."""
DAYS_AT_ONCE = 31
FORMULA_BEGINS_WITH = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
COLUMNS = (
    *("day", "slot_id", "display_name", "photos", "ok", "timeouts", "errors", "p50_seconds", "p95_seconds"),
    *("attempts", "cost_usd"),
)


@administrators
async def export(request: Request) -> StreamingResponse:
    """Each day and slot with photos, `from` to `to` of the zone `tz`; of one slot with `slot_id`.

    `decimal=comma`: `1,5` and semicolons between.
    """
    here = services(request)
    async with here.db.at_once() as conn:
        known = await window.past(conn, job_retention_days=here.settings.job_retention_days)
    wanted = asked_days(request, now=known.now)
    months = _months(here.db, known, wanted)
    first = await anext(months)  # what goes wrong before the first byte is answered as an error
    name = "-".join(["photochanger", *filter(None, [wanted.slot_id]), f"{wanted.first}-{wanted.last}.csv"])
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_after(first, months), media_type="text/csv; charset=utf-8", headers=headers)


async def _after(first: str, others: AsyncIterator[str]) -> AsyncIterator[str]:
    yield first
    async for other in others:
        yield other


async def _months(db: Database, known: Past, wanted: AskedDays) -> AsyncIterator[str]:
    head, begin = BYTE_ORDER_MARK + _lines([COLUMNS], wanted), wanted.first
    while begin <= wanted.last:
        end = min(begin + timedelta(days=DAYS_AT_ONCE - 1), wanted.last)
        async with db.begin() as conn:
            found = await daily_figures.of_days(
                conn, known, first=begin, last=end, zone=wanted.zone, slot_id=wanted.slot_id
            )
        yield head + _lines([_cells(day, wanted) for day in found], wanted)
        head, begin = "", end + timedelta(days=1)


def _lines(rows: list[tuple[str, ...]], wanted: AskedDays) -> str:
    written = io.StringIO()
    csv.writer(written, delimiter=";" if wanted.decimal == "comma" else ",").writerows(rows)
    return written.getvalue()


def _cells(day: SlotDay, wanted: AskedDays) -> tuple[str, ...]:
    jobs, attempts = day.sums.jobs, day.sums.attempts

    def number(value: float | None, digits: int) -> str:
        told = "" if value is None else f"{value:.{digits}f}"
        return told.replace(".", ",") if wanted.decimal == "comma" else told

    return (
        day.day.isoformat(),
        day.slot_id,
        as_text(day.display_name),
        *map(str, (jobs.jobs, jobs.done, jobs.timeouts, jobs.failed)),
        number(jobs.p50_seconds, 2),
        number(jobs.p95_seconds, 2),
        str(attempts.attempts),
        number(float(attempts.cost_usd), 6),
    )


def as_text(value: str) -> str:
    """What a spreadsheet would take for a formula gets an apostrophe in front."""
    return f"'{value}" if value.startswith(FORMULA_BEGINS_WITH) else value
