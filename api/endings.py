"""How a photo that was taken in ends: with the request that waits for it, or without one."""

import asyncio
import time
from contextlib import suppress

import structlog

from api.waiting import Waiting
from photochanger import job_state, jobs
from photochanger.db import UNAVAILABLE, Database
from photochanger.errors import Failure, Refusal
from photochanger.job_state import JobState
from photochanger.jobs import FINAL, Status
from photochanger.media import Media

log = structlog.get_logger()

DATABASE_RETRY_SECONDS = 1.0


async def ending(db: Database, waiting: Waiting, job_id: str, *, deadline: float, joined: bool = False) -> JobState:
    """The job in its final state, at the latest a moment after the deadline (by `time.monotonic`), which closes it.

    `joined`: it belongs to another request, whose deadline is later. Raises `Refusal` without a final state.
    """
    state = await waiting.wait(job_id, seconds=deadline - time.monotonic())
    while state is None:
        try:
            async with db.at_once() as conn:
                await jobs.expire(conn, job_id)
                found = await job_state.get(conn, job_id)
        except UNAVAILABLE as error:
            raise Refusal(Failure.DATABASE_UNAVAILABLE, job_id=job_id, retry_after_seconds=2) from error
        if found is None:
            raise Refusal(Failure.INTERNAL_ERROR, job_id=job_id)
        if found.status in FINAL:
            return found
        if joined:
            raise Refusal(Failure.TIMEOUT, job_id=job_id)  # the job has a later deadline than this request
        # The database's clock decides. It may see the deadline some milliseconds later than this process does.
        await asyncio.sleep(0.02)
    return state


def discard_photo(media: Media, state: JobState) -> None:
    """Nobody needs the photo of a job any more that ended without a result: its runner may never have had it."""
    if state.status is not Status.DONE:
        media.discard(f"ingest/{state.job_id}")


class Unattended:
    """Jobs of this process that no request waits for: each is closed at its deadline all the same.

    Else it would count among its slot's photos in work until the cleanup comes by. When the process ends before, the
    cleanup does it.
    """

    def __init__(self, db: Database, media: Media, waiting: Waiting) -> None:
        self._db = db
        self._media = media
        self._waiting = waiting
        self._tasks: set[asyncio.Task[None]] = set()

    def watch(self, job_id: str, *, deadline: float, is_certain: bool = True) -> None:
        """See this job to its end. When it is not certain that there is one: if there is none, its photo goes."""
        task = asyncio.create_task(self._see_to_its_end(job_id, deadline, is_certain=is_certain))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Look after none any more."""
        for task in self._tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _see_to_its_end(self, job_id: str, deadline: float, *, is_certain: bool) -> None:
        while True:
            try:
                await self._end(job_id, deadline, is_certain=is_certain)
                return
            except Refusal:
                pass  # the database is away
            except OSError as error:
                log.error("file_not_removed", job=job_id, error=type(error).__name__)
                return
            await asyncio.sleep(DATABASE_RETRY_SECONDS)

    async def _end(self, job_id: str, deadline: float, *, is_certain: bool) -> None:
        try:
            discard_photo(self._media, await ending(self._db, self._waiting, job_id, deadline=deadline))
        except Refusal as refusal:
            if refusal.failure is Failure.DATABASE_UNAVAILABLE:
                raise
            if is_certain:
                log.error("job_vanished", job=job_id)
            else:
                log.info("job_never_was", job=job_id)
                self._media.discard(f"ingest/{job_id}")
