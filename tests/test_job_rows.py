"""What a job's row and its lines tell after a move: times, reasons, results, and who asks for them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import job_state, jobs
from photochanger.db import Database
from photochanger.errors import Failure
from photochanger.jobs import FINAL, Job, Status
from photochanger.tables import job
from tests.queue_rows import claim_one, job_in, log_lines, queue, result_of, row

pytestmark = pytest.mark.anyio

Move = Callable[[AsyncConnection, Job], Awaitable[bool]]


async def test_a_photos_way_is_in_its_audit_trail(db: Database) -> None:
    job_id = await queue(db)
    held = await claim_one(db)
    async with db.at_once() as conn:
        await jobs.park(conn, held, reference="q-7", after_seconds=0)
    polled = await claim_one(db, runner="runner-b")
    async with db.at_once() as conn:
        await jobs.fail(conn, polled, failure=Failure.CONTENT_BLOCKED, details="refused")
    lines = await log_lines(db, job_id)
    assert [(line.event, line.runner) for line in lines] == [
        ("queued", None),
        ("claimed", "runner-a"),
        ("parked", "runner-a"),
        ("claimed", "runner-b"),
        ("failed", "runner-b"),
    ]
    assert lines[2].details == {"reference": "q-7", "after_seconds": 0}
    assert lines[4].details == {"failure_reason": "content_blocked"}
    assert [line.at for line in lines] == sorted(line.at for line in lines)


async def test_a_finished_row_has_its_result_until_its_time_is_up(db: Database) -> None:
    job_id, _ = await job_in(db, Status.DONE)
    found = await row(db, job_id)
    wanted = result_of(job_id)
    assert (found.result_path, found.preview_path, found.result_mime) == (wanted.path, wanted.preview_path, wanted.mime)
    assert (found.result_bytes, found.result_sha256) == (wanted.size_bytes, wanted.sha256)
    assert round((found.result_expires_at - found.finished_at).total_seconds()) == 72 * 3600
    assert (found.runner, found.lease_until, found.failure_reason) == (None, None, None)


async def test_a_failed_row_tells_why_in_a_thousand_characters(db: Database) -> None:
    job_id = await queue(db)
    async with db.at_once() as conn:
        held = await claim_one(db)
        await jobs.fail(conn, held, failure=Failure.BAD_RESPONSE, details="я" * 5000, retry_after_seconds=30)
        state = await job_state.get(conn, job_id)
    found = await row(db, job_id)
    assert (found.failure_reason, found.failure_details) == ("bad_response", "я" * 1000)
    assert state is not None
    assert state.retry_after_seconds == 30


async def test_a_parked_job_keeps_its_reference_and_its_time(db: Database) -> None:
    job_id = await queue(db)
    async with db.at_once() as conn:
        await jobs.park(conn, await claim_one(db), reference="q-9", after_seconds=3)
        wait = (await conn.execute(select(job.c.run_after - func.clock_timestamp()))).scalar_one()
    assert 2.5 < wait.total_seconds() <= 3
    assert (await row(db, job_id)).provider_job_reference == "q-9"
    async with db.at_once() as conn:
        await conn.execute(update(job).values(run_after=func.now()))
    assert (await claim_one(db)).reference == "q-9"


async def test_a_job_parked_to_be_tried_again_has_no_reference(db: Database) -> None:
    await queue(db)
    async with db.at_once() as conn:
        await jobs.park(conn, await claim_one(db), reference=None, after_seconds=0)
    assert (await claim_one(db)).reference is None


async def test_a_timeout_tells_its_reason_and_has_no_runner(db: Database) -> None:
    job_id, _ = await job_in(db, Status.TIMEOUT)
    found = await row(db, job_id)
    assert (found.failure_reason, found.failure_details) == ("timeout", Failure.TIMEOUT.sentence)
    assert (found.runner, found.lease_until, found.result_path) == (None, None, None)


async def test_a_jobs_state_is_told_by_its_id(db: Database) -> None:
    done, _ = await job_in(db, Status.DONE)
    failed, _ = await job_in(db, Status.FAILED)
    async with db.at_once() as conn:
        state = await job_state.get(conn, done)
        reason = await job_state.get(conn, failed)
        assert await job_state.get(conn, "f" * 32) is None
    assert state is not None
    assert (state.job_id, state.status, state.result_path) == (done, Status.DONE, f"results/{done}.jpg")
    assert not state.result_expired
    assert reason is not None
    assert (reason.failure_reason, reason.failure_details) == ("no_image", "nothing came")
    assert not reason.result_expired


async def test_a_result_expires_by_the_databases_clock(db: Database) -> None:
    job_id, _ = await job_in(db, Status.DONE)
    async with db.at_once() as conn:
        await conn.execute(update(job).values(result_expires_at=func.clock_timestamp()))
        state = await job_state.get(conn, job_id)
    assert state is not None
    assert state.result_expired


async def test_one_poll_tells_of_all_final_jobs_and_of_no_other(db: Database) -> None:
    known = {status: (await job_in(db, status))[0] for status in Status}
    not_asked, _ = await job_in(db, Status.DONE)
    async with db.at_once() as conn:
        found = await job_state.poll(conn, [*known.values(), "0" * 32])
        assert await job_state.poll(conn, []) == {}
    assert {job_id: state.status for job_id, state in found.items()} == {known[status]: status for status in FINAL}
    assert not_asked not in found


async def test_a_line_of_the_audit_trail_tells_its_own_moment_not_its_transactions(db: Database) -> None:
    job_id, held = await job_in(db, Status.RUNNING)
    async with db.begin() as conn:
        began = (await conn.execute(select(func.now()))).scalar_one()
        await asyncio.sleep(0.05)
        await jobs.finish(conn, held, result=result_of(job_id), ttl_hours=1)
    assert (await log_lines(db, job_id))[-1].at >= began + timedelta(seconds=0.05)
    assert (await row(db, job_id)).finished_at >= began + timedelta(seconds=0.05)
