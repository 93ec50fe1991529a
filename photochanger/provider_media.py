"""Pictures with a public link for a while: provider media, which a provider fetches by itself until its job's deadline,
and uploads, which administrators register for as long as a booth waits for a picture.

The id is 128 random bits and the whole secret. The file lies under `provider/` until the cleanup comes by; the link
says 410 from the moment it has expired, by the database's clock.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.images import CheckedResult
from photochanger.picture_kinds import EXTENSIONS
from photochanger.tables import job, media_object


@dataclass(frozen=True, kw_only=True)
class MediaObject:
    """A picture with a row of its own. `path` is relative to MEDIA_ROOT; None once its file has gone."""

    media_object_id: str
    path: str | None
    mime: str
    expired: bool


def new_media_id() -> str:
    """128 random bits."""
    return secrets.token_hex(16)


async def publish(
    conn: AsyncConnection, *, media_id: str, job_id: str, path: str, mime: str, size_bytes: int, sha256: bytes
) -> None:
    """Give a file a link until its job's deadline. No extension."""
    columns = ["media_object_id", "kind", "job_id", "path", "mime", "bytes", "sha256", "created_at", "expires_at"]
    row = select(
        literal(media_id, media_object.c.media_object_id.type),
        literal("provider_media"),
        job.c.job_id,
        literal(path),
        literal(mime),
        literal(size_bytes),
        literal(sha256),
        func.now(),
        job.c.expires_at,
    ).where(job.c.job_id == job_id)
    await conn.execute(insert(media_object).from_select(columns, row))


async def publish_upload(
    conn: AsyncConnection, *, media_id: str, picture: CheckedResult, seconds: int, by: str
) -> datetime:
    """Give an administrator's picture a link for so many seconds; the moment at which it ends."""
    row = {
        "media_object_id": media_id,
        "kind": "upload",
        "path": upload_path(media_id, picture.mime),
        "mime": picture.mime,
        "bytes": picture.size_bytes,
        "sha256": picture.sha256,
        "width": picture.width,
        "height": picture.height,
        "created_by": by,
        "expires_at": func.now() + timedelta(seconds=seconds),
    }
    expires_at: datetime = (
        await conn.execute(insert(media_object).values(row).returning(media_object.c.expires_at))
    ).scalar_one()
    return expires_at


def upload_path(media_id: str, mime: str) -> str:
    """Where an upload lies, relative to MEDIA_ROOT: beside provider media, whose life it shares."""
    return f"provider/{media_id}.{EXTENSIONS[mime]}"


_COLUMNS = [
    media_object.c.media_object_id,
    media_object.c.path,
    media_object.c.mime,
    func.coalesce(media_object.c.expires_at <= func.now(), False).label("expired"),
]


async def get(conn: AsyncConnection, media_id: str) -> MediaObject | None:
    """What has or had a link with this id: provider media or an upload, never a template. None: nothing."""
    linked = media_object.c.kind.in_(("provider_media", "upload"))
    query = select(*_COLUMNS).where(media_object.c.media_object_id == media_id, linked)
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else MediaObject(**row._mapping)  # noqa: SLF001


async def templates(conn: AsyncConnection, media_ids: Collection[str]) -> dict[str, MediaObject]:
    """Those of these template pictures that are there, by id."""
    query = select(*_COLUMNS).where(media_object.c.media_object_id.in_(media_ids), media_object.c.kind == "template")
    rows = await conn.execute(query)
    return {row.media_object_id: MediaObject(**row._mapping) for row in rows}  # noqa: SLF001
