"""Storage for administrators: what it takes, and purges of what has expired or is orphaned.

Nothing is counted or removed in a request: the cleanup daemon keeps the figures, and takes up a purge within seconds.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from api.access import administrators, session_of
from api.bodies import moment
from api.request_log import note
from api.state import services
from photochanger import audit, purges, slots, storage_figures
from photochanger.errors import Failure, Refusal
from photochanger.purges import Purge

NO_STORE = {"Cache-Control": "no-store"}


@administrators
async def cache(request: Request) -> JSONResponse:
    """The daemon's figures by kind, the purge that was done last, and those that wait."""
    async with services(request).db.begin() as conn:
        figures = await storage_figures.latest(conn)
        last = await purges.last_finished(conn)
        waiting = await purges.waiting(conn)
    storage = {
        figure.name: {"files": figure.files, "bytes": figure.bytes, "measured_at": moment(figure.measured_at)}
        for figure in figures
    }
    body = {
        "storage": storage,
        "last_purge": None if last is None else _purge(last),
        "waiting_purges": [_purge(purge) for purge in waiting],
    }
    return JSONResponse(body, headers=NO_STORE)


@administrators
async def purge_cache(request: Request) -> JSONResponse:
    """202: a purge of all slots is asked for."""
    return await _ask(request, slot_id=None)


@administrators
async def clean_slot(request: Request) -> JSONResponse:
    """202: a purge of this slot's results is asked for."""
    slot_id = request.path_params["slot_id"]
    async with services(request).db.at_once() as conn:
        if await slots.get(conn, slot_id) is None:
            raise Refusal(Failure.SLOT_NOT_FOUND)
    note(request, slot=slot_id)
    return await _ask(request, slot_id=slot_id)


async def _ask(request: Request, *, slot_id: str | None) -> JSONResponse:
    account = session_of(request).account
    async with services(request).db.begin() as conn:
        purge = await purges.get(conn, await purges.request(conn, slot_id=slot_id, by=account))
        await audit.record(conn, "purge_requested", actor=account, purge=purge.purge_id, slot=slot_id)
    note(request, purge=purge.purge_id)
    body = {"purge_id": purge.purge_id, "requested_at": moment(purge.requested_at)}
    return JSONResponse(body, 202, headers=NO_STORE)


def _purge(purge: Purge) -> dict[str, Any]:
    return {
        "purge_id": purge.purge_id,
        "slot_id": purge.slot_id,
        "requested_at": moment(purge.requested_at),
        "requested_by": purge.requested_by,
        "finished_at": moment(purge.finished_at),
        "files": purge.files,
        "bytes": purge.bytes,
    }
