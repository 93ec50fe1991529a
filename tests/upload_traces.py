"""What an upload leaves behind: files, jobs and descriptors of this process, which also serves the API."""

from contextlib import suppress
from pathlib import Path

from sqlalchemy import update

from photochanger.tables import slot
from tests.booths import nothing_left
from tests.raw_http import eventually, jobs_in
from tests.serving import Api

MEGABYTE = 1024 * 1024


async def limit_megabytes(api: Api, megabytes: int) -> None:
    async with api.db.begin() as conn:
        await conn.execute(update(slot).where(slot.c.slot_id == "slot-001").values(size_limit_mb=megabytes))


def descriptors() -> list[str]:
    """What this process has open."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(entry.readlink()))
    return found


def open_files(api: Api) -> list[str]:
    """Of it, what lies under MEDIA_ROOT."""
    return [target for target in descriptors() if target.startswith(str(api.media.root))]


async def nothing_stays(api: Api) -> None:
    """No job, no file, no descriptor, once the request has ended."""
    await eventually(lambda: not open_files(api) and not list(api.media.folder("ingest").iterdir()))
    nothing_left(api.media)
    assert await jobs_in(api) == 0
