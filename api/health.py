"""`/livez`: the process answers. `/healthz`: what it stands on does."""

import asyncio
import os
from collections.abc import Coroutine, Mapping
from typing import Any, Literal, TypeVar

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.observers import may_observe
from api.state import Services, services
from photochanger import vitals
from photochanger.db import UNAVAILABLE
from photochanger.errors import Refusal
from photochanger.media import FOLDERS
from photochanger.process import within
from photochanger.vitals import SEEN_SECONDS, Vitals

T = TypeVar("T")
Verdict = Literal["ok", "degraded", "failed"]
log = structlog.get_logger()

PROBE_SECONDS = 0.2
CLEANUP_SECONDS = 600.0
"""The daemon shows itself every few seconds, and after a full round: the longest of them take minutes."""
TROUBLE: tuple[type[Exception], ...] = (*UNAVAILABLE, TimeoutError, OSError, Refusal)


async def livez(_request: Request) -> JSONResponse:
    """Always `ok`: the event loop turns."""
    return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


async def healthz(request: Request) -> JSONResponse:
    """`ok`; `failed` (503): no photo gets in; `degraded` (200): anything else is wrong. Strangers get nothing more.

    Answers within a quarter of a second, whatever is wrong.
    """
    trouble, observer = await asyncio.gather(examine(services(request)), _within(may_observe(request)))
    status = verdict(trouble)
    body: dict[str, Any] = {"status": status}
    if observer:
        body["checks"] = {name: "failed" if told else "ok" for name, told in trouble.items()}
        body["trouble"] = [sentence for told in trouble.values() for sentence in told]
    return JSONResponse(body, 503 if status == "failed" else 200, headers={"Cache-Control": "no-store"})


async def examine(here: Services) -> dict[str, list[str]]:
    """By check, sentences that say what is wrong; none where all is well."""
    found, writable, room = await asyncio.gather(_within(_rows(here)), _within(_folders(here)), _within(_room(here)))
    too_little = "there is too little room for photos" if writable else "nothing is known of disk"
    return {
        "database": [] if found else ["the database does not answer"],
        "folders": [] if writable else [f"{here.settings.media_root} cannot be written, or is not the right folder"],
        "disk": [] if room else [too_little],
        **(_trouble_in_rows(here, found) if found else {name: [f"nothing is known of {name}"] for name in ROW_CHECKS}),
    }


def verdict(trouble: Mapping[str, list[str]]) -> Verdict:
    """All of it in a word."""
    if any(trouble[name] for name in VITAL):
        return "failed"
    return "degraded" if any(trouble.values()) else "ok"


VITAL = ("database", "folders", "disk")
"""Without one of them no photo gets in."""
ROW_CHECKS = ("schema", "runners", "cleanup", "providers")


def _trouble_in_rows(here: Services, found: Vitals) -> dict[str, list[str]]:
    swept = found.swept_seconds_ago()
    swept_lately = swept is not None and swept < CLEANUP_SECONDS
    circuits = [
        f"{one.provider} {one.model} is not asked after {one.failures_in_row} failures in a row"
        for one in found.circuits
        if one.is_open
    ]
    keys = [f"{key.provider} does not accept our key" for key in found.keys if not key.good]
    return {
        "schema": [] if found.migrations == here.migrations else ["the schema is another release's"],
        "runners": [] if found.runners else [f"no runner was seen for {SEEN_SECONDS:.0f} s"],
        "cleanup": [] if swept_lately else ["the cleanup daemon does not show itself"],
        "providers": circuits + keys,
    }


async def _within(probe: Coroutine[Any, Any, T]) -> T | None:
    """What it found; None when it failed or took too long."""
    try:
        return await within(PROBE_SECONDS, probe)
    except TROUBLE as error:
        log.warning("health_check_failed", error=type(error).__name__)
        return None


async def _rows(here: Services) -> Vitals:
    async with here.health_db.at_once() as conn:
        return await vitals.read(conn)


async def _folders(here: Services) -> bool:
    def writable() -> bool:
        return here.media.is_ours() and all(os.access(here.media.folder(name), os.W_OK) for name in FOLDERS)

    return await asyncio.get_running_loop().run_in_executor(here.health_thread, writable)


async def _room(here: Services) -> bool:
    await asyncio.get_running_loop().run_in_executor(here.health_thread, here.media.check_room)
    return True
