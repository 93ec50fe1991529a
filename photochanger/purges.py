"""Purges that somebody asked for: a row each, which the cleanup daemon takes up within seconds."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.tables import purge


@dataclass(frozen=True, kw_only=True)
class Purge:
    """One request. `files` and `bytes` are what went, once it is finished."""

    purge_id: int
    slot_id: str | None
    """None: of all slots."""
    requested_at: datetime
    requested_by: str
    finished_at: datetime | None
    files: int | None
    bytes: int | None


_COLUMNS = [purge.c[name] for name in Purge.__dataclass_fields__]


async def request(conn: AsyncConnection, *, slot_id: str | None, by: str) -> int:
    """Ask for one; its id."""
    asked = insert(purge).values(slot_id=slot_id, requested_by=by).returning(purge.c.purge_id)
    purge_id: int = (await conn.execute(asked)).scalar_one()
    return purge_id


async def waiting(conn: AsyncConnection) -> list[Purge]:
    """Those that nobody has done yet, the oldest first."""
    query = select(*_COLUMNS).where(purge.c.finished_at.is_(None)).order_by(purge.c.requested_at)
    return [Purge(**row._mapping) for row in await conn.execute(query)]  # noqa: SLF001


async def finish(conn: AsyncConnection, purge_id: int, *, files: int, size_bytes: int) -> None:
    """Say what went."""
    done = {"finished_at": func.now(), "files": files, "bytes": size_bytes}
    await conn.execute(update(purge).where(purge.c.purge_id == purge_id).values(**done))
