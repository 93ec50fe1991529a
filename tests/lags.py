"""How late a busy machine makes everything: for tests of times that the product promises for a machine that is not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import httpx
from sqlalchemy import select

from photochanger.db import Database
from tests.serving import Api

STEP_SECONDS = 0.02
HEALTH_SECONDS = 0.25
"""`/healthz` answers within these."""


@dataclass
class Lag:
    """The longest that a step took beyond its time."""

    seconds: float = 0.0


@asynccontextmanager
async def measured_lag(database_url: str | None = None) -> AsyncIterator[Lag]:
    """What this event loop, and a query of one row where a database is given, are late at their worst meanwhile."""
    found, loop = Lag(), asyncio.get_running_loop()

    async def watch(db: Database | None) -> None:
        while True:
            began = loop.time()
            await asyncio.sleep(STEP_SECONDS)
            if db is not None:
                async with db.at_once() as conn:
                    await conn.execute(select(1))
            found.seconds = max(found.seconds, loop.time() - began - STEP_SECONDS)

    async with AsyncExitStack() as stack:
        db = None
        if database_url is not None:
            db = await stack.enter_async_context(Database(database_url, connections=1))
        watching = asyncio.create_task(watch(db))
        try:
            yield found
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching


async def health(http: httpx.AsyncClient, api: Api) -> tuple[int, float]:
    """The status of `/healthz` and how many seconds it took: the best of some, as soon as it is good enough."""
    loop, asked = asyncio.get_running_loop(), []
    for _ in range(5):
        began = loop.time()
        status = (await http.get(f"{api.url}/healthz")).status_code
        asked.append((loop.time() - began, status))
        if asked[-1][0] < HEALTH_SECONDS:
            break
    seconds, status = min(asked)
    return status, seconds
