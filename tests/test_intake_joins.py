"""A photo that is posted once more: which job it joins, by its file or by its key, and which it does not."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select, update

from photochanger import intake, jobs
from photochanger.db import Database
from photochanger.errors import Failure, Refusal
from photochanger.intake import Admission
from photochanger.jobs import Status
from photochanger.tables import job, job_input
from tests.admissions import admit, again, finish, forget_all
from tests.queue_rows import claim_one, events, job_in, new_photo, overdue

pytestmark = pytest.mark.anyio


async def test_the_same_photo_joins_the_job_that_is_still_in_work(db: Database) -> None:
    for status in jobs.OPEN:
        job_id, _ = await job_in(db, status)
        async with db.at_once() as conn:
            sha256 = (await conn.execute(select(job_input.c.photo_sha256))).scalar_one()
        before = await events(db, job_id)
        assert await admit(db, new_photo(sha256=sha256), limit=1) == Admission(job_id=job_id, joined=True), status
        assert await events(db, job_id) == before
        async with db.at_once() as conn:
            assert (await conn.execute(select(func.count()).select_from(job))).scalar_one() == 1
        await forget_all(db)


async def test_the_same_photo_joins_a_job_done_within_the_last_minute(db: Database) -> None:
    photo = new_photo()
    await admit(db, photo)
    await finish(db, ago_seconds=58)
    assert await admit(db, again(photo)) == Admission(job_id=photo.job_id, joined=True)


async def test_after_a_minute_the_same_photo_is_changed_anew(db: Database) -> None:
    photo = new_photo()
    await admit(db, photo)
    await finish(db, ago_seconds=61)
    assert not (await admit(db, again(photo))).joined


async def test_a_result_whose_file_is_gone_is_not_joined(db: Database) -> None:
    photo = new_photo()
    await admit(db, photo)
    await finish(db)
    async with db.at_once() as conn:
        await conn.execute(update(job).values(result_path=None, preview_path=None))
    assert not (await admit(db, again(photo))).joined


@pytest.mark.parametrize("finished", [False, True])
async def test_another_slot_version_source_or_file_is_another_photo(db: Database, finished: bool) -> None:
    differences: list[dict[str, Any]] = [
        {"slot_id": "slot-002"},
        {"slot_version": 2},
        {"source": "ui_test"},
        {"sha256": b"\x01" * 32},
    ]
    for difference in differences:
        photo = new_photo()
        await admit(db, photo)
        if finished:
            await finish(db)
        assert not (await admit(db, again(photo, **difference))).joined, difference
        await forget_all(db)


@pytest.mark.parametrize("key", [None, "k-1"])
async def test_a_job_that_failed_never_blocks_a_repeat(db: Database, key: str | None) -> None:
    for status in (Status.FAILED, Status.TIMEOUT):
        job_id, _ = await job_in(db, status)
        async with db.at_once() as conn:
            await conn.execute(update(job_input).values(idempotency_key=key))
            sha256 = (await conn.execute(select(job_input.c.photo_sha256))).scalar_one()
        admission = await admit(db, new_photo(sha256=sha256, idempotency_key=key))
        assert not admission.joined
        assert admission.job_id != job_id
        await forget_all(db)


async def test_an_overdue_job_that_nobody_closed_is_not_joined_by_its_photo(db: Database) -> None:
    photo = new_photo()
    await admit(db, photo)
    async with db.at_once() as conn:
        await overdue(conn, photo.job_id)
    assert not (await admit(db, again(photo))).joined


async def test_an_overdue_job_that_nobody_closed_is_not_joined_by_its_key(db: Database) -> None:
    photo = new_photo(idempotency_key="k-1")
    await admit(db, photo)
    async with db.at_once() as conn:
        await overdue(conn, photo.job_id)
    assert not (await admit(db, again(photo))).joined


async def test_the_newest_of_several_is_joined(db: Database) -> None:
    photo = new_photo()
    await admit(db, photo)
    await finish(db, ago_seconds=61)
    newer = again(photo)
    await admit(db, newer)
    assert await admit(db, again(photo)) == Admission(job_id=newer.job_id, joined=True)


async def test_an_idempotency_key_joins_its_job_in_work_and_its_result_for_as_long_as_it_is_kept(db: Database) -> None:
    photo = new_photo(idempotency_key="k-1")
    await admit(db, photo)
    joined = Admission(job_id=photo.job_id, joined=True)
    assert await admit(db, again(photo), limit=1) == joined
    await finish(db, ago_seconds=3600)
    assert await admit(db, again(photo), limit=1) == joined
    assert await admit(db, again(photo, slot_version=2), limit=1) == joined
    async with db.at_once() as conn:
        await conn.execute(update(job).values(result_expires_at=func.now()))
    assert not (await admit(db, again(photo))).joined


async def test_an_idempotency_key_of_another_file_is_a_conflict(db: Database) -> None:
    for status in Status:
        job_id, _ = await job_in(db, status)
        async with db.at_once() as conn:
            await conn.execute(update(job_input).values(idempotency_key="k-1"))
        with pytest.raises(Refusal) as refused:
            await admit(db, new_photo(idempotency_key="k-1"))
        assert (refused.value.failure, refused.value.job_id) == (Failure.IDEMPOTENCY_CONFLICT, job_id), status
        await forget_all(db)


async def test_after_a_failure_a_key_joins_its_second_job(db: Database) -> None:
    first = new_photo(idempotency_key="k-1")
    await admit(db, first)
    async with db.at_once() as conn:
        await jobs.fail(conn, await claim_one(db), failure=Failure.NETWORK, details="-")
    second = again(first)
    assert not (await admit(db, second)).joined
    assert await admit(db, again(first)) == Admission(job_id=second.job_id, joined=True)


async def test_an_idempotency_key_belongs_to_its_slot(db: Database) -> None:
    await admit(db, new_photo(idempotency_key="k-1"))
    assert not (await admit(db, new_photo(idempotency_key="k-1", slot_id="slot-002"))).joined


async def test_another_idempotency_key_makes_the_same_file_another_photo(db: Database) -> None:
    photo = new_photo(idempotency_key="k-1")
    await admit(db, photo)
    assert not (await admit(db, again(photo, idempotency_key="k-2"))).joined


@pytest.mark.parametrize("key", [None, "k-1"])
async def test_ten_identical_posts_at_once_are_one_job(db: Database, key: str | None) -> None:
    for _ in range(5):
        photo = new_photo(idempotency_key=key and f"{key}-{new_photo().job_id}")
        answers = await asyncio.gather(*(admit(db, again(photo), limit=1000) for _ in range(10)))
        assert len({answer.job_id for answer in answers}) == 1
        assert sorted(answer.joined for answer in answers) == [False] + [True] * 9


async def test_joining_waits_for_the_first_posts_commit_and_its_rollback(db: Database) -> None:
    photo = new_photo()
    async with db.begin() as conn:
        await intake.admit(conn, photo, in_work_limit=3)
        second = asyncio.create_task(admit(db, again(photo)))
        await asyncio.sleep(0.1)
        assert not second.done()
        await conn.rollback()
    assert not (await second).joined
