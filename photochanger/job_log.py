"""The log of jobs, the newest first: one page after the other by the place where the last one ended, never by a number.

Which jobs a page holds is log_choice.py's; here they become lines.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ARRAY, Select, Text, and_, func, select, text, true
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.job import Source, Status
from photochanger.log_choice import EVERYTHING as EVERYTHING
from photochanger.log_choice import Place as Place
from photochanger.log_choice import Wanted as Wanted
from photochanger.log_choice import ids, ordered
from photochanger.tables import job, job_attempt, job_input, slot


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


def _lines(chosen: Select[Any]) -> Select[Any]:
    """The same jobs with all that a line says of them."""
    page = chosen.subquery("page")
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
    return ordered(query, page.c, newest_first=True)


async def page(
    conn: AsyncConnection, wanted: Wanted, *, limit: int, beyond: Place | None = None
) -> tuple[list[LoggedJob], Place | None]:
    """The newest of the wanted jobs, or those older than this place; and where the next page begins, if there is one.

    In a transaction.
    """
    found = await _found(conn, ids(wanted, beyond=beyond, limit=limit + 1))
    return found[:limit], found[limit - 1].place if len(found) > limit else None


async def page_before(
    conn: AsyncConnection, wanted: Wanted, *, limit: int, place: Place
) -> tuple[list[LoggedJob], Place | None]:
    """The way back: the wanted jobs just newer than this place, in the order of the log; and the place of the first of
    them, if there are newer ones still. In a transaction.
    """
    found = await _found(conn, ids(wanted, beyond=place, limit=limit + 1, newest_first=False))
    shown = found[-limit:]
    return shown, shown[0].place if len(found) > limit else None


async def count_newer(conn: AsyncConnection, wanted: Wanted, *, place: Place, most: int) -> int:
    """How many of the wanted jobs have come since the one at this place; counted up to `most`. In a transaction."""
    await _plan_for_these_values(conn)
    newer = ids(wanted, beyond=place, limit=most, newest_first=False).subquery()
    return int((await conn.execute(select(func.count()).select_from(newer))).scalar_one())


async def _found(conn: AsyncConnection, chosen: Select[Any]) -> list[LoggedJob]:
    await _plan_for_these_values(conn)
    return [_logged(row) for row in await conn.execute(_lines(chosen))]


def _logged(row: Any) -> LoggedJob:
    return LoggedJob(**{**row._mapping, "status": Status(row.status), "source": Source(row.source)})  # noqa: SLF001


async def neighbours(
    conn: AsyncConnection, place: Place, *, wanted: Wanted = EVERYTHING
) -> tuple[str | None, str | None]:
    """The job before this place in the log (newer) and the one behind it (older). In a transaction."""
    await _plan_for_these_values(conn)
    newer = ids(wanted, beyond=place, limit=1, newest_first=False).subquery()
    older = ids(wanted, beyond=place, limit=1).subquery()
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
