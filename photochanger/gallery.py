"""A slot's public gallery: its last results that still live. For guests, so it says nothing of anything else."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import recent_results
from photochanger.recent_results import RecentResult
from photochanger.tables import slot


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """A slot as guests see it; the newest result first."""

    slot_id: str
    display_name: str
    results: list[RecentResult]


async def gallery_of(conn: AsyncConnection, slot_id: str, *, limit: int) -> Gallery | None:
    """The last results of this slot's booths, no test runs; None when there is no such slot."""
    name = (await conn.execute(select(slot.c.display_name).where(slot.c.slot_id == slot_id))).scalar_one_or_none()
    if name is None:
        return None
    return Gallery(slot_id=slot_id, display_name=name, results=await recent_results.of_slot(conn, slot_id, limit=limit))
