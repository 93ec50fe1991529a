"""Provider media and uploads past their time: the file goes, then the row is told (`cleaned_at`)."""

from sqlalchemy import func, select, update

from cleanup.files import remove
from cleanup.scope import Scope, Swept, batches, is_one_of
from photochanger.tables import job, media_object

ID = media_object.c.media_object_id


async def expired_media(scope: Scope) -> Swept:
    """Links that have ended: by its partial index, whatever lies in the table."""
    expired = [media_object.c.cleaned_at.is_(None), media_object.c.expires_at <= func.now()]
    if scope.slot_id is not None:
        of_slot = select(job.c.job_id).where(job.c.slot_id == scope.slot_id)
        expired.append(media_object.c.job_id.in_(of_slot))
    swept = Swept()
    async for ids in batches(scope.db, select(ID).where(*expired)):
        async with scope.db.at_once() as conn:
            rows = (await conn.execute(select(ID, media_object.c.path).where(is_one_of(ID, ids), *expired))).all()
        removed = await remove(scope, [row.path for row in rows if row.path is not None])
        gone = [row.media_object_id for row in rows if row.path not in removed.kept]
        if gone and not scope.dry_run:
            locked = select(ID).where(is_one_of(ID, gone)).order_by(ID).with_for_update().cte("locked")
            cleaned = update(media_object).where(locked.c.media_object_id == ID)
            async with scope.db.at_once() as conn:
                await conn.execute(cleaned.values(path=None, cleaned_at=func.now()))
        swept += removed.swept(len(gone))
    return swept
