"""`/livez`: the process answers. `/healthz`: what it stands on does."""

import asyncio
from collections.abc import Awaitable

import structlog
from sqlalchemy import func, select
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.state import Services, services
from photochanger import breaker
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
    """`ok`; `degraded` (200): no runner lives, or a provider's circuit is open; `failed` (503): no photo gets in.

    Answers within a quarter of a second, whatever is wrong.
    """
    here = services(request)
    names = ("database", "folders", "runners", "providers")
    probes = (_database(here), _folders(here), _runners(here), _providers(here))
    checks = dict(zip(names, await asyncio.gather(*map(_within, probes)), strict=True))
    failed = "failed" in (checks["database"], checks["folders"])
    status = "failed" if failed else "degraded" if "failed" in checks.values() else "ok"
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


async def _providers(here: Services) -> bool:
    async with here.db.at_once() as conn:
        open_now = await breaker.open_circuits(conn)
    for circuit in open_now:
        log.warning("circuit_open", provider=circuit.provider, model=circuit.model, failures=circuit.failures_in_row)
    return not open_now
