"""Whose folder MEDIA_ROOT is: the database remembers an id, and a marker in the folder says the same.

    first start      the id is remembered, then the marker is written, then the database notes that it was
    later            a folder without the marker, or with another one, is refused until the right one is back

So nothing is written onto the bare mount point of a disk that is away, and a database that was pointed at another
installation's folder by mistake removes nothing there. Whoever really has another folder now says so with
`photochanger adopt-media`.
"""

import asyncio
import secrets
from pathlib import Path

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.db import Database
from photochanger.errors import Refusal
from photochanger.media import Media
from photochanger.tables import app_settings

log = structlog.get_logger()

NAME = "media.root"
BY = "first start"


async def opened(db: Database, root: Path) -> Media:
    """MEDIA_ROOT for a process that starts: marked on a first start, with its folders.

    A folder that is not the right one, or cannot be written, ends no process: the log says why, and until it is back
    photos are refused and nothing is swept. Raises one of `UNAVAILABLE`.
    """
    async with db.begin() as conn:
        media = Media(root, await _remembered(conn))
    await settle(db, media)
    return media


async def settle(db: Database, media: Media) -> bool:
    """Mark the folder, if none was marked yet, and make what is missing in it. False when that is not possible now."""
    try:
        await _mark_once(db, media)
        await asyncio.to_thread(media.check_root)
        await asyncio.to_thread(media.create_folders)
    except Refusal:
        return False  # the log has it
    except OSError as error:
        log.error("media_root_refused", root=str(media.root), why=str(error))
        return False
    return True


async def known_id(conn: AsyncConnection) -> str | None:
    """What the marker must say; None before the first start."""
    row = await _row(conn)
    return None if row is None else str(row["id"])


async def adopt(db: Database, root: Path) -> Media:
    """Take this folder as the right one from now on, whosever it was. Raises `OSError` when it cannot be written."""
    async with db.begin() as conn:
        media = Media(root, await _remembered(conn))
        await asyncio.to_thread(media.mark, replace=True)
        await _note_marked(conn, media)
    await asyncio.to_thread(media.create_folders)
    return media


async def _remembered(conn: AsyncConnection) -> str:
    new = {"id": secrets.token_hex(16), "marked": False}
    first = insert(app_settings).values(name=NAME, value=new, updated_by=BY, updated_at=func.now())
    await conn.execute(first.on_conflict_do_nothing())
    known = await known_id(conn)
    assert known is not None
    return known


async def _mark_once(db: Database, media: Media) -> None:
    """Under the row's lock: of two hosts that start for the first time, the second one finds the folder marked.

    A process that dies between marker and row has written the id that the row had before: it is marked again.
    """
    async with db.begin() as conn:
        row = await _row(conn, lock=True)
        if row is None or row["marked"]:
            return
        await asyncio.to_thread(media.mark)
        if media.is_ours():
            await _note_marked(conn, media)


async def _note_marked(conn: AsyncConnection, media: Media) -> None:
    value = {"id": media.root_id, "marked": True}
    await conn.execute(
        update(app_settings).where(app_settings.c.name == NAME).values(value=value, updated_at=func.now())
    )


async def _row(conn: AsyncConnection, *, lock: bool = False) -> dict[str, object] | None:
    query = select(app_settings.c.value).where(app_settings.c.name == NAME)
    return (await conn.execute(query.with_for_update() if lock else query)).scalar_one_or_none()
