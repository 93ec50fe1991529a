"""The dashboard's figures, and in which condition a slot is."""

from dataclasses import replace
from datetime import UTC, timedelta, timezone, tzinfo
from typing import Any

import pytest
from sqlalchemy import func, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import histogram, window
from photochanger.board import Board, SlotRow, board
from photochanger.breaker import OpenCircuit
from photochanger.db import Database
from photochanger.jobs import Status
from photochanger.providers import Providers
from photochanger.slot_condition import Condition, Lack, Surroundings, condition, lacks
from photochanger.tables import hourly_figure, hourly_watermark, job
from tests import figure_rows
from tests.figure_rows import MadeJob, hour_of
from tests.queue_rows import job_in, overdue, queue

pytestmark = pytest.mark.anyio


async def seen(db: Database, *, zone: tzinfo = UTC) -> Board:
    async with db.begin() as conn:
        return await board(conn, await window.past(conn, job_retention_days=90), zone=zone)


def row_of(found: Board, slot_id: str = "slot-001") -> SlotRow:
    return next(row for row in found.slots if row.slot_id == slot_id)


async def test_without_photos_there_is_nothing_to_tell(db: Database) -> None:
    found = await seen(db)
    assert [row.slot_id for row in found.slots] == [f"slot-{number:03}" for number in range(1, 16)]
    assert (found.any_photo, found.runners_alive) == (False, 0)
    assert (found.today.photos, found.today.success, found.today.slowest_seconds) == (0, None, None)
    row = row_of(found)
    assert (row.in_work, row.waiting, row.oldest_share, row.last_photo_at, row.last_failure) == (0, 0, 0, None, None)


async def test_a_slots_photos_are_counted_by_where_they_stand(db: Database) -> None:
    for status in (Status.DONE, Status.DONE, Status.FAILED, Status.TIMEOUT, Status.RUNNING, Status.WAITING):
        await job_in(db, status)
    await queue(db)
    await queue(db, source="ui_test")
    found = await seen(db)
    row = row_of(found)
    assert (row.in_work, row.waiting) == (2, 2), "a test takes a place too"
    assert (row.done, row.failed, row.timeouts) == (2, 1, 1)
    assert row.last_photo_at is not None
    assert row.last_failure in {"no_image", "timeout"}
    assert 0 < row.oldest_share < 0.5
    assert found.any_photo
    assert found.today.photos >= 7
    assert found.today.success == pytest.approx(2 / 4)
    assert row_of(found, "slot-002").done == 0


async def test_what_happened_earlier_is_not_lately(db: Database) -> None:
    job_id, _ = await job_in(db, Status.FAILED)
    async with db.begin() as conn:
        await conn.exec_driver_sql("UPDATE job_input SET created_at = now() - interval '16 minutes'")
    assert row_of(await seen(db)).failed == 0
    assert job_id


async def test_today_is_made_of_closed_hours_and_of_what_came_since(db: Database) -> None:
    now = await figure_rows.now(db)
    zone = timezone(timedelta(hours=12 - now.hour))  # where it is noon
    midnight = hour_of(now) - timedelta(hours=12)
    await job_in(db, Status.DONE)
    counts = [0] * histogram.BUCKETS
    counts[8] = 9
    async with db.begin() as conn:
        figures = {"jobs": 10, "done": 9, "timeouts": 1, "failed": 0, "provider_errors": 0, "seconds_histogram": counts}
        for hour in (midnight, midnight - timedelta(hours=1)):
            key = {"hour": hour, "slot_id": "slot-001", "source": "ingest", "provider": "gemini"}
            await conn.execute(insert(hourly_figure).values(**key, **figures))
        await _rolled_until(conn, hour_of(now))
    today = (await seen(db, zone=zone)).today
    assert today.photos == 11, "yesterday's hour does not count"
    assert today.success == pytest.approx(10 / 11)
    assert today.slowest_seconds is not None
    assert 6 <= today.slowest_seconds <= 8


async def test_a_day_that_begins_in_the_middle_of_an_hour_is_counted_from_then(db: Database) -> None:
    now = await figure_rows.now(db)
    zone = timezone(timedelta(hours=12 - now.hour, minutes=30))
    midnight = hour_of(now) - timedelta(hours=12, minutes=30)
    minutes = (-40, -1, 1, 20, 35, 50, 95)
    made = [MadeJob(created_at=midnight + timedelta(minutes=minute)) for minute in minutes]
    await figure_rows.write(db, made)
    assert (await seen(db, zone=zone)).today.photos == 5
    await figure_rows.roll(db, made, until=hour_of(now))
    assert (await seen(db, zone=zone)).today.photos == 5


async def test_a_slots_last_failure_is_that_of_its_booths_and_only_while_it_is_lately(db: Database) -> None:
    now = await figure_rows.now(db)
    failed = MadeJob(created_at=now - timedelta(minutes=5), status="failed", reason="quota", seconds=3.0)
    earlier = replace(failed, created_at=now - timedelta(minutes=9), reason="network")
    test_run = replace(failed, created_at=now - timedelta(minutes=1), reason="no_image", source="ui_test")
    long_ago = replace(failed, created_at=now - timedelta(minutes=20), slot_id="slot-002")
    await figure_rows.write(db, [earlier, failed, test_run, long_ago])
    found = await seen(db)
    assert (row_of(found).failed, row_of(found).last_failure) == (2, "quota")
    assert (row_of(found, "slot-002").failed, row_of(found, "slot-002").last_failure) == (0, None)


async def test_a_test_run_is_no_photo_of_the_slot(db: Database) -> None:
    now = await figure_rows.now(db)
    await figure_rows.write(db, [MadeJob(created_at=now - timedelta(minutes=1), source="ui_test")])
    found = await seen(db)
    assert (row_of(found).done, row_of(found).last_photo_at, found.today.photos) == (0, None, 0)


async def _rolled_until(conn: AsyncConnection, moment: Any) -> None:
    changed = await conn.execute(update(hourly_watermark).values(rolled_until=moment))
    if not changed.rowcount:
        await conn.execute(insert(hourly_watermark).values(single=True, rolled_until=moment))


async def test_the_oldest_photo_tells_how_near_its_deadline_is(db: Database) -> None:
    job_id = await queue(db)
    async with db.begin() as conn:
        moments = {"created_at": func.now() - timedelta(seconds=45), "expires_at": func.now() + timedelta(seconds=5)}
        await conn.execute(update(job).where(job.c.job_id == job_id).values(start_by=func.now(), **moments))
    assert row_of(await seen(db)).oldest_share == pytest.approx(0.9, abs=0.05)
    async with db.begin() as conn:
        await overdue(conn, job_id)
    assert row_of(await seen(db)).oldest_share >= 1


# --- conditions


def a_row(**changes: Any) -> SlotRow:
    values: dict[str, Any] = {
        "slot_id": "slot-001",
        "display_name": "One",
        "provider": "gemini",
        "operation": "image_edit",
        "settings": {"prompt": "a portrait"},
        "fallback": None,
        "is_active": True,
        "version": 1,
        "template_roles": frozenset(),
        "in_work": 0,
        "waiting": 0,
        "oldest_share": 0.0,
        "last_photo_at": None,
        "done": 0,
        "failed": 0,
        "timeouts": 0,
        "last_failure": None,
    }
    return SlotRow(**{**values, **changes})


def around(known: Providers, **changes: Any) -> Surroundings:
    return Surroundings(**{"providers": known, "keyed": {"gemini"}, "circuits": [], "places": 3, **changes})


STYLE = {"provider": "turbotext", "operation": "style_transfer", "settings": {}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Condition.ACTIVE),
        ({"in_work": 2, "done": 100, "failed": 1}, Condition.ACTIVE),
        ({"in_work": 2, "waiting": 1}, Condition.BUSY),
        ({"failed": 1}, Condition.ACTIVE),
        ({"failed": 2}, Condition.FAILING),
        ({"failed": 2, "done": 7}, Condition.ACTIVE),
        ({"failed": 2, "done": 6}, Condition.FAILING),
        ({"timeouts": 2, "done": 2}, Condition.LATE),
        ({"oldest_share": 0.81}, Condition.LATE),
        ({"failed": 2, "timeouts": 2, "waiting": 3}, Condition.FAILING),
        ({"settings": {}}, Condition.UNCONFIGURED),
        ({"provider": "nobody"}, Condition.UNCONFIGURED),
        (STYLE, Condition.UNCONFIGURED),
        ({"settings": {}, "is_active": False}, Condition.OFF),
    ],
)
def test_a_slots_condition(known_providers: Providers, changes: dict[str, Any], expected: Condition) -> None:
    assert condition(a_row(**changes), around(known_providers)) == expected


def test_what_a_slot_lacks_is_named(known_providers: Providers) -> None:
    assert lacks(a_row(), around(known_providers)) is None
    assert lacks(a_row(), around(known_providers, keyed=set())) is Lack.KEY
    assert lacks(a_row(settings={}), around(known_providers)) is Lack.SETTINGS
    keyed = around(known_providers, keyed={"turbotext"})
    assert lacks(a_row(**STYLE), keyed) is Lack.TEMPLATE
    assert lacks(a_row(**STYLE, template_roles=frozenset({"style"})), keyed) is None


def test_an_open_circuit_of_the_slots_own_model_is_a_failure(known_providers: Providers) -> None:
    model = known_providers.by_name["gemini"].default_model
    circuit = OpenCircuit(provider="gemini", model=model, failures_in_row=5)
    assert condition(a_row(), around(known_providers, circuits=[circuit])) == Condition.FAILING
    others = OpenCircuit(provider="gemini", model="gemini-3-pro-image", failures_in_row=5)
    assert condition(a_row(), around(known_providers, circuits=[others])) == Condition.ACTIVE
