"""Leases: what a dead runner held is taken back, what may be paid for twice only where the slot allows it."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from photochanger import attempts, jobs, leases
from photochanger.db import Database
from photochanger.errors import Failure
from photochanger.jobs import Job
from photochanger.tables import job, job_attempt, runner
from tests.queue_rows import claim, claim_one, events, log_lines, overdue, queue, row, snapshot

pytestmark = pytest.mark.anyio


async def beat(db: Database, name: str = "runner-a") -> None:
    async with db.begin() as conn:
        await leases.beat(conn, name, host="studio", pid=4711)


async def die(db: Database, name: str = "runner-a", *, ago: timedelta = timedelta(seconds=0.001)) -> None:
    """The runner's lease has run out so long ago."""
    async with db.begin() as conn:
        await conn.execute(update(runner).where(runner.c.runner == name).values(lease_until=func.now() - ago))


async def take_back(db: Database) -> int:
    async with db.begin() as conn:
        return await leases.take_back(conn)


async def begin(db: Database, held: Job) -> int | None:
    async with db.begin() as conn:
        return await attempts.begin(conn, held, provider="gemini", model="m-1")


async def of_job(db: Database, job_id: str) -> list[attempts.Attempt]:
    async with db.begin() as conn:
        return await attempts.of_job(conn, job_id)


async def running(db: Database, *, called: bool, **changes: Any) -> Job:
    """A job in a living runner's hands; `called`: its provider was called."""
    await queue(db, **changes)
    await beat(db)
    held = await claim_one(db)
    if called:
        assert await begin(db, held) == 1
    return held


async def test_a_beat_begins_a_lease_and_renews_it(db: Database) -> None:
    await beat(db)
    async with db.begin() as conn:
        first = (await conn.execute(select(runner))).one()
        left = (await conn.execute(select(runner.c.lease_until - func.clock_timestamp()))).scalar_one()
    assert (first.runner, first.host, first.pid) == ("runner-a", "studio", 4711)
    assert leases.LEASE_SECONDS - 1 < left.total_seconds() <= leases.LEASE_SECONDS
    await asyncio.sleep(0.05)
    await beat(db)
    async with db.begin() as conn:
        second = (await conn.execute(select(runner))).one()
    assert second.lease_until >= first.lease_until + timedelta(seconds=0.05)
    assert second.started_at == first.started_at


async def test_a_runner_that_leaves_has_no_row_and_no_other_loses_its_own(db: Database) -> None:
    await beat(db, "runner-a")
    await beat(db, "runner-b")
    async with db.begin() as conn:
        await leases.leave(conn, "runner-a")
        await leases.leave(conn, "runner-unknown")
        assert (await conn.execute(select(runner.c.runner))).scalars().all() == ["runner-b"]


@pytest.mark.parametrize("called", [False, True])
async def test_a_living_runners_jobs_stay_its_own(db: Database, called: bool) -> None:
    held = await running(db, called=called)
    before = await row(db, held.job_id)
    assert await take_back(db) == 0
    assert await row(db, held.job_id) == before
    assert [attempt.outcome for attempt in await of_job(db, held.job_id)] == [None] * called


@pytest.mark.parametrize("how", ["its lease ran out", "it never beat", "it left"])
async def test_a_dead_runners_job_without_a_call_goes_back_to_the_queue(db: Database, how: str) -> None:
    held = await running(db, called=False)
    if how == "its lease ran out":
        await die(db)
    else:
        async with db.begin() as conn:
            await leases.leave(conn, "runner-a")
    assert await take_back(db) == 1
    found = await row(db, held.job_id)
    assert (found.status, found.runner, found.lease_until, found.attempt) == ("queued", None, None, 0)
    line = (await log_lines(db, held.job_id))[-1]
    assert (line.event, line.runner) == ("released", "runner-a")
    assert await take_back(db) == 0
    again = await claim_one(db, runner="runner-b")
    assert (again.job_id, again.claim_number) == (held.job_id, 2)


async def test_a_call_that_was_out_is_repeated_where_the_slot_allows_it(db: Database) -> None:
    held = await running(db, called=True, max_attempts=2)
    await die(db)
    assert await take_back(db) == 1
    found = await row(db, held.job_id)
    assert (found.status, found.attempt) == ("queued", 1)
    (attempt,) = await of_job(db, held.job_id)
    assert (attempt.outcome, attempt.cost_usd) == ("interrupted", None)
    assert attempt.finished_at is not None
    assert attempt.reason is not None
    again = await claim_one(db, runner="runner-b")
    assert await begin(db, again) == 2


@pytest.mark.parametrize(
    ("settings", "max_attempts"),
    [({"repeat_interrupted": False}, 2), ({"repeat_interrupted": True}, 1), ({"repeat_interrupted": False}, 1)],
)
async def test_else_a_call_that_was_out_fails_its_job_as_interrupted(
    db: Database, settings: dict[str, Any], max_attempts: int
) -> None:
    held = await running(db, called=True, max_attempts=max_attempts, snapshot=snapshot(**settings))
    await die(db)
    assert await take_back(db) == 1
    found = await row(db, held.job_id)
    assert (found.status, found.failure_reason) == ("failed", "interrupted")
    assert found.failure_details == Failure.INTERRUPTED.sentence
    assert [attempt.outcome for attempt in await of_job(db, held.job_id)] == ["interrupted"]
    assert await events(db, held.job_id) == ["queued", "claimed", "failed"]
    assert await claim(db, places=5) == []


async def test_a_slot_that_does_not_say_is_a_slot_that_does_not_allow_it(db: Database) -> None:
    silent = snapshot()
    del silent["settings"]["repeat_interrupted"]
    held = await running(db, called=True, snapshot=silent)
    await die(db)
    assert await take_back(db) == 1
    assert (await row(db, held.job_id)).failure_reason == "interrupted"


async def test_on_its_fallback_a_job_obeys_the_fallbacks_settings(db: Database) -> None:
    plan = {**snapshot(repeat_interrupted=True), "fallback": snapshot(repeat_interrupted=False)}
    held = await running(db, called=False, snapshot=plan)
    async with db.begin() as conn:
        assert await jobs.park_for_fallback(conn, held, provider="turbotext", attempts=2, least_seconds=1.0)
    again = await claim_one(db)
    assert await begin(db, again) == 1
    await die(db)
    assert await take_back(db) == 1
    assert (await row(db, held.job_id)).failure_reason == "interrupted"


async def test_what_its_provider_has_accepted_is_polled_by_the_next_and_never_bought_twice(db: Database) -> None:
    submitted = await running(db, called=True, max_attempts=1, snapshot=snapshot(repeat_interrupted=False))
    async with db.begin() as conn:
        assert await jobs.park(conn, submitted, reference="q-1", after_seconds=0)
    polling = await claim_one(db)
    assert polling.reference == "q-1"
    await die(db)
    assert await take_back(db) == 1
    found = await row(db, polling.job_id)
    assert (found.status, found.provider_job_reference, found.attempt) == ("queued", "q-1", 1)
    (attempt,) = await of_job(db, polling.job_id)
    assert (attempt.outcome, attempt.finished_at) == (None, None)
    again = await claim_one(db, runner="runner-b")
    assert (again.reference, again.claim_number) == ("q-1", 3)


async def test_a_closed_attempt_is_no_reason_to_fail(db: Database) -> None:
    held = await running(db, called=True, max_attempts=1, snapshot=snapshot(repeat_interrupted=False))
    async with db.begin() as conn:
        await attempts.end(conn, held.job_id, 1, attempts.AttemptEnd(outcome="network"))
    await die(db)
    assert await take_back(db) == 1
    assert (await row(db, held.job_id)).status == "queued"
    assert [attempt.outcome for attempt in await of_job(db, held.job_id)] == ["network"]


async def test_two_open_attempts_are_both_closed(db: Database) -> None:
    """A commit whose answer was lost with the connection is made again: then one call has two open rows."""
    held = await running(db, called=True, max_attempts=3)
    assert await begin(db, held) == 2
    await die(db)
    assert await take_back(db) == 1
    assert [attempt.outcome for attempt in await of_job(db, held.job_id)] == ["interrupted"] * 2
    assert (await row(db, held.job_id)).status == "queued"


async def test_the_jobs_of_all_dead_runners_come_back_and_no_others(db: Database) -> None:
    of_runner = {}
    for name in ("runner-a", "runner-b", "runner-c"):
        await beat(db, name)
        for _ in range(3):
            await queue(db)
        of_runner[name] = [held.job_id for held in await claim(db, runner=name, places=3)]
    await die(db, "runner-a")
    await die(db, "runner-c")
    assert await take_back(db) == 6
    for name, job_ids in of_runner.items():
        wanted = "running" if name == "runner-b" else "queued"
        assert [(await row(db, job_id)).status for job_id in job_ids] == [wanted] * 3


@pytest.mark.parametrize("alive", [True, False])
async def test_what_is_past_its_deadline_is_left_to_its_timeout(db: Database, alive: bool) -> None:
    """The booth is told `timeout`, not `interrupted`, and the attempt is closed by the runner that made it."""
    held = await running(db, called=True, max_attempts=1)
    async with db.begin() as conn:
        await overdue(conn, held.job_id)
        await conn.execute(update(job).values(lease_until=job.c.expires_at))  # as the claim has set it
    if not alive:
        await die(db)
    await take_back(db)
    async with db.begin() as conn:
        await jobs.expire(conn, held.job_id)
    found = await row(db, held.job_id)
    assert (found.status, found.failure_reason) == ("timeout", "timeout")


async def test_two_take_backs_at_once_close_an_attempt_once(db: Database) -> None:
    for _ in range(15):
        held = await running(db, called=True, max_attempts=1)
        await die(db)
        assert sorted(await asyncio.gather(take_back(db), take_back(db), take_back(db))) == [0, 0, 1]
        assert await events(db, held.job_id) == ["queued", "claimed", "failed"]


async def test_a_take_back_that_is_cut_off_has_taken_nothing(db: Database) -> None:
    held = await running(db, called=True)
    await die(db)

    async def cut_off() -> None:
        async with db.begin() as conn:
            assert await leases.take_back(conn) == 1
            raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        await cut_off()
    assert (await row(db, held.job_id)).status == "running"
    assert [attempt.outcome for attempt in await of_job(db, held.job_id)] == [None]
    assert await take_back(db) == 1


async def test_runners_dead_for_a_day_are_forgotten(db: Database) -> None:
    for name in ("runner-a", "runner-b", "runner-c"):
        await beat(db, name)
    await die(db, "runner-a", ago=timedelta(hours=23))
    await die(db, "runner-b", ago=timedelta(hours=25))
    await take_back(db)
    async with db.begin() as conn:
        kept = await conn.execute(select(runner.c.runner).order_by(runner.c.runner))
        assert kept.scalars().all() == ["runner-a", "runner-c"]


async def test_a_photo_whose_attempts_are_gone_with_it_leaves_no_row(db: Database) -> None:
    held = await running(db, called=True)
    async with db.begin() as conn:
        await conn.execute(job.delete().where(job.c.job_id == held.job_id))
        assert (await conn.execute(select(func.count()).select_from(job_attempt))).scalar_one() == 0
