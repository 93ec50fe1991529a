"""A job run again: a new one, from the old one's photo while that is there, else from its result while that lives.

It is an administrator's act (`source` ui_test), whoever posted the first one: run again it would count twice in the
slot's figures, and stand beside the first in the gallery for guests who never came back.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.errors import Failure, Refusal
from photochanger.job import FINAL, Status
from photochanger.media import Media
from photochanger.photo import StoredPhoto, stored_photo
from photochanger.plain_files import open_plain
from photochanger.tables import job, job_input

Origin = Literal["photo", "result"]


@dataclass(frozen=True, kw_only=True)
class Original:
    """The job that is run again. `result_path` is None unless the result lives, by the database's clock."""

    job_id: str
    slot_id: str
    snapshot: Mapping[str, Any]
    booth_fields: Mapping[str, str]
    photo_path: str
    result_path: str | None


async def original(conn: AsyncConnection, job_id: str) -> Original:
    """Raises `Refusal`: `job_not_found`, or `job_open` while it is in work."""
    living = case((job.c.result_expires_at > func.now(), job.c.result_path))
    columns = (job_input.c[name] for name in ("job_id", "slot_id", "snapshot", "booth_fields", "photo_path"))
    query = select(*columns, living.label("result_path"), job.c.status).join_from(
        job, job_input, and_(job_input.c.job_id == job.c.job_id)
    )
    row = (await conn.execute(query.where(job.c.job_id == job_id))).one_or_none()
    if row is None:
        raise Refusal(Failure.JOB_NOT_FOUND)
    if Status(row.status) not in FINAL:
        raise Refusal(Failure.JOB_OPEN, job_id=job_id)
    return Original(**{name: row._mapping[name] for name in Original.__dataclass_fields__})  # noqa: SLF001


def take_again(media: Media, old: Original, *, path: str) -> tuple[StoredPhoto, Origin]:
    """Copy what there is of it to this path in `ingest/`. Reads and writes files: for a thread.

    A copy and no second name for the same file: the two lives stay apart, and the cleanup does not take a file that is
    new by its own date for one left behind, while its row is being written.

    Raises `Refusal`: `photo_gone`, `storage_full`.
    """
    sources: tuple[tuple[str | None, Origin], ...] = ((old.photo_path, "photo"), (old.result_path, "result"))
    for source, origin in sources:
        if source is not None and (copied := media.copy(source, path)) is not None:
            with os.fdopen(open_plain(media.path_of(path)), "rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").digest()
            return stored_photo(media, path, size_bytes=copied, sha256=sha256), origin
    raise Refusal(Failure.PHOTO_GONE, "The photo of this job is gone, and so is its result.", job_id=old.job_id)
