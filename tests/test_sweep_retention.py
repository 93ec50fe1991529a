"""Rows go when they have been kept long enough, and not while anything still needs them."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Table, func, insert, select, text, update

from cleanup import retention
from cleanup.results import expired_results
from cleanup.retention import ended_sessions, old_jobs, old_log_lines, old_login_failures, old_purges
from cleanup.sweep import sweep_all
from photochanger import audit, hourly, purges, sessions
from photochanger.db import Database
from photochanger.jobs import OPEN, Status
from photochanger.media import Media
from photochanger.sessions import Tokens
from photochanger.tables import (
    hourly_figure,
    hourly_watermark,
    job,
    job_attempt,
    job_input,
    login_failure,
    media_object,
    metadata,
    processing_log,
    purge,
    session,
)
from tests.queue_rows import fill, job_in, row
from tests.serving import SIGNING_KEY
from tests.sweeping import RETENTION_DAYS, done, ids, let_it_be_ago, media_of, scope

pytestmark = pytest.mark.anyio

LONG_AGO = RETENTION_DAYS + 1


async def count(db: Database, table: Table) -> int:
    async with db.at_once() as conn:
        number: int = (await conn.execute(select(func.count()).select_from(table))).scalar_one()
    return number


async def rolled(db: Database) -> None:
    await hourly.roll_up(db)


async def test_an_old_job_goes_with_all_that_is_its_own_and_its_figures_stay(db: Database, media: Media) -> None:
    job_id, paths = await done(db, media, expired=True)
    async with db.begin() as conn:
        attempt = {"job_id": job_id, "number": 1, "provider": "gemini", "started_at": func.now()}
        await conn.execute(insert(job_attempt).values(attempt))
    media_id, _ = await media_of(db, media, kind="provider_media", expires_in_seconds=-1, job_id=job_id)
    await let_it_be_ago(db, job_id, days=LONG_AGO)
    young, _ = await job_in(db, Status.FAILED)
    assert await sweep_all(scope(db, media))
    assert await ids(db) == {young}
    for table in (job_attempt, media_object):
        assert await count(db, table) == 0, media_id
    for table in (job_input, processing_log):
        async with db.at_once() as conn:
            assert set((await conn.execute(select(table.c.job_id))).scalars()) == {young}
    assert not any(path.exists() for path in paths)
    async with db.at_once() as conn:
        assert [(found.jobs, found.done) for found in await conn.execute(select(hourly_figure))] == [(1, 1)]


@pytest.mark.parametrize("status", [Status.DONE, Status.FAILED, Status.TIMEOUT])
async def test_every_final_job_goes_when_its_time_is_up_and_not_before(
    db: Database, media: Media, status: Status
) -> None:
    old, _ = await job_in(db, status)
    kept, _ = await job_in(db, status)
    await let_it_be_ago(db, old, days=RETENTION_DAYS, hours=2)
    await let_it_be_ago(db, kept, days=RETENTION_DAYS - 1)
    await rolled(db)
    await expired_results(scope(db, media))
    assert (await old_jobs(scope(db, media, dry_run=True))).count == 1
    assert (await old_jobs(scope(db, media))).count == 1
    assert await ids(db) == {kept}
    assert (await old_jobs(scope(db, media))).count == 0


@pytest.mark.parametrize("status", OPEN)
async def test_an_open_job_never_goes(db: Database, media: Media, status: Status) -> None:
    job_id, _ = await job_in(db, status)
    async with db.begin() as conn:
        await conn.execute(update(job_input).values(created_at=func.now() - timedelta(days=LONG_AGO)))
        await conn.execute(insert(hourly_watermark).values(single=True, rolled_until=func.now()))
    assert (await old_jobs(scope(db, media))).count == 0
    assert await ids(db) == {job_id}


async def test_an_old_job_stays_until_its_hour_is_rolled(db: Database, media: Media) -> None:
    old, _ = await job_in(db, Status.FAILED)
    await let_it_be_ago(db, old, days=LONG_AGO)
    assert (await old_jobs(scope(db, media))).count == 0, "no hour was ever rolled"
    async with db.begin() as conn:
        before = func.now() - timedelta(days=LONG_AGO + 1)
        await conn.execute(insert(hourly_watermark).values(single=True, rolled_until=before))
    assert (await old_jobs(scope(db, media))).count == 0
    await rolled(db)
    assert (await old_jobs(scope(db, media))).count == 1


async def test_an_old_job_stays_as_long_as_its_result(db: Database, media: Media) -> None:
    job_id, paths = await done(db, media, expired=False)
    await let_it_be_ago(db, job_id, days=LONG_AGO)
    async with db.begin() as conn:
        await conn.execute(update(job).values(result_expires_at=func.now() + timedelta(days=1)))
    await rolled(db)
    assert (await old_jobs(scope(db, media))).count == 0
    assert paths[0].exists()
    assert (await row(db, job_id)).result_path is not None


async def test_an_old_job_stays_as_long_as_a_picture_that_was_lent_for_it(db: Database, media: Media) -> None:
    job_id, _ = await job_in(db, Status.FAILED)
    await media_of(db, media, kind="provider_media", expires_in_seconds=30, job_id=job_id)
    await let_it_be_ago(db, job_id, days=LONG_AGO)
    await rolled(db)
    assert (await old_jobs(scope(db, media))).count == 0


async def test_more_old_jobs_than_are_looked_for_at_once_go_in_one_sweep(
    db: Database, media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "JOBS_AT_ONCE", 700)
    await fill(db, 1500)
    async with db.begin() as conn:
        past = "created_at - interval '91 days'"
        await conn.execute(
            text(
                f"UPDATE job SET status = 'failed', failure_reason = 'quota', created_at = {past}, start_by = {past},"
                f" expires_at = expires_at - interval '91 days', finished_at = {past}"
            )
        )
        await conn.execute(text(f"UPDATE job_input SET created_at = {past}"))
    await rolled(db)
    assert (await old_jobs(scope(db, media))).count == 1500
    for table in (job, job_input, processing_log):
        assert await count(db, table) == 0


async def test_log_lines_go_after_a_month_whosever_they_are(
    db: Database, media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 2)
    job_id, _ = await job_in(db, Status.DONE)
    async with db.begin() as conn:
        await audit.record(conn, "slot_saved", actor="serg")
        await conn.execute(update(processing_log).values(at=func.now() - timedelta(days=30, seconds=1)))
        await audit.record(conn, "slot_saved", actor="igor")
    young, _ = await job_in(db, Status.QUEUED)
    async with db.begin() as conn:
        of_young = update(processing_log).where(processing_log.c.job_id == young)
        await conn.execute(of_young.values(at=func.now() - timedelta(days=29, hours=23)))
    assert (await old_log_lines(scope(db, media, dry_run=True))).count == 4
    assert (await old_log_lines(scope(db, media))).count == 4
    async with db.at_once() as conn:
        left = (await conn.execute(select(processing_log.c.job_id, processing_log.c.actor))).all()
    assert {(line.job_id, line.actor) for line in left} == {(None, "igor"), (young, None)}
    assert await ids(db) == {job_id, young}


async def test_sessions_that_have_not_counted_for_a_day_go(db: Database, media: Media) -> None:
    tokens = Tokens(SIGNING_KEY)
    changes: dict[str, dict[str, timedelta]] = {
        "counts": {},
        "idle for a while": {"last_seen_at": timedelta(hours=8 + 23)},
        "logged out just now": {"revoked_at": timedelta(hours=23)},
        "old": {"created_at": timedelta(days=7, hours=23)},
        "gone: idle": {"last_seen_at": timedelta(hours=8 + 25)},
        "gone: logged out": {"revoked_at": timedelta(hours=25)},
        "gone: too old": {"created_at": timedelta(days=8, hours=1)},
    }
    async with db.begin() as conn:
        for account, ago in changes.items():
            await sessions.begin(conn, tokens, account=account, kind="cookie", address=None, user_agent=None)
            if ago:
                values: dict[str, Any] = {name: func.now() - past for name, past in ago.items()}
                await conn.execute(update(session).where(session.c.account == account).values(values))
    assert (await ended_sessions(scope(db, media))).count == 3
    async with db.at_once() as conn:
        left = set((await conn.execute(select(session.c.account))).scalars())
    assert left == {account for account in changes if not account.startswith("gone")}


async def test_failed_logins_go_after_a_day(db: Database, media: Media) -> None:
    async with db.begin() as conn:
        for hours in (0, 23, 25, 1000):
            at = func.now() - timedelta(hours=hours)
            await conn.execute(insert(login_failure).values(at=at, account=str(hours), address="10.0.0.1"))
    assert (await old_login_failures(scope(db, media))).count == 2
    async with db.at_once() as conn:
        assert set((await conn.execute(select(login_failure.c.account))).scalars()) == {"0", "23"}


async def test_purges_go_a_month_after_they_were_done(db: Database, media: Media) -> None:
    async with db.begin() as conn:
        for days in (29, 31, None):
            asked = await purges.request(conn, slot_id=None, by=str(days))
            if days is not None:
                await purges.finish(conn, asked, files=1, size_bytes=1)
                done_at = func.now() - timedelta(days=days)
                await conn.execute(update(purge).where(purge.c.purge_id == asked).values(finished_at=done_at))
    assert (await old_purges(scope(db, media))).count == 1
    async with db.at_once() as conn:
        assert set((await conn.execute(select(purge.c.requested_by))).scalars()) == {"None", "29"}


def test_every_table_that_grows_with_use_has_a_sweep_or_is_small() -> None:
    """A new table must be thought of here."""
    swept = {job, job_input, job_attempt, processing_log, media_object, session, login_failure, purge}
    small = {
        "slot", "app_settings", "runner", "slot_template", "breaker", "secret", "provider_check", "storage_figure",
        "alert", "hourly_watermark", "sweep_run",
    }  # fmt: skip
    kept_for_good = {"hourly_figure", "hourly_attempts", "slot_version"}
    assert set(metadata.tables) == {table.name for table in swept} | small | kept_for_good
