"""A wait for jobs that ticks often."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from api.waiting import Waiting
from photochanger.db import Database

TICK_SECONDS = 0.1


@asynccontextmanager
async def ticking(db: Database, *, tick_seconds: float = TICK_SECONDS) -> AsyncIterator[Waiting]:
    waiting = Waiting(db, tick_seconds=tick_seconds)
    task = asyncio.create_task(waiting.run())
    try:
        yield waiting
    finally:
        assert not task.done()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
