"""Figures put together: sums, percentiles, rates, what a photo cost."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from photochanger import histogram
from photochanger.figures import AttemptFigures, Durations, JobFigures

MEDIAN = 0.5
SLOW = 0.95


@dataclass(frozen=True, kw_only=True)
class JobTally:
    """What came of some jobs."""

    jobs: int
    """All that came, those in work too."""
    done: int
    timeouts: int
    failed: int
    provider_errors: int
    """Of those that failed."""
    in_work: int
    reasons: Mapping[str, int]
    """Why jobs failed or timed out; the most frequent first."""
    p50_seconds: float | None
    """Of those done, from the photo's arrival to its result; p95 likewise."""
    p95_seconds: float | None

    @property
    def success_share(self) -> float | None:
        """Of those that have ended."""
        ended = self.done + self.timeouts + self.failed
        return self.done / ended if ended else None


@dataclass(frozen=True, kw_only=True)
class AttemptTally:
    """What came of some attempts."""

    attempts: int
    failed: int
    repeats: int | None
    """Those beyond a job's first. None where rolled hours are in it: they do not tell."""
    cost_usd: Decimal
    """As far as it is known: the failed ones' too."""
    p50_seconds: float | None
    p95_seconds: float | None


def jobs(figures: Iterable[JobFigures]) -> JobTally:
    """All of these as one."""
    parts = list(figures)
    reasons: Counter[str] = Counter()
    for part in parts:
        reasons.update(part.reasons)
    done, timeouts, failed, in_work = (
        sum(getattr(part, name) for part in parts) for name in ("done", "timeouts", "failed", "in_work")
    )
    p50, p95 = percentiles([part.durations for part in parts])
    return JobTally(
        jobs=done + timeouts + failed + in_work,
        done=done,
        timeouts=timeouts,
        failed=failed,
        provider_errors=sum(part.provider_errors for part in parts),
        in_work=in_work,
        reasons=dict(sorted(reasons.items(), key=lambda reason: (-reason[1], reason[0]))),
        p50_seconds=p50,
        p95_seconds=p95,
    )


def attempts(figures: Iterable[AttemptFigures]) -> AttemptTally:
    """All of these as one."""
    parts = list(figures)
    p50, p95 = percentiles([part.durations for part in parts])
    return AttemptTally(
        attempts=sum(part.attempts for part in parts),
        failed=sum(part.failed for part in parts),
        repeats=_all_or_none([part.repeats for part in parts]),
        cost_usd=sum((part.cost_usd for part in parts), Decimal()),
        p50_seconds=p50,
        p95_seconds=p95,
    )


def _all_or_none(counts: Sequence[int | None]) -> int | None:
    """Their sum; None where one is not known."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def percentiles(durations: Sequence[Durations]) -> tuple[float | None, float | None]:
    """The median and the 95th percentile: exact where each duration is known, else read from the histogram."""
    seconds = sorted(one for part in durations for one in part.seconds)
    if seconds:
        return _exact(seconds, MEDIAN), _exact(seconds, SLOW)
    counts = [0] * histogram.BUCKETS
    for part in durations:
        for number, count in part.counts.items():
            counts[number] += count
    return histogram.quantile(counts, MEDIAN), histogram.quantile(counts, SLOW)


def _exact(ordered: Sequence[float], share: float) -> float:
    """As PostgreSQL's percentile_cont: between the two nearest, by how near each is."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
