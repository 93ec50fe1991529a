"""`/livez`: the process answers. `/healthz`: what it stands on does."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Literal, TypeVar

import structlog
from sqlalchemy import func, select
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.state import Services, services
from photochanger import breaker
from photochanger.db import UNAVAILABLE
from photochanger.errors import Refusal
from photochanger.tables import runner

T = TypeVar("T")
Verdict = Literal["ok", "degraded", "failed"]
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
    checks = await examine(services(request))
    status = verdict(checks)
    body = {"status": status, "checks": {name: "ok" if good else "failed" for name, good in checks.items()}}
    return JSONResponse(body, 503 if status == "failed" else 200, headers={"Cache-Control": "no-store"})


async def examine(here: Services) -> dict[str, bool]:
    """What is in order: `database`, `folders`, `runners`, `providers`."""
    rows, folders = await asyncio.gather(_within(_rows(here)), _within(_folders(here)))
    return {
        "database": rows is not None,
        "folders": folders is not None,
        "runners": rows is not None and rows[0] > 0,
        "providers": rows is not None and not rows[1],
    }


def verdict(checks: Mapping[str, bool]) -> Verdict:
    """All of it in a word."""
    if not (checks["database"] and checks["folders"]):
        return "failed"
    return "ok" if all(checks.values()) else "degraded"


async def _within(probe: Awaitable[T]) -> T | None:
    """What it found; None when it failed or took too long."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await probe
    except TROUBLE as error:
        log.warning("health_check_failed", error=type(error).__name__)
        return None


async def _rows(here: Services) -> tuple[int, list[breaker.OpenCircuit]]:
    """How many runners live, and which circuits are open."""
    alive = select(func.count()).where(runner.c.lease_until > func.now())
    async with here.health_db.at_once() as conn:
        return (await conn.execute(alive)).scalar_one(), await breaker.open_circuits(conn)


async def _folders(here: Services) -> bool:
    await asyncio.to_thread(here.media.check_room)
    return True
