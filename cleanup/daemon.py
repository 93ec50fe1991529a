"""The daemon's two loops: what must not wait goes every two seconds, everything else every 15 minutes, and of that the
rows that were kept for long every hour.

Each is cut off where it stands when the process is told to stop: every sweep can be.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from cleanup.media_objects import expired_media
from cleanup.open_jobs import finished_photos, overdue_jobs
from cleanup.purging import purge_waiting
from cleanup.scope import Scope
from cleanup.sweep import RETENTION, Sweep, run, sweep_all
from photochanger import media_root, metrics, sweep_runs
from photochanger.db import UNAVAILABLE
from photochanger.vitals import OVERDUE_SWEEP

log = structlog.get_logger()

EVERY_SECONDS = 900.0
RETENTION_SECONDS = 3600.0
AGAIN_SECONDS = 30.0
"""After a sweep or a purge of which something failed."""
SETTLE_AGAIN_SECONDS = 10.0
"""While MEDIA_ROOT is not the right folder."""
TICK_SECONDS = 2.0
BESIDE_ROWS: Mapping[str, Sweep] = {"finished_photos": finished_photos, "expired_media": expired_media}
"""What an end of a job leaves on disk: the photo, and the copies of it that were lent to a provider."""


class Daemon:
    """One cleanup process's work."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._settled = False
        self._settle_not_before = 0.0
        self._purge_not_before = 0.0
        self._retention_not_before = 0.0

    async def work(self, stopping: asyncio.Event) -> None:
        """Until told to stop."""
        loops = [asyncio.create_task(_forever(one)) for one in (self._tick, self._sweep)]
        told = asyncio.create_task(stopping.wait())
        try:
            done, _ = await asyncio.wait([*loops, told], return_when=asyncio.FIRST_COMPLETED)
            for one in done - {told}:
                one.result()  # a mistake of ours ends the process
        finally:
            for task in (*loops, told):
                task.cancel()
            await asyncio.gather(*loops, told, return_exceptions=True)

    async def _tick(self) -> float:
        """An overdue job has its verdict within 5 s of its deadline, a purge is done within 5 s of its request."""
        outcome = await run(OVERDUE_SWEEP, overdue_jobs, self._scope, quiet=True)
        if outcome.swept is not None:
            async with self._scope.db.at_once() as conn:
                await sweep_runs.finish(conn, {OVERDUE_SWEEP: outcome.swept.count})
        metrics.look_at_pool("cleanup", self._scope.db)
        if await self._look_at_root():
            for name, sweep in BESIDE_ROWS.items():
                await run(name, sweep, self._scope, quiet=True)
            loop = asyncio.get_running_loop()
            if loop.time() >= self._purge_not_before and not await purge_waiting(self._scope):
                self._purge_not_before = loop.time() + AGAIN_SECONDS
        return TICK_SECONDS

    async def _sweep(self) -> float:
        now = asyncio.get_running_loop().time()
        is_time = now >= self._retention_not_before
        outcomes = await sweep_all(self._scope, without=() if is_time else RETENTION)
        failed = outcomes is None or any(outcome.swept is None for outcome in outcomes)
        if is_time and not failed:
            self._retention_not_before = now + RETENTION_SECONDS
        return AGAIN_SECONDS if failed else EVERY_SECONDS

    async def _look_at_root(self) -> bool:
        """Whether MEDIA_ROOT is the right folder. When it is back, what is missing in it is made."""
        loop = asyncio.get_running_loop()
        if self._settled and await asyncio.to_thread(self._scope.media.is_ours):
            return True
        self._settled = False
        if loop.time() >= self._settle_not_before:
            self._settle_not_before = loop.time() + SETTLE_AGAIN_SECONDS
            self._settled = await media_root.settle(self._scope.db, self._scope.media)
            if self._settled:
                log.info("media_root_settled", root=str(self._scope.media.root))
        return self._settled


async def _forever(work: Callable[[], Awaitable[float]]) -> None:
    """Again and again, with the pause that each time asks for."""
    while True:
        try:
            pause_seconds = await work()
        except UNAVAILABLE as error:
            log.warning("sweep_postponed", error=type(error).__name__)
            pause_seconds = TICK_SECONDS
        await asyncio.sleep(pause_seconds)
