"""Files older than an hour without a row that still needs them: a process died between file and row.

The folder's names are compared with the ids that need a file there, as two sets. Only what is left over is looked at:
its age, and its row once more.
"""

from dataclasses import dataclass

from sqlalchemy import and_, false, or_, select
from sqlalchemy.sql.elements import ColumnElement

from cleanup.files import id_of, names_in, older_than, remove
from cleanup.open_jobs import IS_FINAL, STEP_IS_OVER
from cleanup.scope import BATCH, Scope, Swept, ids_at_once, is_one_of
from photochanger.jobs import OPEN, Status, status_is
from photochanger.media import FOLDERS
from photochanger.tables import job, media_object

ORPHAN_AGE_SECONDS = 3600.0


NEVER = false()


@dataclass(frozen=True, eq=False)
class Owner:
    """Whose id the names in a folder begin with, and when it needs its file: by a partial index of its table."""

    id: ColumnElement[str]
    needs_it: ColumnElement[bool]
    others_remove_it: ColumnElement[bool] = NEVER
    """When its file is no orphan though it is not needed: it goes with its job (`open_jobs.finished_photos`)."""


RESULT = Owner(job.c.job_id, job.c.result_path.is_not(None))
MEDIA = Owner(
    media_object.c.media_object_id, and_(media_object.c.cleaned_at.is_(None), media_object.c.path.is_not(None))
)
STEP = Owner(job.c.job_id, status_is(Status.RUNNING), others_remove_it=STEP_IS_OVER)
OWNERS = {
    "ingest": Owner(job.c.job_id, status_is(*OPEN), others_remove_it=IS_FINAL),
    "work": STEP,
    "work/previews": STEP,
    "results": RESULT,
    "previews": RESULT,
}
"""By the folder; all others are of media objects."""


async def orphaned_files(scope: Scope) -> Swept:
    """In all folders. Of one slot: only what the name's job says to be that slot's."""
    swept = Swept()
    needed: dict[Owner, set[str]] = {}
    for folder in FOLDERS:
        owner = OWNERS.get(folder, MEDIA)
        if scope.slot_id is not None and owner is MEDIA:
            continue
        if owner not in needed:
            needed[owner] = set(await ids_at_once(scope.db, owner.id, owner.needs_it))
        left_over = [name for name in await names_in(scope, folder, links=True) if id_of(name) not in needed[owner]]
        old = await older_than(scope, folder, left_over, seconds=ORPHAN_AGE_SECONDS)
        for start in range(0, len(old), BATCH):
            batch = await _without_row(scope, owner, old[start : start + BATCH])
            removed = await remove(scope, [f"{folder}/{name}" for name in batch])
            swept += removed.swept(removed.files)
    return swept


async def _without_row(scope: Scope, owner: Owner, names: list[str]) -> list[str]:
    """Those of these names whose rows, as they are now, do not need them."""
    ids = list({found for name in names if (found := id_of(name))})
    kept = or_(owner.needs_it, owner.others_remove_it)
    async with scope.db.at_once() as conn:
        needed = set((await conn.execute(select(owner.id).where(is_one_of(owner.id, ids), kept))).scalars())
        if scope.slot_id is None:
            return [name for name in names if id_of(name) not in needed]
        of_slot = select(owner.id).where(is_one_of(owner.id, ids), job.c.slot_id == scope.slot_id)
        theirs = set((await conn.execute(of_slot)).scalars())
    return [name for name in names if id_of(name) in theirs - needed]
