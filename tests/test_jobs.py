"""The queue's state machine: every move from every state, its line in the audit trail, and the order of claims."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import attempts, jobs
from photochanger.db import UNAVAILABLE, Database
from photochanger.errors import Failure
from photochanger.jobs import OPEN, Job, Status
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
