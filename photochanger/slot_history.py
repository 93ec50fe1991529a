"""The last 20 documents of each slot: what stood when, and who has written it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.tables import slot_version

KEPT = 20


@dataclass(frozen=True, kw_only=True)
class SlotVersion:
    """One document (slot_rules.py) and its writer."""

    version: int
    saved_at: datetime
    saved_by: str
    document: Mapping[str, Any]


_COLUMNS = [slot_version.c[name] for name in SlotVersion.__dataclass_fields__]


async def versions(conn: AsyncConnection, slot_id: str) -> list[SlotVersion]:
    """Those that are kept, the newest first. None before the first save."""
    query = select(*_COLUMNS).where(slot_version.c.slot_id == slot_id).order_by(slot_version.c.version.desc())
    return [SlotVersion(**row._mapping) for row in await conn.execute(query)]  # noqa: SLF001


async def keep(conn: AsyncConnection, slot_id: str, *kept: SlotVersion) -> None:
    """Put these in, where they are not there already, and forget all but the last 20."""
    rows = [{"slot_id": slot_id, **vars(one)} for one in kept]
    await conn.execute(insert(slot_version).values(rows).on_conflict_do_nothing())
    of_slot = slot_version.c.slot_id == slot_id
    oldest_forgotten = (
        select(slot_version.c.version).where(of_slot).order_by(slot_version.c.version.desc()).offset(KEPT).limit(1)
    )
    forgotten = slot_version.c.version <= oldest_forgotten.scalar_subquery()
    await conn.execute(delete(slot_version).where(of_slot, forgotten))
