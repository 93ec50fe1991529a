"""`/statistics`: how a window went and what it cost. Tiles, a chart and tables; each number leads to its photos."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby

from starlette.requests import Request
from starlette.responses import Response

from api.access import administrators
from api.pages.advice import ADVICE
from api.pages.conditions import surroundings
from api.pages.language import language_of
from api.pages.rendering import is_part, page
from api.pages.statistics_chart import columns, point_lines, tells_apart
from api.pages.statistics_query import WINDOWS, Asked
from api.pages.statistics_slots import in_order, lines
from api.state import services
from photochanger import app_settings, board, budgets, daily_limits, day_sums, overview, stats, window
from photochanger.providers import Providers
from photochanger.stats import ProviderSums

ABOUT_MINUTES = 5
"""A forecast is told no closer than this."""


@dataclass(frozen=True, kw_only=True)
class ProviderLine:
    """One provider and its models, the busiest first."""

    title: str
    models: list[ProviderSums]

    @property
    def attempts(self) -> int:
        """Of all its models."""
        return sum(one.attempts.attempts for one in self.models)

    @property
    def failed(self) -> int:
        """Of all its models."""
        return sum(one.attempts.failed for one in self.models)

    @property
    def cost_usd(self) -> Decimal:
        """Of all its models."""
        return sum((one.attempts.cost_usd for one in self.models), Decimal())


@administrators
async def statistics_page(request: Request) -> Response:
    """The page, or the part of it that changes."""
    here = services(request)
    async with here.db.begin() as conn:
        known = await window.past(conn, job_retention_days=here.settings.job_retention_days)
        asked = Asked.of(request, now=known.now)
        its = await window.since_moment(conn, known, start=asked.start(known.now), zone=asked.zone)
        found = await stats.of_window(conn, its, slot_id=asked.slot_id)
        standing = await overview.standing_of(conn, known, {}, rolled_totals=here.rolled_totals)
        storage = await overview.storage(conn)
        settings = await app_settings.load(conn, result_ttl_hours=here.settings.result_ttl_hours)
        around, rows = await surroundings(conn, here, settings), await board.slot_rows(conn)
        spent = await budgets.all_budgets(conn, here.providers)
        limits = await daily_limits.all_limits(conn, here.providers)
    slots = in_order(lines(found.slots, standing.slots, rows, around), asked.sort)
    return page(
        request,
        "statistics_part.html" if is_part(request) else "statistics.html",
        now=known.now,
        asked=asked,
        stats=found,
        its=its.span,
        all_in_log=its.span.start >= known.rows_since,
        days_in_log=here.settings.job_retention_days,
        slot=slots[0] if asked.slot_id else None,
        slots=slots,
        windows=WINDOWS,
        columns=columns(found),
        points=point_lines(found, asked) if asked.table else None,
        days=day_sums.of_statistics(found, zone=asked.zone),
        weeks=its.step == window.WEEK,
        days_in_points=tells_apart(found),
        bad=found.total.jobs.timeouts + found.total.jobs.failed,
        advice={failure.code: sentence for failure, sentence in ADVICE.items()},
        providers=_by_provider(found.providers, here.providers),
        titles={name: provider.title for name, provider in here.providers.by_name.items()},
        budgets=spent,
        limits=limits,
        about=_about,
        jobs_total=standing.jobs_total,
        storage=storage,
        export=asked.export(its.span, comma=language_of(request) == "ru"),
    )


def _by_provider(found: Iterable[ProviderSums], known: Providers) -> list[ProviderLine]:
    """The busiest first."""
    grouped = groupby(sorted(found, key=lambda one: one.provider), key=lambda one: one.provider)
    made = [
        ProviderLine(title=known.by_name[name].title if name in known.by_name else name, models=list(models))
        for name, models in grouped
    ]
    return sorted(made, key=lambda line: -line.attempts)


def _about(moment: datetime) -> datetime:
    """The last round time before it."""
    return moment - timedelta(minutes=moment.minute % ABOUT_MINUTES, seconds=moment.second)
