"""Statistics say what a plain count over the same jobs says, whether they are read from rows or from rolled hours."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from statistics import quantiles
from zoneinfo import ZoneInfo

import pytest

from photochanger import histogram, hourly, stats, window
from photochanger.db import Database
from photochanger.stats import Statistics, Sums
from tests import figure_rows
from tests.figure_rows import THEIRS, MadeAttempt, MadeJob, bucketed, count, hour_of

pytestmark = pytest.mark.anyio

UTC_ZONE = ZoneInfo("UTC")
DAY = 24 * 60


async def statistics(
    db: Database, *, minutes: int, slot_id: str | None = None, zone: ZoneInfo = UTC_ZONE, retention_days: int = 90
) -> Statistics:
    async with db.begin() as conn:
        known = await window.past(conn, job_retention_days=retention_days)
        wanted = await window.last_minutes(conn, known, minutes=minutes, zone=zone)
        return await stats.of_window(conn, wanted, slot_id=slot_id)


def in_window(made: Sequence[MadeJob], found: Statistics, *, source: str = "ingest") -> list[MadeJob]:
    span = found.window.span
    return [one for one in made if one.source == source and span.start <= one.created_at < span.until]


def same(sums: Sums, jobs: Sequence[MadeJob], *, exact: bool) -> None:
    """Each figure, counted anew."""
    told = sums.jobs
    assert told.jobs == len(jobs)
    assert (told.done, told.timeouts, told.failed) == tuple(count(jobs, s) for s in ("done", "timeout", "failed"))
    assert told.provider_errors == sum(one.reason in THEIRS for one in jobs)
    assert dict(told.reasons) == Counter(one.reason for one in jobs if one.reason)
    took = [one.seconds for one in jobs if one.status == "done" and one.seconds is not None]
    same_percentiles((told.p50_seconds, told.p95_seconds), took, exact=exact)
    same_attempts(sums, [call for one in jobs for call in one.attempts], exact=exact)
    repeats = sum(max(0, len(one.attempts) - 1) for one in jobs)
    if exact or sums.attempts.repeats is not None:
        assert (sums.attempts.repeats, sums.least_repeats) == (repeats, repeats)
    else:
        assert max(0, len([call for one in jobs for call in one.attempts]) - len(jobs)) == sums.least_repeats <= repeats


def same_attempts(sums: Sums, calls: Sequence[MadeAttempt], *, exact: bool) -> None:
    told = sums.attempts
    assert told.attempts == len(calls)
    assert told.failed == sum(call.outcome != "ok" for call in calls)
    assert told.cost_usd == sum((call.cost_usd or Decimal() for call in calls), Decimal())
    took = [call.seconds for call in calls if call.seconds is not None]
    same_percentiles((told.p50_seconds, told.p95_seconds), took, exact=exact)


def same_percentiles(told: tuple[float | None, float | None], took: list[float], *, exact: bool) -> None:
    if not took:
        assert told == (None, None)
    elif not exact:
        counts = bucketed(took)
        assert told == (histogram.quantile(counts, 0.5), histogram.quantile(counts, 0.95))
    elif len(took) == 1:
        assert told == pytest.approx((took[0], took[0]))
    else:
        cuts = quantiles(took, n=100, method="inclusive")
        assert told == pytest.approx((cuts[49], cuts[94]))


async def test_a_window_is_counted_exactly_from_the_jobs_rows(db: Database) -> None:
    now = await figure_rows.now(db)
    made = figure_rows.many(400, start=now - timedelta(days=3), until=now)
    await figure_rows.write(db, made)
    for minutes in (60, DAY, 2 * DAY):
        found = await statistics(db, minutes=minutes)
        assert found.window.exact
        same(found.total, in_window(made, found), exact=True)
        same(found.test_runs, in_window(made, found, source="ui_test"), exact=True)


async def test_rolled_hours_and_the_rows_at_both_ends_come_to_the_same(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = await figure_rows.now(db)
    made = figure_rows.many(600, start=now - timedelta(days=3), until=now)
    await figure_rows.write(db, made)
    await figure_rows.roll(db, made, until=hour_of(now) - timedelta(hours=2))
    few = await statistics(db, minutes=2 * DAY)
    monkeypatch.setattr(window, "MOST_JOBS_BY_ROW", 10)
    many = await statistics(db, minutes=2 * DAY)
    assert few.window.exact
    assert not many.window.exact
    assert len(many.window.by_row) == 2
    same(few.total, in_window(made, few), exact=True)
    same(many.total, in_window(made, many), exact=False)
    same(many.test_runs, in_window(made, many, source="ui_test"), exact=False)


async def test_the_hours_that_the_cleanup_rolls_say_the_same(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    now = await figure_rows.now(db)
    made = figure_rows.many(400, start=now - timedelta(days=2), until=now)
    await figure_rows.write(db, made)
    assert await hourly.roll_up(db) > 0
    monkeypatch.setattr(window, "MOST_JOBS_BY_ROW", 0)
    found = await statistics(db, minutes=36 * 60)
    assert not found.window.exact
    same(found.total, in_window(made, found), exact=False)
    same(found.test_runs, in_window(made, found, source="ui_test"), exact=False)
    for one in found.slots:
        same(one.sums, [its for its in in_window(made, found) if its.slot_id == one.slot_id], exact=False)


async def test_what_is_rolled_is_not_read_from_rows_again(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    now = await figure_rows.now(db)
    made = figure_rows.many(300, start=now - timedelta(days=2), until=now)
    rolled_until = hour_of(now) - timedelta(hours=3)
    await figure_rows.write(db, [one for one in made if one.created_at >= rolled_until])
    await figure_rows.roll(db, made, until=rolled_until)
    monkeypatch.setattr(window, "MOST_JOBS_BY_ROW", 0)
    found = await statistics(db, minutes=DAY)
    first = hour_of(found.window.span.start) + timedelta(hours=1)
    rolled = [one for one in in_window(made, found) if one.created_at >= first]
    assert len([one for one in rolled if one.created_at < rolled_until]) > 0
    same(found.total, rolled, exact=False)


async def test_a_window_that_began_before_the_rows_begins_with_a_whole_hour(db: Database) -> None:
    now = await figure_rows.now(db)
    made = figure_rows.many(300, start=now - timedelta(days=60), until=now)
    await figure_rows.write(db, made)
    await figure_rows.roll(db, made, until=hour_of(now))
    await figure_rows.forget_rows(db, before=now - timedelta(days=10))
    found = await statistics(db, minutes=30 * DAY, retention_days=10)
    assert timedelta() <= found.window.span.start - (now - timedelta(days=30)) < timedelta(hours=1.1)
    assert found.window.span.start == hour_of(found.window.span.start)
    same(found.total, in_window(made, found), exact=False)
    year = await statistics(db, minutes=366 * DAY, retention_days=10)
    same(year.total, in_window(made, year), exact=False)
    assert year.window.step == timedelta(days=7)


@pytest.mark.parametrize("minutes", [5, 60, DAY, 7 * DAY, 30 * DAY])
async def test_every_job_is_in_one_point_of_the_series(
    db: Database, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    now = await figure_rows.now(db)
    made = figure_rows.many(300, start=now - timedelta(minutes=minutes * 1.2), until=now, seed=minutes)
    await figure_rows.write(db, made)
    await figure_rows.roll(db, made, until=hour_of(now))
    for most in (20_000, 0):
        monkeypatch.setattr(window, "MOST_JOBS_BY_ROW", most)
        found = await statistics(db, minutes=minutes, zone=ZoneInfo("Europe/Moscow"))
        assert 1 <= len(found.series) <= window.MOST_POINTS
        begins = [point.at for point in found.series]
        assert begins == sorted(set(begins))
        assert begins[0] <= found.window.span.start < begins[0] + found.window.step
        for point, following in zip(found.series, [*begins[1:], now + timedelta(hours=1)], strict=True):
            its = [one for one in in_window(made, found) if point.at <= one.created_at < following]
            told = point.sums.jobs
            assert (told.done, told.timeouts, told.failed) == tuple(
                count(its, s) for s in ("done", "timeout", "failed")
            )
            assert point.sums.attempts.cost_usd == sum(
                (call.cost_usd or Decimal() for one in its for call in one.attempts), Decimal()
            )


async def test_one_slot_has_its_own_figures_and_they_add_up(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    now = await figure_rows.now(db)
    made = figure_rows.many(300, start=now - timedelta(days=2), until=now)
    await figure_rows.write(db, made)
    await figure_rows.roll(db, made, until=hour_of(now))
    for most in (20_000, 0):
        monkeypatch.setattr(window, "MOST_JOBS_BY_ROW", most)
        everything = await statistics(db, minutes=2 * DAY)
        assert [one.slot_id for one in everything.slots] == [f"slot-{number:03d}" for number in range(1, 16)]
        assert sum(one.sums.jobs.jobs for one in everything.slots) == everything.total.jobs.jobs
        for one in everything.slots[:5]:
            alone = await statistics(db, minutes=2 * DAY, slot_id=one.slot_id)
            its = [made_job for made_job in in_window(made, alone) if made_job.slot_id == one.slot_id]
            same(alone.total, its, exact=alone.window.exact)
            same(one.sums, its, exact=alone.window.exact)
            assert [only.slot_id for only in alone.slots] == [one.slot_id]


async def test_attempts_are_told_by_provider_and_model(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    now = await figure_rows.now(db)
    made = figure_rows.many(300, start=now - timedelta(days=2), until=now)
    await figure_rows.write(db, made)
    await figure_rows.roll(db, made, until=hour_of(now))
    for most in (20_000, 0):
        monkeypatch.setattr(window, "MOST_JOBS_BY_ROW", most)
        found = await statistics(db, minutes=DAY)
        calls = [call for one in in_window(made, found) for call in one.attempts]
        told = {(one.provider, one.model): one.attempts for one in found.providers}
        assert set(told) == {(call.provider, call.model) for call in calls}
        for key, attempts in told.items():
            its = [call for call in calls if (call.provider, call.model) == key]
            same_attempts(replace(found.total, attempts=attempts), its, exact=found.window.exact)
        busiest = [one.attempts.attempts for one in found.providers]
        assert busiest == sorted(busiest, reverse=True)


async def test_a_job_in_work_counts_as_one_that_came_and_its_open_call_is_no_failure(db: Database) -> None:
    now = await figure_rows.now(db)
    out = MadeAttempt(provider="gemini", model="one", seconds=None, outcome=None, cost_usd=None)
    await figure_rows.write(
        db, [MadeJob(created_at=now - timedelta(seconds=5), status="running", seconds=None, attempts=(out,))]
    )
    found = (await statistics(db, minutes=5)).total
    assert (found.jobs.jobs, found.jobs.in_work, found.jobs.success_share) == (1, 1, None)
    assert (found.attempts.attempts, found.attempts.failed) == (1, 0)


async def test_what_a_photo_cost_is_what_all_attempts_cost(db: Database) -> None:
    now = await figure_rows.now(db)
    failed = MadeAttempt(provider="gemini", model="one", seconds=3.0, outcome="no_image", cost_usd=Decimal("0.01"))
    good = replace(failed, outcome="ok", cost_usd=Decimal("0.03"))
    made = [
        MadeJob(created_at=now - timedelta(minutes=1), attempts=(failed, good)),
        MadeJob(created_at=now - timedelta(minutes=2), status="failed", reason="no_image", attempts=(failed, failed)),
    ]
    await figure_rows.write(db, made)
    found = (await statistics(db, minutes=60)).total
    assert found.cost_per_photo_usd == Decimal("0.06")
    assert found.attempts_per_job == 2
    assert found.jobs.success_share == 0.5


async def test_an_empty_studio_has_empty_figures(db: Database) -> None:
    found = await statistics(db, minutes=60)
    assert (found.total.jobs.jobs, found.total.jobs.p50_seconds, found.total.cost_per_photo_usd) == (0, None, None)
    assert (found.total.attempts_per_job, found.providers, len(found.slots)) == (None, [], 15)
