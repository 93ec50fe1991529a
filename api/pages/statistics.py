"""`/statistics`: a window's figures, as tiles, a chart and a table; each number leads to the photos behind it."""

import json
from datetime import UTC, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from api.access import administrators
from api.pages.formats import zone_of
from api.pages.language import marked
from api.pages.rendering import is_part, page
from api.state import services
from photochanger import budgets, overview, stats, window
from photochanger.db import moment_now
from photochanger.stats import Statistics

WINDOWS = {
    15: marked("15 minutes"),
    60: marked("Hour"),
    360: marked("6 hours"),
    1440: marked("Day"),
    10080: marked("7 days"),
    43200: marked("30 days"),
}
USUAL_MINUTES = 60
LEAST_MINUTES, MOST_MINUTES = 5, 43200


@administrators
async def statistics_page(request: Request) -> Response:
    """The page, or the part of it that changes."""
    here, minutes, zone = services(request), _minutes(request), _zone(request)
    async with here.db.begin() as conn:
        known = await window.past(conn, job_retention_days=here.settings.job_retention_days)
        its = await window.last_minutes(conn, known, minutes=minutes, zone=zone)
        found = await stats.of_window(conn, its)
        glance = await overview.of_window(conn, known, its, rolled_totals=here.rolled_totals)
        spent = await budgets.all_budgets(conn, here.providers)
        now = await moment_now(conn)
    since = now - timedelta(minutes=minutes)
    return page(
        request,
        "statistics_part.html" if is_part(request) else "statistics.html",
        now=now,
        stats=found,
        glance={one.slot_id: one for one in glance.slots},
        jobs_total=glance.jobs_total,
        storage=glance.storage,
        budgets=spent,
        minutes=minutes,
        windows=WINDOWS,
        series=json.dumps(_series(found)),
        since=urlencode({"from": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}),
    )


def _series(found: Statistics) -> dict[str, list[Any]]:
    """The chart's columns; moments in seconds."""
    points = found.series
    return {
        "at": [int(point.at.timestamp()) for point in points],
        "done": [point.sums.jobs.done for point in points],
        "late": [point.sums.jobs.timeouts for point in points],
        "failed": [point.sums.jobs.failed for point in points],
        "slow": [point.sums.jobs.p95_seconds for point in points],
    }


def _minutes(request: Request) -> int:
    """What the address says, within bounds; nonsense is the usual hour."""
    text = request.query_params.get("minutes", "")
    if not text.isascii() or not text.isdigit() or len(text) > len(str(MOST_MINUTES)):
        return USUAL_MINUTES
    return min(max(int(text), LEAST_MINUTES), MOST_MINUTES)


def _zone(request: Request) -> ZoneInfo:
    zone = zone_of(request)
    return zone if isinstance(zone, ZoneInfo) else ZoneInfo("UTC")
