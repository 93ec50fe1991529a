"""How long things took, as counts per bucket: small, and addable over hours, slots and providers.

bucket 0: below 0.5 s    bucket 1: 0.5 to 1 s    …    the last: 60 s and more
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Float, cast, func, literal_column
from sqlalchemy.sql.elements import ColumnElement

EDGES = (
    *(0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0),
    *(22.5, 25.0, 27.5, 30.0, 35.0, 40.0, 45.0, 50.0, 55.0, 60.0),
)
"""Seconds. Bucket i holds what took at least EDGES[i - 1] and less than EDGES[i]."""
BUCKETS = len(EDGES) + 1
LONGEST_SECONDS = 90.0
"""Where the last bucket is taken to end."""


def bucket(seconds: ColumnElement[Any]) -> ColumnElement[int]:
    """The number of the bucket, from 0, in SQL."""
    edges: ColumnElement[Any] = literal_column(f"ARRAY[{', '.join(map(str, EDGES))}]::double precision[]")
    return func.width_bucket(cast(seconds, Float), edges)


def added(histograms: Sequence[Sequence[int]]) -> list[int]:
    """All of them as one."""
    return [sum(counts) for counts in zip(*histograms, strict=True)] if histograms else [0] * BUCKETS


def quantile(counts: Sequence[int], share: float) -> float | None:
    """The seconds that this share (0 to 1) did not exceed, read between a bucket's edges. None without counts."""
    total = sum(counts)
    if not total:
        return None
    wanted = share * total
    for number, count in enumerate(counts):
        if count and wanted <= count:
            low = EDGES[number - 1] if number else 0.0
            high = EDGES[number] if number < len(EDGES) else LONGEST_SECONDS
            return low + (high - low) * wanted / count
        wanted -= count
    return LONGEST_SECONDS
