"""What open jobs leave behind when nobody else closes them or clears up after them: every two seconds.

A photo goes when its job is final. The runner that ends a job removes it, and so does the request that gives the
answer; here goes what a killed process has left.
"""

from sqlalchemy import and_, func, literal_column, select

from cleanup.files import id_of, names_in, remove
from cleanup.scope import BATCH, Scope, Swept, count_of, is_one_of
from photochanger import jobs
from photochanger.jobs import FINAL, OPEN, status_is
from photochanger.tables import job

OVERDUE_GRACE_SECONDS = 2.0
STEP_GRACE_SECONDS = 5.0
"""So long after a job's deadline no runner is at work on it any more, even where another one has ended it."""
IS_FINAL = status_is(*FINAL)
STEP_IS_OVER = and_(
    IS_FINAL, job.c.expires_at < func.now() - literal_column(f"interval '{STEP_GRACE_SECONDS} seconds'")
)


async def overdue_jobs(scope: Scope) -> Swept:
    """Open jobs whose deadline has passed and whom nobody has closed: their API process is gone."""
    if scope.dry_run:
        before = func.now() - literal_column(f"interval '{OVERDUE_GRACE_SECONDS} seconds'")
        return Swept(count=await count_of(scope.db, job, status_is(*OPEN), job.c.expires_at < before))
    async with scope.db.at_once() as conn:
        return Swept(count=await jobs.expire_overdue(conn, grace_seconds=OVERDUE_GRACE_SECONDS))


async def finished_photos(scope: Scope) -> Swept:
    """Photos whose jobs are final, and what runners have made of them: at once, however young the file is."""
    swept = Swept()
    for folder, over in (("ingest", IS_FINAL), ("work", STEP_IS_OVER), ("work/previews", STEP_IS_OVER)):
        names = [name for name in await names_in(scope, folder) if id_of(name)]
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            ids = list({name[:32] for name in batch})
            query = select(job.c.job_id).where(is_one_of(job.c.job_id, ids), over)
            if scope.slot_id is not None:
                query = query.where(job.c.slot_id == scope.slot_id)
            async with scope.db.at_once() as conn:
                final = set((await conn.execute(query)).scalars())
            removed = await remove(scope, [f"{folder}/{name}" for name in batch if name[:32] in final])
            swept += removed.swept(removed.files)
    return swept
