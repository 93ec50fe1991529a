"""Files older than an hour without a row that still needs them: a process died between file and row.

The folder's names are compared with the ids that need a file there, as two sets. Only what is left over is looked at:
its age, and its row once more.
"""

from sqlalchemy import and_, or_, select
from sqlalchemy.sql.elements import ColumnElement

from cleanup.files import id_of, names_in, older_than, remove
from cleanup.scope import BATCH, Scope, Swept, is_one_of
from photochanger.jobs import FINAL, OPEN, Status, status_is
from photochanger.media import FOLDERS
from photochanger.tables import job, media_object

ORPHAN_AGE_SECONDS = 3600.0


async def orphaned_files(scope: Scope) -> Swept:
    """In all folders. Of one slot: only what the name's job says to be that slot's."""
    swept = Swept()
    for folder in FOLDERS:
        owner, needs_it = _owner(folder)
        if scope.slot_id is not None and owner is not job.c.job_id:
            continue
        async with scope.db.at_once() as conn:
            needed = set((await conn.execute(select(owner).where(needs_it))).scalars())
        left_over = [name for name in await names_in(scope, folder, links=True) if id_of(name) not in needed]
        old = await older_than(scope, folder, left_over, seconds=ORPHAN_AGE_SECONDS)
        for start in range(0, len(old), BATCH):
            batch = await _without_row(scope, folder, old[start : start + BATCH])
            removed = await remove(scope, [f"{folder}/{name}" for name in batch])
            swept += removed.swept(removed.files)
    return swept


def _owner(folder: str) -> tuple[ColumnElement[str], ColumnElement[bool]]:
    """Whose id the names in a folder begin with, and when it needs its file. Each by a partial index of its table."""
    if folder == "ingest":
        return job.c.job_id, status_is(*OPEN)
    if folder.startswith("work"):
        return job.c.job_id, status_is(Status.RUNNING)
    if folder in {"results", "previews"}:
        return job.c.job_id, job.c.result_path.is_not(None)
    living = and_(media_object.c.cleaned_at.is_(None), media_object.c.path.is_not(None))
    return media_object.c.media_object_id, living


async def _without_row(scope: Scope, folder: str, names: list[str]) -> list[str]:
    """Those of these names whose rows, as they are now, do not need them. A final job's photo is no orphan: it goes
    with its job (`open_jobs.finished_photos`).
    """
    owner, needs_it = _owner(folder)
    if folder == "ingest" or folder.startswith("work"):
        needs_it = or_(needs_it, status_is(*FINAL))
    ids = list({found for name in names if (found := id_of(name))})
    async with scope.db.at_once() as conn:
        needed = set((await conn.execute(select(owner).where(is_one_of(owner, ids), needs_it))).scalars())
        if scope.slot_id is None:
            return [name for name in names if id_of(name) not in needed]
        of_slot = select(owner).where(is_one_of(owner, ids), job.c.slot_id == scope.slot_id)
        theirs = set((await conn.execute(of_slot)).scalars())
    return [name for name in names if id_of(name) in theirs - needed]
