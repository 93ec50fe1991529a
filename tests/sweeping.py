"""For the tests of the sweeps: jobs and media objects with their files, as old as needed, and a look at everything."""

import os
import secrets
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select, text, update

from cleanup.scope import Scope
from photochanger.db import Database
from photochanger.jobs import Status
from photochanger.media import Media
from photochanger.tables import job, job_input, media_object, metadata
from tests.queue_rows import job_in, queue, result_of

HOURS = 3600.0
RETENTION_DAYS = 90


def scope(db: Database, media: Media, **changes: Any) -> Scope:
    """What the sweeps of a test work on."""
    return Scope(**{"db": db, "media": media, "job_retention_days": RETENTION_DAYS, **changes})


def write(path: Path, *, age_seconds: float = 0.0, content: bytes = b"picture") -> Path:
    """A file last touched so long ago."""
    path.write_bytes(content)
    then = time.time() - age_seconds
    os.utime(path, (then, then))
    return path


async def done(
    db: Database, media: Media, *, expired: bool, age_seconds: float = 0.0, slot: str = "slot-001"
) -> tuple[str, list[Path]]:
    """A done job with its two files."""
    job_id, _ = await job_in(db, Status.DONE)
    await put_into(db, job_id, slot=slot)
    if expired:
        await expire_result(db, job_id)
    result = result_of(job_id)
    paths = [media.path_of(result.path), media.path_of(result.preview_path)]
    return job_id, [write(path, age_seconds=age_seconds) for path in paths]


async def put_into(db: Database, job_id: str, *, slot: str) -> None:
    """Make it another slot's job."""
    async with db.begin() as conn:
        for table in (job, job_input):
            await conn.execute(update(table).where(table.c.job_id == job_id).values(slot_id=slot))


async def expire_result(db: Database, job_id: str) -> None:
    """Let its time be up since a moment."""
    async with db.at_once() as conn:
        past = func.now() - timedelta(seconds=0.001)
        await conn.execute(update(job).where(job.c.job_id == job_id).values(result_expires_at=past))


async def media_of(
    db: Database,
    media: Media,
    *,
    kind: str,
    expires_in_seconds: float | None,
    age_seconds: float = 0.0,
    job_id: str | None = None,
) -> tuple[str, Path]:
    """A media object with its file."""
    media_id = secrets.token_hex(16)
    relative = f"{'templates' if kind == 'template' else 'provider'}/{media_id}.jpg"
    values = {
        "media_object_id": media_id,
        "kind": kind,
        "job_id": (job_id or await queue(db)) if kind == "provider_media" else None,
        "path": relative,
        "mime": "image/jpeg",
        "bytes": 7,
        "sha256": secrets.token_bytes(32),
        "expires_at": None if expires_in_seconds is None else func.now() + timedelta(seconds=expires_in_seconds),
    }
    async with db.at_once() as conn:
        await conn.execute(insert(media_object).values(values))
    return media_id, write(media.path_of(relative), age_seconds=age_seconds)


async def let_it_be_ago(db: Database, job_id: str, **ago: float) -> None:
    """Move a job and its input into the past, by a timedelta's words."""
    past = timedelta(**ago)
    moments = ("created_at", "expires_at", "start_by", "run_after", "finished_at", "result_expires_at")
    async with db.begin() as conn:
        moved: dict[str, Any] = {name: job.c[name] - past for name in moments}
        await conn.execute(update(job).where(job.c.job_id == job_id).values(moved))
        of_job = update(job_input).where(job_input.c.job_id == job_id)
        await conn.execute(of_job.values(created_at=job_input.c.created_at - past))


async def ids(db: Database) -> set[str]:
    """All jobs there are."""
    async with db.at_once() as conn:
        return set((await conn.execute(select(job.c.job_id))).scalars())


async def everything(db: Database, media: Media) -> tuple[dict[str, list[str]], dict[str, tuple[int, float]]]:
    """All rows of all tables and all files with sizes and times: what a dry run leaves as it was."""
    rows = {}
    async with db.at_once() as conn:
        for name in metadata.tables:
            found = await conn.execute(text(f"SELECT t.xmin::text || t.ctid::text || t::text FROM {name} t"))
            rows[name] = sorted(found.scalars())
    files = {str(path): (path.lstat().st_size, path.lstat().st_mtime) for path in media.root.rglob("*")}
    return rows, files
