"""What each day of a window came to, put together from the points of its series: nothing is read a second time."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from photochanger.stats import Point, Statistics
from photochanger.window import Span


@dataclass(frozen=True, kw_only=True)
class DaySums:
    """One day of a zone, or the part of it that lies in the window. Test runs are not in it."""

    span: Span
    jobs: int
    done: int
    timeouts: int
    failed: int
    cost_usd: Decimal

    @property
    def cost_per_photo_usd(self) -> Decimal | None:
        """What all attempts cost, by the photos that came out of them."""
        return self.cost_usd / self.done if self.done else None


def of_statistics(found: Statistics, *, zone: ZoneInfo) -> list[DaySums]:
    """Every day with a photo; whole weeks, named by their first days, where the window's points are weeks."""
    by_day: dict[date, list[tuple[Span, Point]]] = defaultdict(list)
    for span, point in spans(found):
        by_day[point.at.astimezone(zone).date()].append((span, point))
    days = [_day(points) for _, points in sorted(by_day.items())]
    return [day for day in days if day.jobs]


def spans(found: Statistics) -> Iterator[tuple[Span, Point]]:
    """Each point of the series with its time, as far as it lies in the window."""
    until = [*(point.at for point in found.series[1:]), found.window.span.until]
    for point, end in zip(found.series, until, strict=True):
        yield Span(max(point.at, found.window.span.start), end), point


def _day(points: list[tuple[Span, Point]]) -> DaySums:
    jobs = [point.sums.jobs for _, point in points]
    return DaySums(
        span=Span(points[0][0].start, points[-1][0].until),
        jobs=sum(one.jobs for one in jobs),
        done=sum(one.done for one in jobs),
        timeouts=sum(one.timeouts for one in jobs),
        failed=sum(one.failed for one in jobs),
        cost_usd=sum((point.sums.attempts.cost_usd for _, point in points), Decimal()),
    )
