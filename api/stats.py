"""`GET /api/stats/overview`, `/api/stats/global`, `/api/stats/{slot_id}`: how an event goes, and what it costs."""

from starlette.requests import Request
from starlette.responses import JSONResponse

from api import stats_bodies
from api.access import administrators
from api.state import services
from api.stats_parameters import asked
from photochanger import budgets, daily_limits, recent_results, stats, window
from photochanger import overview as overviews
from photochanger.errors import Failure, Refusal
from photochanger.slots import SLOT_ID

HEADERS = {"Cache-Control": "no-store"}


@administrators
async def overview(request: Request) -> JSONResponse:
    """Every slot and the whole, for the last `window_minutes`."""
    here, wanted = services(request), asked(request)
    async with here.db.begin() as conn:
        known = await window.past(conn, job_retention_days=here.settings.job_retention_days)
        its = await window.whole(conn, known, minutes=wanted.minutes)
        found = await overviews.of_window(conn, known, its, rolled_totals=here.rolled_totals)
        spent = await budgets.all_budgets(conn, here.providers)
    return JSONResponse(stats_bodies.overview_body(found, spent, minutes=wanted.minutes), headers=HEADERS)


@administrators
async def global_stats(request: Request) -> JSONResponse:
    """All slots' statistics of a window, with budgets, the day's limits and storage."""
    here, wanted = services(request), asked(request)
    async with here.db.begin() as conn:
        known = await window.past(conn, job_retention_days=here.settings.job_retention_days)
        its = await window.last_minutes(conn, known, minutes=wanted.minutes, zone=wanted.zone)
        found = await stats.of_window(conn, its)
        spent = await budgets.all_budgets(conn, here.providers)
        limits = await daily_limits.all_limits(conn, here.providers)
        storage = await overviews.storage(conn)
    body = stats_bodies.global_body(found, spent, limits, storage, minutes=wanted.minutes, zone=wanted.zone.key)
    return JSONResponse(body, headers=HEADERS)


@administrators
async def slot_stats(request: Request) -> JSONResponse:
    """One slot's statistics of a window, and its last results. 404 for an unknown slot."""
    here, wanted = services(request), asked(request)
    slot_id = request.path_params["slot_id"]
    if not SLOT_ID.fullmatch(slot_id):
        raise Refusal(Failure.SLOT_NOT_FOUND)
    async with here.db.begin() as conn:
        known = await window.past(conn, job_retention_days=here.settings.job_retention_days)
        its = await window.last_minutes(conn, known, minutes=wanted.minutes, zone=wanted.zone)
        found = await stats.of_window(conn, its, slot_id=slot_id)
        results = await recent_results.of_slot(conn, slot_id)
    if not found.slots:
        raise Refusal(Failure.SLOT_NOT_FOUND)
    body = stats_bodies.slot_body(request, found, results, minutes=wanted.minutes, zone=wanted.zone.key)
    return JSONResponse(body, headers=HEADERS)
