"""Purges that somebody asked for: a row each, which the cleanup daemon takes up within seconds."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
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
    """Ask for one; its id. One of the same slot (or of all) that waits already is joined: it does the same work."""
    asked = insert(purge).values(slot_id=slot_id, requested_by=by)
    joined = asked.on_conflict_do_update(
        index_elements=[purge.c.slot_id],
        index_where=purge.c.finished_at.is_(None),
        set_={"requested_by": purge.c.requested_by},  # changes nothing, but gives its id
    )
    purge_id: int = (await conn.execute(joined.returning(purge.c.purge_id))).scalar_one()
    return purge_id


async def get(conn: AsyncConnection, purge_id: int) -> Purge:
    """The one with this id. Raises `NoResultFound` when there is none."""
    return Purge(**(await conn.execute(select(*_COLUMNS).where(purge.c.purge_id == purge_id))).one()._mapping)  # noqa: SLF001


async def last_finished(conn: AsyncConnection) -> Purge | None:
    """The one that was done last."""
    query = select(*_COLUMNS).where(purge.c.finished_at.is_not(None)).order_by(purge.c.finished_at.desc()).limit(1)
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else Purge(**row._mapping)  # noqa: SLF001


async def waiting(conn: AsyncConnection) -> list[Purge]:
    """Those that nobody has done yet, the oldest first."""
    query = select(*_COLUMNS).where(purge.c.finished_at.is_(None)).order_by(purge.c.requested_at)
    return [Purge(**row._mapping) for row in await conn.execute(query)]  # noqa: SLF001


async def finish(conn: AsyncConnection, purge_id: int, *, files: int, size_bytes: int) -> None:
    """Say what went."""
    done = {"finished_at": func.now(), "files": files, "bytes": size_bytes}
    await conn.execute(update(purge).where(purge.c.purge_id == purge_id).values(**done))
