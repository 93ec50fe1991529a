"""Taking photos in: the slot's limit, the row of a new job, and its deadline."""

import asyncio
from datetime import datetime, timedelta

import pytest
from psycopg import IntegrityError
from sqlalchemy import func, select, update

from photochanger import intake, jobs
from photochanger.db import UNAVAILABLE, Database
from photochanger.errors import Failure, Refusal
from photochanger.intake import Admission, NewPhoto
from photochanger.jobs import Status
from photochanger.tables import job, job_input, processing_log
from tests.admissions import admit, forget_all
from tests.queue_rows import claim_one, events, job_in, log_lines, new_photo, queue, row

pytestmark = pytest.mark.anyio

SLOTS = [f"slot-{number:03}" for number in range(1, 16)]


async def admit_or_refusal(db: Database, photo: NewPhoto, *, limit: int) -> Admission | Refusal:
    """Again as long as the database is too busy: nothing has come of that."""
    while True:
        try:
            return await admit(db, photo, limit=limit)
        except Refusal as refusal:
            return refusal
        except UNAVAILABLE:
            await asyncio.sleep(0.1)


async def database_now(db: Database) -> datetime:
    async with db.at_once() as conn:
        now: datetime = (await conn.execute(select(func.clock_timestamp()))).scalar_one()
        return now


async def test_fifty_photos_at_once_on_one_slot_are_as_many_as_its_limit_and_not_one_more(database_url: str) -> None:
    async with Database(database_url, connections=50) as db:
        crowded = [admit_or_refusal(db, new_photo(), limit=3) for _ in range(50)]
        others = [admit_or_refusal(db, new_photo(slot_id=slot), limit=3) for slot in SLOTS[1:]]
        answers = await asyncio.gather(*crowded, *others)
        admitted = [answer for answer in answers[:50] if isinstance(answer, Admission)]
        refused = [answer for answer in answers[:50] if isinstance(answer, Refusal)]
        assert (len(admitted), len(refused)) == (3, 47)
        assert {(refusal.failure, refusal.retry_after_seconds) for refusal in refused} == {(Failure.RATE_LIMITED, 5)}
        assert all(isinstance(answer, Admission) and not answer.joined for answer in answers[50:])
        async with db.at_once() as conn:
            rows = await conn.execute(select(job.c.slot_id, func.count().label("jobs")).group_by(job.c.slot_id))
            assert {found.slot_id: found.jobs for found in rows} == {SLOTS[0]: 3, **dict.fromkeys(SLOTS[1:], 1)}
            for table in (job_input, processing_log):
                assert (await conn.execute(select(func.count()).select_from(table))).scalar_one() == 17


async def test_a_slot_that_is_being_counted_holds_up_no_other(db: Database) -> None:
    async with db.begin() as conn:
        await intake.admit(conn, new_photo(slot_id="slot-001"), in_work_limit=3)
        async with asyncio.timeout(1.5):  # the lock on slot-001 is still held; the others' would wait for 2 s
            admitted = await asyncio.gather(*(admit(db, new_photo(slot_id=slot)) for slot in SLOTS[1:]))
    assert [admission.joined for admission in admitted] == [False] * 14


async def test_only_photos_in_work_count(db: Database) -> None:
    for status in Status:
        await job_in(db, status)
        answer = await admit_or_refusal(db, new_photo(), limit=1)
        assert isinstance(answer, Refusal) == (status in jobs.OPEN), status
        await forget_all(db)


async def test_a_refused_photo_leaves_no_row(db: Database) -> None:
    await queue(db)
    photo = new_photo()
    assert isinstance(await admit_or_refusal(db, photo, limit=1), Refusal)
    assert await log_lines(db, photo.job_id) == []
    async with db.at_once() as conn:
        assert (await conn.execute(select(func.count()).select_from(job_input))).scalar_one() == 1


async def test_a_new_job_is_written_whole(db: Database) -> None:
    photo = new_photo(
        booth_fields={"name": "<b>\n\u202e{{7*7}}", "имя": "Ольга"}, idempotency_key="k-1", max_attempts=3, width=9
    )
    assert await admit(db, photo) == Admission(job_id=photo.job_id, joined=False)
    found = await row(db, photo.job_id)
    assert (found.status, found.kind, found.source, found.slot_id) == ("queued", "photo", "ingest", "slot-001")
    assert (found.provider, found.priority, found.attempt, found.max_attempts) == ("gemini", 0, 0, 3)
    assert (found.claim_number, found.runner, found.provider_job_reference) == (0, None, None)
    async with db.at_once() as conn:
        written = (await conn.execute(select(job_input))).one()
    assert written.booth_fields == photo.booth_fields
    assert written.snapshot == photo.snapshot
    assert (written.slot_id, written.slot_version, written.idempotency_key) == ("slot-001", 1, "k-1")
    assert (written.photo_path, written.photo_mime) == (photo.photo_path, "image/jpeg")
    assert (written.photo_bytes, written.photo_width, written.photo_height) == (2_000_000, 9, 2000)
    assert written.photo_sha256 == photo.sha256
    assert await events(db, photo.job_id) == ["queued"]


async def test_the_deadline_is_the_arrival_and_the_slots_time_by_the_databases_clock(db: Database) -> None:
    for age_seconds, seconds in ((0.0, 48), (12.5, 48), (3.25, 10), (0.0, 60)):
        before = await database_now(db)
        job_id = await queue(db, age_seconds=age_seconds, sync_response_seconds=seconds, least_seconds=4.0)
        after = await database_now(db)
        found = await row(db, job_id)
        age, whole = timedelta(seconds=age_seconds), timedelta(seconds=seconds)
        assert before - age <= found.created_at <= after - age
        assert before - age + whole <= found.expires_at <= after - age + whole
        assert found.expires_at - found.start_by == timedelta(seconds=4)
        assert found.run_after <= after


async def test_waiting_for_the_slots_lock_moves_no_deadline(db: Database) -> None:
    """The request arrived when it arrived: other photos that are counted first give it no more time."""
    before = await database_now(db)
    async with db.begin() as conn:
        await intake.admit(conn, new_photo(), in_work_limit=100)
        waiting = asyncio.create_task(queue(db, age_seconds=1.0, sync_response_seconds=20))
        await asyncio.sleep(0.8)
        assert not waiting.done()
    found = await row(db, await waiting)
    late = (found.expires_at - before - timedelta(seconds=19)).total_seconds()
    assert 0 <= late < 0.75, "of the 0.8 s that the slot was locked nothing was added"


async def test_a_place_is_free_as_soon_as_a_photo_is_final(db: Database) -> None:
    for _ in range(3):
        await admit(db, new_photo(), limit=3)
    assert isinstance(await admit_or_refusal(db, new_photo(), limit=3), Refusal)
    held = await claim_one(db)
    async with db.at_once() as conn:
        await jobs.fail(conn, held, failure=Failure.NO_IMAGE, details="-")
    assert isinstance(await admit_or_refusal(db, new_photo(), limit=3), Admission)
    assert isinstance(await admit_or_refusal(db, new_photo(), limit=3), Refusal)


async def test_an_edit_of_the_slot_does_not_disturb_a_photo_in_work(db: Database) -> None:
    """The row has a snapshot, and no foreign key: an edit in progress holds no photo up."""
    from photochanger.tables import slot

    async with db.begin() as conn:
        await conn.execute(update(slot).values(settings={"prompt": "another"}, version=2))
        job_id = await asyncio.wait_for(queue(db), 1.5)
    assert (await claim_one(db)).snapshot["settings"]["prompt"] == "a studio portrait"
    assert await events(db, job_id) == ["queued", "claimed"]


async def test_a_photo_that_contradicts_the_rows_rules_leaves_nothing_half_written(db: Database) -> None:
    for broken in ({"width": 0}, {"sha256": b"short"}, {"mime": "image/gif"}, {"max_attempts": 0}, {"size_bytes": 0}):
        with pytest.raises(IntegrityError):
            await admit(db, new_photo(**broken))
    async with db.at_once() as conn:
        for table in (job, job_input, processing_log):
            assert (await conn.execute(select(func.count()).select_from(table))).scalar_one() == 0
