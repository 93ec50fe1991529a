"""The statistics' series: as a chart's columns, and as a table for whoever does not see a chart."""

import json
from dataclasses import dataclass

from api.pages.statistics_query import Asked
from photochanger import day_sums
from photochanger.stats import Statistics, Sums
from photochanger.window import Span


@dataclass(frozen=True, kw_only=True)
class PointLine:
    """One point of the series."""

    span: Span
    partial: bool
    """It began before the window, or has not ended yet."""
    sums: Sums
    photos: str | None
    """The address of its photos in the log; None where the log would count others."""


def columns(found: Statistics) -> str:
    """The chart's columns as JSON; moments in seconds. `until` is where the last point would end by itself."""
    points = found.series
    jobs = [point.sums.jobs for point in points]
    return json.dumps(
        {
            "at": [int(point.at.timestamp()) for point in points],
            "until": int((points[-1].at + found.window.step).timestamp()),
            "done": [one.done for one in jobs],
            "late": [one.timeouts for one in jobs],
            "failed": [one.failed for one in jobs],
            "half": [_short(one.p50_seconds) for one in jobs],
            "slow": [_short(one.p95_seconds) for one in jobs],
        },
        separators=(",", ":"),
    )


def _short(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def point_lines(found: Statistics, asked: Asked) -> list[PointLine]:
    """Those with a photo; the latest first."""
    whole, told = found.window.span, tells_apart(found)
    return [
        PointLine(
            span=span,
            partial=point.at < whole.start or point.at + found.window.step > whole.until,
            sums=point.sums,
            photos=asked.photos(span) if told else None,
        )
        for span, point in reversed(list(day_sums.spans(found)))
        if point.sums.jobs.jobs
    ]


def tells_apart(found: Statistics) -> bool:
    """Whether each point's photos are exactly those that came in its time.

    Rolled hours are whole ones of UTC: where a zone's clock stands half an hour beside it, an hour belongs to the point
    in which it began.
    """
    return found.window.exact or all(edge.minute == 0 for edge in found.window.edges)
