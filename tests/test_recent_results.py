"""A slot's last results, for whoever looks at its figures."""

from datetime import datetime, timedelta

import pytest

from photochanger import recent_results
from photochanger.db import Database
from tests import figure_rows
from tests.figure_rows import MadeJob

pytestmark = pytest.mark.anyio


async def _last(db: Database) -> list[datetime]:
    async with db.begin() as conn:
        return [one.created_at for one in await recent_results.of_slot(conn, "slot-001")]


async def test_last_results_are_the_booths_newest_that_can_be_fetched(db: Database) -> None:
    assert await _last(db) == []
    now = await figure_rows.now(db)
    kept = [MadeJob(created_at=now - timedelta(minutes=number + 1)) for number in range(12)]
    others = [
        MadeJob(created_at=now - timedelta(seconds=30), source="ui_test"),
        MadeJob(created_at=now - timedelta(seconds=30), slot_id="slot-002"),
        MadeJob(created_at=now - timedelta(seconds=50), status="failed", reason="no_image"),
        MadeJob(created_at=now - timedelta(hours=73)),
    ]
    await figure_rows.write(db, [*others, *kept])
    assert await _last(db) == [one.created_at for one in kept[:10]]
