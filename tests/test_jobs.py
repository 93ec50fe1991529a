"""The queue's state machine: every move from every state, its line in the audit trail, and the order of claims."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import attempts, job_state, jobs
from photochanger.db import UNAVAILABLE, Database
from photochanger.errors import Failure
from photochanger.jobs import FINAL, OPEN, Job, Status
from photochanger.tables import job
from tests.queue_rows import claim_one, events, job_in, log_lines, overdue, queue, result_of, row, snapshot

pytestmark = pytest.mark.anyio

Move = Callable[[AsyncConnection, Job], Awaitable[bool]]


async def _claim(conn: AsyncConnection, held: Job) -> bool:
    return [found.job_id for found in await jobs.claim(conn, runner="runner-b", places=5)] == [held.job_id]


async def _park(conn: AsyncConnection, held: Job) -> bool:
    return await jobs.park(conn, held, reference="q-2", after_seconds=2)


async def _fall_back(conn: AsyncConnection, held: Job) -> bool:
    return await jobs.park_for_fallback(conn, held, provider="turbotext", attempts=1, least_seconds=4.0)


async def _finish(conn: AsyncConnection, held: Job) -> bool:
    return await jobs.finish(conn, held, result=result_of(held.job_id), ttl_hours=72)


async def _fail(conn: AsyncConnection, held: Job) -> bool:
    return await jobs.fail(conn, held, failure=Failure.QUOTA, details="no more today")


async def _release(conn: AsyncConnection, held: Job) -> bool:
    return await jobs.release(conn, held, why="the runner stops")


async def _expire(conn: AsyncConnection, held: Job) -> bool:
    return await jobs.expire(conn, held.job_id)


async def _expire_overdue(conn: AsyncConnection, held: Job) -> bool:
    del held
    return await jobs.expire_overdue(conn, grace_seconds=0) == 1


MOVES: dict[str, tuple[Move, set[Status], Status, str]] = {
    "claim": (_claim, {Status.QUEUED, Status.WAITING}, Status.RUNNING, "claimed"),
    "park": (_park, {Status.RUNNING}, Status.WAITING, "parked"),
    "park_for_fallback": (_fall_back, {Status.RUNNING}, Status.WAITING, "fell_back"),
    "finish": (_finish, {Status.RUNNING}, Status.DONE, "finished"),
    "fail": (_fail, {Status.RUNNING}, Status.FAILED, "failed"),
    "release": (_release, {Status.RUNNING}, Status.QUEUED, "released"),
    "expire": (_expire, set(OPEN), Status.TIMEOUT, "expired"),
    "expire_overdue": (_expire_overdue, set(OPEN), Status.TIMEOUT, "expired"),
}


@pytest.mark.parametrize("name", MOVES)
async def test_a_move_is_made_from_the_states_the_drawing_names_and_from_no_other(db: Database, name: str) -> None:
    move, leaves, reaches, event = MOVES[name]
    for status in Status:
        job_id, held = await job_in(db, status)
        async with db.at_once() as conn:
            if name.startswith("expire"):
                await overdue(conn, job_id)
            before, lines_before = await row(db, job_id), await events(db, job_id)
            moved = await move(conn, held)
        after, lines = await row(db, job_id), await log_lines(db, job_id)
        if status in leaves:
            assert moved, f"{name} did not leave {status}"
            assert after.status == reaches
            assert [line.event for line in lines] == [*lines_before, event]
            assert lines[-1].written_by == after.written_by, "the row and its line were written apart"
        else:
            assert not moved, f"{name} left {status}"
            assert after == before
            assert [line.event for line in lines] == lines_before
        async with db.at_once() as conn:
            await conn.execute(delete(job))


@pytest.mark.parametrize("name", MOVES)
async def test_a_move_that_is_rolled_back_leaves_no_line(db: Database, name: str) -> None:
    move, leaves, _, _ = MOVES[name]
    job_id, held = await job_in(db, sorted(leaves)[0])
    if name.startswith("expire"):
        async with db.at_once() as conn:
            await overdue(conn, job_id)
    before, lines_before = await row(db, job_id), await events(db, job_id)

    async def cut_off() -> None:
        async with db.begin() as conn:
            assert await move(conn, held)
            raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        await cut_off()
    assert await row(db, job_id) == before
    assert await events(db, job_id) == lines_before


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


async def test_a_job_falls_back_once_with_attempts_of_its_own(db: Database) -> None:
    job_id = await queue(db, max_attempts=2, snapshot={**snapshot(), "fallback": snapshot(retries=0)})
    held = await claim_one(db)
    async with db.at_once() as conn:
        assert await attempts.begin(conn, held, provider="gemini", model="m-1") == 1
        assert await jobs.park_for_fallback(conn, held, provider="turbotext", attempts=1, least_seconds=4.0)
    found = await row(db, job_id)
    assert (found.status, found.provider, found.on_fallback, found.attempt) == ("waiting", "turbotext", True, 1)
    assert found.expires_at - found.start_by == timedelta(seconds=4)
    again = await claim_one(db)
    assert (again.provider, again.on_fallback, again.reference) == ("turbotext", True, None)
    assert again.plan["settings"]["retries"] == 0
    async with db.at_once() as conn:
        assert await attempts.begin(conn, again, provider="turbotext", model="t-1") == 2
        assert await attempts.begin(conn, again, provider="turbotext", model="t-1") is None
        assert not await jobs.park_for_fallback(conn, again, provider="gemini", attempts=1, least_seconds=4.0)
    assert (await row(db, job_id)).provider == "turbotext"
    assert (await log_lines(db, job_id))[2].details == {"provider": "turbotext"}


def test_what_proves_a_claim_names_the_state_it_leaves() -> None:
    assert "job.status = 'running'" in str(jobs.HELD_BY_CLAIM)


async def test_a_claim_of_another_runner_with_the_same_number_does_not_count(db: Database) -> None:
    job_id, held = await job_in(db, Status.RUNNING)
    for forged in (replace(held, runner="runner-b"), replace(held, claim_number=2), replace(held, job_id="0" * 32)):
        async with db.at_once() as conn:
            made = [await move(conn, forged) for move in (_park, _fall_back, _finish, _fail, _release)]
        assert made == [False] * 5
    assert (await row(db, job_id)).status == "running"


async def test_a_deadline_still_to_come_expires_nothing(db: Database) -> None:
    for status in OPEN:
        job_id, _ = await job_in(db, status)
        async with db.at_once() as conn:
            assert not await jobs.expire(conn, job_id)
        assert (await row(db, job_id)).status == status
    async with db.at_once() as conn:
        assert not await jobs.expire(conn, "0" * 32)


async def test_a_timeout_tells_its_reason_and_has_no_runner(db: Database) -> None:
    job_id, _ = await job_in(db, Status.TIMEOUT)
    found = await row(db, job_id)
    assert (found.failure_reason, found.failure_details) == ("timeout", Failure.TIMEOUT.sentence)
    assert (found.runner, found.lease_until, found.result_path) == (None, None, None)


async def test_only_what_is_overdue_for_the_grace_is_closed(db: Database) -> None:
    recent, long_ago = await queue(db), await queue(db)
    async with db.at_once() as conn:
        await overdue(conn, recent, seconds=4)
        await overdue(conn, long_ago, seconds=6)
        assert await jobs.expire_overdue(conn, grace_seconds=5) == 1
    assert (await row(db, long_ago)).status == "timeout"
    assert (await row(db, recent)).status == "queued"
    assert await events(db, long_ago) == ["queued", "expired"]
    assert await events(db, recent) == ["queued"]


async def test_a_finish_after_the_deadline_comes_too_late(db: Database) -> None:
    job_id, held = await job_in(db, Status.RUNNING)
    async with db.at_once() as conn:
        await overdue(conn, job_id)
        assert not await jobs.finish(conn, held, result=result_of(job_id), ttl_hours=1)
    assert (await row(db, job_id)).status == "running"


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


async def test_a_connection_that_is_lost_is_told_as_a_database_that_is_away(db: Database) -> None:
    """Whoever moves a job can tell it from a mistake, and the next one gets a living connection."""
    job_id, held = await job_in(db, Status.RUNNING)

    async def cut_off(move: Move) -> None:
        async with db.begin() as conn:
            pid = (await conn.execute(select(func.pg_backend_pid()))).scalar_one()
            async with db.at_once() as other:
                await other.execute(select(func.pg_terminate_backend(pid)))
            await move(conn, held)

    for move in (_claim, _park, _finish, _fail, _release, _expire):
        with pytest.raises(UNAVAILABLE):
            await cut_off(move)
    async with db.at_once() as conn:
        assert await _finish(conn, held)
    assert (await row(db, job_id)).status == "done"
