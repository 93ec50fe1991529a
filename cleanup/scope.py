"""What a sweep works on, and what it tells."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, any_, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.elements import ColumnElement

from photochanger.db import Database
from photochanger.media import Media
from photochanger.tables import HexId

BATCH = 500
MOST_REST_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Where to sweep and how far."""

    db: Database
    media: Media
    job_retention_days: int
    dry_run: bool = False
    """Count what would go, and change nothing."""
    slot_id: str | None = None
    """Only what belongs to this slot."""


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What went: so many jobs, results, rows; and the files that lay on disk, with their bytes."""

    count: int = 0
    files: int = 0
    bytes: int = 0

    def __add__(self, other: "Swept") -> "Swept":
        return Swept(count=self.count + other.count, files=self.files + other.files, bytes=self.bytes + other.bytes)


async def batches(db: Database, query: Select[Any]) -> AsyncIterator[list[str]]:
    """The ids that a query finds, some hundred at a time. It is asked once: what cannot be swept is not met twice.

    After each batch the sweep rests for as long as that took: disk and database belong to the photos in work.
    """
    async with db.at_once() as conn:
        ids: list[str] = list((await conn.execute(query)).scalars())
    for start in range(0, len(ids), BATCH):
        began = time.monotonic()
        yield ids[start : start + BATCH]
        if start + BATCH < len(ids):
            await asyncio.sleep(min(MOST_REST_SECONDS, time.monotonic() - began))


async def ids_at_once(db: Database, column: ColumnElement[str], *where: ColumnElement[bool]) -> list[str]:
    """The ids of all rows like that, as one value: a hundred thousand cost a tenth of what as many rows would."""
    hex_digits = func.encode(func.uuid_send(column), "hex")
    async with db.at_once() as conn:
        joined: str | None = (await conn.execute(select(func.string_agg(hex_digits, ",")).where(*where))).scalar_one()
    return joined.split(",") if joined else []


async def count_of(db: Database, table: Any, *where: ColumnElement[bool]) -> int:
    """How many rows of a table are like that."""
    async with db.at_once() as conn:
        number: int = (await conn.execute(select(func.count()).select_from(table).where(*where))).scalar_one()
    return number


def is_one_of(column: ColumnElement[str], ids: Sequence[str]) -> ColumnElement[bool]:
    """The condition that an id is among these, as one parameter however many there are."""
    return column == any_(literal(list(ids), ARRAY(HexId)))
