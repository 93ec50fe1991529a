"""Durations as counts per bucket."""

import pytest
from sqlalchemy import Float, cast, literal, select

from photochanger import histogram
from photochanger.db import Database

pytestmark = pytest.mark.anyio


async def test_sql_puts_each_duration_into_its_bucket(db: Database) -> None:
    async with db.begin() as conn:
        for seconds, expected in ((0.0, 0), (0.49, 0), (0.5, 1), (59.9, histogram.BUCKETS - 2), (60, 27), (1e6, 27)):
            query = select(histogram.bucket(cast(literal(float(seconds)), Float)))
            assert (await conn.execute(query)).scalar_one() == expected
    assert histogram.BUCKETS == 28


def test_quantiles_are_read_between_the_edges() -> None:
    counts = [0] * histogram.BUCKETS
    assert histogram.quantile(counts, 0.5) is None
    counts[4] = 10  # 2 to 3 s
    assert histogram.quantile(counts, 0.5) == 2.5
    counts[11] = 10  # 9 to 10 s
    assert histogram.quantile(counts, 0.95) == pytest.approx(9.9)
    assert histogram.quantile(counts, 0.25) == 2.5
    counts[-1] = 1_000
    assert 60 < (histogram.quantile(counts, 0.99) or 0) <= histogram.LONGEST_SECONDS


def test_histograms_add_up() -> None:
    one = [1] * histogram.BUCKETS
    assert histogram.added([one, one]) == [2] * histogram.BUCKETS
    assert sum(histogram.added([])) == 0
