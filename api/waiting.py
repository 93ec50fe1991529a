"""The wait for jobs: one query a tick for all waiting requests of this process, whether 1 or 500.

No connection is held between ticks. A database that is away for a while is waited for: the jobs go on without us.
"""

import asyncio
from collections import defaultdict
from contextlib import suppress

import structlog

from photochanger import job_state, metrics
from photochanger.db import UNAVAILABLE, Database
from photochanger.job_state import JobState

log = structlog.get_logger()


class Waiting:
    """All requests of this process that wait for a job."""

    def __init__(self, db: Database, *, tick_seconds: float) -> None:
        self._db = db
        self._tick_seconds = tick_seconds
        self._waiting: dict[str, set[asyncio.Future[JobState]]] = defaultdict(set)

    def __len__(self) -> int:
        return sum(len(futures) for futures in self._waiting.values())

    async def wait(self, job_id: str, *, seconds: float) -> JobState | None:
        """The job once it is final; None when it was not within these seconds."""
        future: asyncio.Future[JobState] = asyncio.get_running_loop().create_future()
        self._waiting[job_id].add(future)
        metrics.IN_HAND.labels("waiting").inc()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, seconds)):
                    return await future
            return None
        finally:
            metrics.IN_HAND.labels("waiting").dec()
            self._waiting[job_id].discard(future)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    async def run(self) -> None:
        """Tick until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            metrics.look_at_pool("api", self._db)
            if self._waiting:
                try:
                    await self._tick()
                    metrics.TICKS.labels("ok").inc()
                except UNAVAILABLE as error:
                    metrics.TICKS.labels("failed").inc()
                    log.warning("job_poll_failed", error=type(error).__name__, waiting=len(self))
            await asyncio.sleep(max(0.05, self._tick_seconds - (loop.time() - started)))

    async def _tick(self) -> None:
        async with self._db.at_once() as conn:
            final = await job_state.poll(conn, list(self._waiting))
        for job_id, state in final.items():
            for future in self._waiting.get(job_id, ()):
                if not future.done():
                    future.set_result(state)
