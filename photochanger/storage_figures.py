"""How much room things take: rows that the cleanup daemon keeps up to date, never counted while somebody waits."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.tables import storage_figure


@dataclass(frozen=True, kw_only=True)
class StorageFigure:
    """One kind of thing (`results`, `templates`, `disk_free`). `files` is None where there are none to count."""

    name: str
    files: int | None
    bytes: int
    measured_at: datetime


async def latest(conn: AsyncConnection) -> list[StorageFigure]:
    """All figures, as the daemon found them last."""
    columns = [storage_figure.c[name] for name in StorageFigure.__dataclass_fields__]
    rows = await conn.execute(select(*columns).order_by(storage_figure.c.name))
    return [StorageFigure(**row._mapping) for row in rows]  # noqa: SLF001
