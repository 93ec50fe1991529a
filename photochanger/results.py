"""A single result that goes before its time. The row stays, so that its link says 410.

    expire_now ──> the files go ──> forget_paths

Whatever is cut off after the first step is an expired result like any other: the cleanup makes it good.
"""

from dataclasses import dataclass

from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.errors import Failure, Refusal
from photochanger.job import Status, status_is
from photochanger.tables import job


@dataclass(frozen=True, kw_only=True)
class ResultFiles:
    """What of a result is still promised to lie under MEDIA_ROOT."""

    result_path: str | None
    preview_path: str | None


async def expire_now(conn: AsyncConnection, job_id: str) -> ResultFiles:
    """From the commit on its link says 410; its files, which are to be removed then.

    Raises `Refusal` (`result_not_found`) for a job that does not exist or has no result.
    """
    expired = (
        update(job)
        .where(job.c.job_id == job_id, status_is(Status.DONE))
        .values(result_expires_at=func.least(job.c.result_expires_at, func.now()))
    )
    found = (await conn.execute(expired.returning(job.c.result_path, job.c.preview_path))).one_or_none()
    if found is None:
        raise Refusal(Failure.RESULT_NOT_FOUND)
    return ResultFiles(**found._mapping)  # noqa: SLF001


async def forget_paths(conn: AsyncConnection, job_id: str) -> None:
    """Once its files are gone."""
    await conn.execute(update(job).where(job.c.job_id == job_id).values(result_path=None, preview_path=None))
