"""`/livez`: the process answers. `/healthz`: what it stands on does."""

import asyncio
from collections.abc import Awaitable

import structlog
from sqlalchemy import func, select
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.state import Services, services
from photochanger.db import UNAVAILABLE
from photochanger.errors import Refusal
from photochanger.tables import runner

log = structlog.get_logger()

PROBE_SECONDS = 0.2
TROUBLE: tuple[type[Exception], ...] = (*UNAVAILABLE, TimeoutError, OSError, Refusal)


async def livez(_request: Request) -> JSONResponse:
    """Always `ok`: the event loop turns."""
    return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


async def healthz(request: Request) -> JSONResponse:
    """`ok`; `degraded` (200) when photos are taken in but nobody changes them; `failed` (503) when none can be.

    Answers within a quarter of a second, whatever is wrong.
    """
    here = services(request)
    database, folders, runners = await asyncio.gather(
        _within(_database(here)), _within(_folders(here)), _within(_runners(here))
    )
    checks = {"database": database, "folders": folders, "runners": runners}
    failed = "failed" in (database, folders)
    status = "failed" if failed else "ok" if runners == "ok" else "degraded"
    return JSONResponse(
        {"status": status, "checks": checks}, 503 if failed else 200, headers={"Cache-Control": "no-store"}
    )


async def _within(check: Awaitable[bool]) -> str:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return "ok" if await check else "failed"
    except TROUBLE as error:
        log.warning("health_check_failed", error=type(error).__name__)
        return "failed"


async def _database(here: Services) -> bool:
    async with here.db.at_once() as conn:
        return bool((await conn.execute(select(1))).scalar_one())


async def _folders(here: Services) -> bool:
    await asyncio.to_thread(here.media.check_room)
    return True


async def _runners(here: Services) -> bool:
    alive = select(func.count()).where(runner.c.lease_until > func.now())
    async with here.db.at_once() as conn:
        return int((await conn.execute(alive)).scalar_one()) > 0
