"""Every slot at a glance."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, insert, text, update
from sqlalchemy.dialects import postgresql

from photochanger import overview, window
from photochanger.db import Database
from photochanger.jobs import Status
from photochanger.overview import Overview, RolledTotals, SlotOverview
from photochanger.tables import job, runner, storage_figure
from tests import figure_rows
from tests.figure_rows import MadeJob, count, hour_of
from tests.queue_rows import job_in, queue

pytestmark = pytest.mark.anyio


async def look(db: Database, *, minutes: int = 60, totals: RolledTotals | None = None) -> Overview:
    async with db.begin() as conn:
        known = await window.past(conn, job_retention_days=90)
        its = await window.whole(conn, known, minutes=minutes)
        return await overview.of_window(conn, known, its, rolled_totals=totals or RolledTotals())


async def slot_of(db: Database, slot_id: str) -> SlotOverview:
    return next(one for one in (await look(db)).slots if one.slot_id == slot_id)


async def test_every_slot_has_its_figures_of_the_window(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    now = await figure_rows.now(db)
    made = figure_rows.many(300, start=now - timedelta(days=2), until=now)
    await figure_rows.write(db, made)
    await figure_rows.roll(db, made, until=hour_of(now) - timedelta(hours=1))
    booths = [one for one in made if one.source == "ingest"]
    for most in (20_000, 0):
        monkeypatch.setattr(window, "MOST_JOBS_BY_ROW", most)
        for minutes in (60, 24 * 60):
            found = await look(db, minutes=minutes)
            inside = [one for one in booths if one.created_at >= found.window.span.start]
            assert [one.slot_id for one in found.slots] == [f"slot-{number:03d}" for number in range(1, 16)]
            for one in found.slots:
                its = [made_job for made_job in inside if made_job.slot_id == one.slot_id]
                assert one.jobs.jobs == len(its)
                assert (one.jobs.done, one.jobs.timeouts) == (count(its, "done"), count(its, "timeout"))
            assert found.jobs.jobs == len(inside)
            tests = [one for one in made if one.source == "ui_test" and one.created_at >= found.window.span.start]
            assert found.test_runs.jobs == len(tests)


async def test_all_jobs_ever_are_the_rolled_ones_and_those_since(db: Database) -> None:
    now = await figure_rows.now(db)
    made = figure_rows.many(200, start=now - timedelta(days=5), until=now)
    booths, totals = sum(one.source == "ingest" for one in made), RolledTotals()
    await figure_rows.write(db, made)
    assert (await look(db, totals=totals)).jobs_total == booths
    rolled_until = hour_of(now) - timedelta(hours=1)
    await figure_rows.roll(db, made, until=rolled_until)
    assert (await look(db, totals=totals)).jobs_total == booths
    await figure_rows.forget_rows(db, before=rolled_until)
    assert (await look(db, totals=totals)).jobs_total == booths
    assert (await look(db)).jobs_total == booths


def minutes_ago(now: datetime, minutes: float) -> datetime:
    return now - timedelta(minutes=minutes)


async def test_a_slots_last_success_and_last_failure_are_its_own_newest(db: Database) -> None:
    now = await figure_rows.now(db)
    newest = MadeJob(created_at=minutes_ago(now, 5), seconds=7.0)
    refused = MadeJob(created_at=minutes_ago(now, 9), status="failed", reason="content_blocked", seconds=3.0)
    await figure_rows.write(
        db,
        [
            newest,
            replace(newest, created_at=minutes_ago(now, 30)),
            replace(newest, created_at=minutes_ago(now, 1), source="ui_test"),
            replace(newest, created_at=minutes_ago(now, 1), slot_id="slot-002"),
            refused,
            replace(refused, created_at=minutes_ago(now, 40), reason="quota"),
            replace(refused, created_at=minutes_ago(now, 2), reason="network", source="ui_test"),
            replace(refused, created_at=minutes_ago(now, 2), reason="network", slot_id="slot-003"),
        ],
    )
    one = await slot_of(db, "slot-001")
    assert one.last_success_at == newest.created_at + timedelta(seconds=7)
    assert (one.last_error_at, one.last_error_reason) == (refused.created_at + timedelta(seconds=3), "content_blocked")
    two = await slot_of(db, "slot-002")
    assert (two.last_success_at is not None, two.last_error_at, two.last_error_reason) == (True, None, None)
    three = await slot_of(db, "slot-003")
    assert (three.last_success_at, three.last_error_reason) == (None, "network")


async def test_a_slot_that_never_fails_does_not_read_the_failures_of_others(db: Database) -> None:
    copies = text(
        "INSERT INTO job (job_id, source, slot_id, provider, status, created_at, expires_at, start_by, run_after,"
        " finished_at, failure_reason) SELECT gen_random_uuid(), source, slot_id, provider, status,"
        " created_at - number * interval '1 minute', expires_at, start_by, run_after, finished_at, failure_reason"
        " FROM job, generate_series(1, 5000) AS number"
    )
    now = await figure_rows.now(db)
    await figure_rows.write(db, [MadeJob(created_at=now, slot_id="slot-002", status="failed", reason="quota")])
    async with db.begin() as conn:
        await conn.execute(copies)
        await conn.execute(text("ANALYZE job"))
        asked = overview._SLOTS.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})  # type: ignore[no-untyped-call]
        plan = "\n".join((await conn.execute(text(f"EXPLAIN {asked}"))).scalars())
    assert "using job_failed_last" in plan
    assert "Seq Scan on job" not in plan
    assert "job_failed on job" not in plan


async def test_the_last_success_is_known_to_the_hour_when_its_result_is_not_kept_any_more(db: Database) -> None:
    now = await figure_rows.now(db)
    long_ago = MadeJob(created_at=hour_of(now) - timedelta(days=10, minutes=-17))
    await figure_rows.write(db, [long_ago])
    await figure_rows.roll(db, [long_ago], until=hour_of(now))
    assert (await slot_of(db, "slot-001")).last_success_at == hour_of(now) - timedelta(days=10)
    await figure_rows.forget_rows(db, before=now)
    assert (await slot_of(db, "slot-001")).last_success_at == hour_of(now) - timedelta(days=10)
    await figure_rows.write(db, [MadeJob(created_at=minutes_ago(now, 3))])
    assert (await slot_of(db, "slot-001")).last_success_at == minutes_ago(now, 3) + timedelta(seconds=20)


async def test_what_waits_and_what_is_worked_on_now_is_told_by_slot(db: Database) -> None:
    for status in (Status.RUNNING, Status.WAITING, Status.DONE, Status.FAILED, Status.TIMEOUT):
        await job_in(db, status)
    await queue(db)
    await queue(db, slot_id="slot-004")
    await queue(db, slot_id="slot-004", source="ui_test")
    one, four = await slot_of(db, "slot-001"), await slot_of(db, "slot-004")
    assert (one.queued_now, one.in_work_now, one.jobs.in_work) == (1, 2, 3)
    assert (four.queued_now, four.in_work_now, four.jobs.in_work) == (1, 0, 1)


async def test_storage_and_runners_are_those_that_are_known(db: Database) -> None:
    empty = await look(db)
    assert (empty.storage.media_bytes, empty.storage.disk_free_bytes, empty.runners_alive) == (None, None, 0)
    async with db.begin() as conn:
        sizes = {
            "ingest": 1,
            "results": 20,
            "previews": 300,
            "database": 4_000,
            "disk_total": 50_000,
            "disk_free": 6_000,
        }
        rows = [{"name": name, "bytes": size} for name, size in sizes.items()]
        await conn.execute(insert(storage_figure).values(measured_at=func.now()), rows)
        for name, seconds in (("alive", 5), ("dead", -1)):
            until = func.now() + timedelta(seconds=seconds)
            values = {"runner": name, "host": "h", "pid": 1, "started_at": func.now(), "lease_until": until}
            await conn.execute(insert(runner).values(values))
    found = await look(db)
    assert (found.storage.media_bytes, found.storage.disk_total_bytes, found.storage.disk_free_bytes) == (
        321,
        50_000,
        6_000,
    )
    assert found.storage.measured_at is not None
    assert found.runners_alive == 1


async def test_a_result_that_was_taken_away_does_not_hide_an_older_one(db: Database) -> None:
    now = await figure_rows.now(db)
    await figure_rows.write(db, [MadeJob(created_at=minutes_ago(now, 30)), MadeJob(created_at=minutes_ago(now, 90))])
    async with db.begin() as conn:
        gone = update(job).where(job.c.created_at > minutes_ago(now, 60))
        await conn.execute(gone.values(result_path=None, preview_path=None))
    assert (await slot_of(db, "slot-001")).last_success_at == minutes_ago(now, 90) + timedelta(seconds=20)
