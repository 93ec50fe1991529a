"""`/jobs`: the log of photos, the newest first, with its filters in the address."""

from urllib.parse import urlencode

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import administrators
from api.pages import log_filters
from api.pages.advice import FOR_JOBS
from api.pages.log_filters import Filters
from api.pages.looks import STATES
from api.pages.rendering import is_part, page
from api.state import services
from photochanger import job_log, slots
from photochanger.db import moment_now
from photochanger.errors import Failure, Refusal
from photochanger.job_log import LoggedJob, Place

PAGE_SIZE = 50
MOST_COUNTED = 99


@administrators
async def log_page(request: Request) -> Response:
    """The newest photos that the filters choose. `?older=` and `?newer=` name the place where another page ended."""
    filters = log_filters.read(request)
    older_than, newer_than = _place(request, "older"), _place(request, "newer")
    async with services(request).db.begin() as conn:
        found, newer, older = await _found(conn, filters, older_than=older_than, newer_than=newer_than)
        names = [(one.slot_id, one.display_name) for one in await slots.all_slots(conn)]
        further_down = older_than is not None or newer_than is not None
        newest = await _newest(conn, filters) if further_down else None
        now = await moment_now(conn)
    if newer_than is not None and newer is None:
        # The beginning of the log: its page is the one that grows.
        return RedirectResponse(_address(filters), 303, headers={"Cache-Control": "no-store"})
    by_the_form = request.headers.get("hx-trigger") == "filter"
    return page(
        request,
        "log_part.html" if is_part(request) else "log.html",
        now=now,
        headers={"HX-Replace-Url": _address(filters)} if by_the_form else None,
        jobs=found,
        states=STATES,
        slots=names,
        filters=filters,
        quick=log_filters.quick(filters, now=now),
        since=log_filters.shown_moment(filters, "from", request),
        until=log_filters.shown_moment(filters, "to", request),
        first=not further_down,
        newest=newest.cursor() if newest is not None else "",
        newer=_address(filters, newer=newer.cursor()) if newer else None,
        older=_address(filters, older=older.cursor()) if older else None,
        reasons=[failure.code for failure in FOR_JOBS],
        providers=services(request).providers.by_name,
    )


@administrators
async def newer_photos(request: Request) -> Response:
    """`GET /console/jobs/newer`: for a page further down, how many have come since it was opened."""
    filters, newest = log_filters.read(request), _place(request, "newest")
    count = 0
    if newest is not None and filters.mistake is None:
        async with services(request).db.begin() as conn:
            count = await job_log.count_newer(conn, filters.wanted, place=newest, most=MOST_COUNTED + 1)
    return page(
        request,
        "log_newer.html",
        count=min(count, MOST_COUNTED),
        more=count > MOST_COUNTED,
        filters=filters,
        newest=request.query_params.get("newest", ""),
        first_page=_address(filters),
    )


def _place(request: Request, name: str) -> Place | None:
    """Raises `Refusal` (`not_found`) for a place that no page of ours names."""
    cursor = request.query_params.get(name)
    try:
        return Place.of_cursor(cursor) if cursor else None
    except ValueError:
        raise Refusal(Failure.NOT_FOUND) from None


async def _found(
    conn: AsyncConnection, filters: Filters, *, older_than: Place | None, newer_than: Place | None
) -> tuple[list[LoggedJob], Place | None, Place | None]:
    """The page's photos, and where the pages of newer and of older ones begin, if there are such."""
    if filters.mistake is not None:
        return [], None, None
    if newer_than is not None:
        found, newer = await job_log.page_before(conn, filters.wanted, limit=PAGE_SIZE, place=newer_than)
        return found, newer, found[-1].place if found else None
    found, older = await job_log.page(conn, filters.wanted, limit=PAGE_SIZE, beyond=older_than)
    return found, found[0].place if found and older_than is not None else None, older


async def _newest(conn: AsyncConnection, filters: Filters) -> Place | None:
    found, _ = await job_log.page(conn, filters.wanted, limit=1) if filters.mistake is None else ([], None)
    return found[0].place if found else None


def _address(filters: Filters, **more: str) -> str:
    query = "&".join(part for part in (filters.query, urlencode(more)) if part)
    return f"/jobs?{query}" if query else "/jobs"
