"""The log of jobs: each filter, alone and with others, finds what it says; pages hold every job once."""

import itertools
from collections.abc import Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from photochanger import attempts, job_log
from photochanger.attempts import AttemptEnd
from photochanger.db import Database
from photochanger.job import OPEN, Source, Status
from photochanger.job_log import LoggedJob, Place, Wanted
from photochanger.log_choice import PROVIDER_ERROR
from photochanger.tables import job, job_input
from tests.queue_rows import fill, job_in, new_photo, queue, row, snapshot

pytestmark = pytest.mark.anyio


async def whole(db: Database, wanted: Wanted = job_log.EVERYTHING, *, limit: int = 200) -> list[LoggedJob]:
    """All pages of it, one after the other."""
    found: list[LoggedJob] = []
    beyond = None
    for _ in range(1000):
        async with db.begin() as conn:
            page, beyond = await job_log.page(conn, wanted, limit=limit, beyond=beyond)
        assert len(page) == limit or beyond is None
        found += page
        if beyond is None:
            return found
    raise AssertionError("the pages do not come to an end")


async def set_job(db: Database, job_id: str, **values: Any) -> None:
    async with db.begin() as conn:
        await conn.execute(update(job).where(job.c.job_id == job_id).values(**values))


async def age(db: Database, job_id: str, *, minutes: float) -> None:
    """As if it had come so long ago, in both its rows."""
    created_at = (await row(db, job_id)).created_at - timedelta(minutes=minutes)
    async with db.begin() as conn:
        for table in (job, job_input):
            await conn.execute(update(table).where(table.c.job_id == job_id).values(created_at=created_at))


async def population(db: Database) -> list[Any]:
    """Jobs of every kind, two minutes between them; what their rows say."""
    kinds = itertools.product(Status, ("slot-001", "slot-002"), Source, ("gemini", "openai", "fallback to openai"))
    for number, (status, slot_id, source, provider) in enumerate(kinds):
        job_id, _ = await job_in(db, status)
        fell_back = provider.startswith("fallback")
        reason = (
            {"failure_reason": ("no_image", "quota", "invalid_image")[number % 3]} if status is Status.FAILED else {}
        )
        charge = "openai" if fell_back else provider
        await set_job(
            db, job_id, slot_id=slot_id, source=source.value, provider=charge, on_fallback=fell_back, **reason
        )
        had = {**snapshot(), "provider": "gemini" if fell_back else provider, "slot_id": slot_id}
        async with db.begin() as conn:
            own = update(job_input).where(job_input.c.job_id == job_id)
            await conn.execute(own.values(slot_id=slot_id, snapshot=had))
        await age(db, job_id, minutes=2 * number)
    async with db.begin() as conn:
        return list(await conn.execute(select(job).order_by(job.c.created_at.desc(), job.c.job_id.desc())))


def fits(found: Any, wanted: Wanted) -> bool:
    """What a filter means, said without SQL."""
    theirs = {PROVIDER_ERROR} if found.failure_reason in {"no_image", "quota"} else set()
    return (
        wanted.slot_id in {None, found.slot_id}
        and wanted.status in {None, found.status}
        and wanted.failure_reason in {None, found.failure_reason, *theirs}
        and wanted.source in {None, found.source}
        and wanted.provider in {None, found.provider}
        and (wanted.since is None or found.created_at >= wanted.since)
        and (wanted.until is None or found.created_at < wanted.until)
        and (wanted.id_prefix is None or found.job_id.startswith(wanted.id_prefix))
    )


def choices(rows: Sequence[Any]) -> dict[str, list[Any]]:
    """What to ask of each filter."""
    middle = rows[len(rows) // 2].created_at
    return {
        "slot_id": ["slot-001", "slot-003"],
        "status": list(Status),
        "failure_reason": ["quota", "timeout", "network", PROVIDER_ERROR],
        "source": list(Source),
        "provider": ["gemini", "openai", "turbotext"],
        "since": [middle],
        "until": [middle],
        "id_prefix": [rows[3].job_id, rows[5].job_id[:1]],
    }


async def test_each_filter_finds_what_it_says_alone_and_with_any_other(db: Database) -> None:
    rows = await population(db)
    asked = choices(rows)
    assert set(asked) == {field.name for field in fields(Wanted)}
    assert [found.job_id for found in await whole(db)] == [row.job_id for row in rows]
    several = 0
    for one, other in itertools.combinations_with_replacement(asked, 2):
        for values in itertools.product(asked[one], asked[other]):
            wanted = Wanted(**dict(zip((one, other), values, strict=True)))
            found = [logged.job_id for logged in await whole(db, wanted)]
            assert found == [row.job_id for row in rows if fits(row, wanted)], wanted
            several += len(found) > 1
    assert several > 40


async def test_three_filters_and_small_pages_find_the_same(db: Database) -> None:
    rows = await population(db)
    for status, source, provider in itertools.product((Status.DONE, Status.FAILED), Source, ("gemini", "openai")):
        wanted = Wanted(status=status, source=source, provider=provider)
        found = [logged.job_id for logged in await whole(db, wanted, limit=1)]
        assert found == [row.job_id for row in rows if fits(row, wanted)]
        assert len(found) == (2 if provider == "gemini" else 4)


async def test_pages_hold_every_job_once_though_all_came_in_the_same_moment(db: Database) -> None:
    job_ids = await fill(db, 57)
    for limit in (1, 7, 19, 56, 57, 58):
        found = [logged.job_id for logged in await whole(db, limit=limit)]
        assert found == sorted(job_ids, reverse=True)


async def test_a_job_that_comes_between_two_pages_moves_none_of_them(db: Database) -> None:
    await fill(db, 6)
    async with db.begin() as conn:
        first, beyond = await job_log.page(conn, Wanted(), limit=3)
    newest = await queue(db)
    async with db.begin() as conn:
        second, end = await job_log.page(conn, Wanted(), limit=3, beyond=beyond)
    assert end is None
    assert len({logged.job_id for logged in (*first, *second)} - {newest}) == 6


async def test_a_line_tells_of_the_last_attempt_and_of_all_costs(db: Database) -> None:
    job_id = await queue(db, max_attempts=3)
    (line,) = await whole(db)
    assert (line.attempts, line.cost_usd, line.model, line.seconds) == (0, None, None, None)
    for number, (model, cost) in enumerate((("first", 0.03), ("second", None), ("third", 0.0125)), start=1):
        async with db.begin() as conn:
            await conn.execute(
                text(
                    "INSERT INTO job_attempt (job_id, number, provider, model, started_at)"
                    " VALUES (CAST(:id AS uuid), :number, 'gemini', :model, now())"
                ),
                {"id": job_id, "number": number, "model": model},
            )
            await attempts.end(conn, job_id, number, AttemptEnd(outcome="network", cost_usd=cost))
    (line,) = await whole(db)
    assert (line.attempts, line.model) == (3, "third")
    assert float(line.cost_usd or 0) == pytest.approx(0.0425)


async def test_a_result_is_there_until_it_expires_or_its_file_goes(db: Database) -> None:
    job_id, _ = await job_in(db, Status.DONE)
    (line,) = await whole(db)
    assert (line.result_there, line.preview_there, line.seconds is not None) == (True, True, True)
    await set_job(db, job_id, preview_path=None)
    assert [(line.result_there, line.preview_there) for line in await whole(db)] == [(True, False)]
    await set_job(db, job_id, result_expires_at=func.now())
    assert [(line.result_there, line.preview_there) for line in await whole(db)] == [(False, False)]
    other, _ = await job_in(db, Status.DONE)
    await set_job(db, other, preview_path=None, result_path=None)
    assert [line.result_there for line in await whole(db)] == [False, False]


async def test_open_and_failed_jobs_have_no_result(db: Database) -> None:
    for status in (*OPEN, Status.FAILED, Status.TIMEOUT):
        await job_in(db, status)
    assert [line.result_there for line in await whole(db)] == [False] * 5


async def test_a_replay_names_its_original(db: Database) -> None:
    original = await queue(db)
    replay = await queue(db, replay_of=original, source="ui_test")
    assert {line.job_id: line.replay_of for line in await whole(db)} == {original: None, replay: original}


async def test_neighbours_are_those_of_the_same_log(db: Database) -> None:
    rows = await population(db)
    for wanted in (Wanted(), Wanted(slot_id="slot-002"), Wanted(status=Status.FAILED), Wanted(provider="openai")):
        log = [row for row in rows if fits(row, wanted)]
        for number in (0, 1, len(log) // 2, len(log) - 1):
            place = Place(created_at=log[number].created_at, job_id=log[number].job_id)
            async with db.begin() as conn:
                newer, older = await job_log.neighbours(conn, place, wanted=wanted)
            assert newer == (log[number - 1].job_id if number else None)
            assert older == (log[number + 1].job_id if number + 1 < len(log) else None)


async def test_a_cursor_leads_to_its_place_to_the_microsecond(db: Database) -> None:
    found = await row(db, await queue(db))
    place = Place(created_at=found.created_at, job_id=found.job_id)
    assert Place.of_cursor(place.cursor()) == place


@pytest.mark.parametrize(
    "cursor", ["x", "====", "A" * 31, "A" * 33, "A" * 32 + "\n", "ж" * 32, "+" * 32, "f" + "_" * 31, "A" * 64]
)
def test_what_is_no_cursor_is_told(cursor: str) -> None:
    with pytest.raises(ValueError):
        Place.of_cursor(cursor)


async def test_the_log_is_planned_for_its_values_however_often_it_was_asked(db: Database) -> None:
    """A plan made for any slot walks the whole log for one without jobs; psycopg prepares what comes often."""
    async with db.begin() as conn:
        for _ in range(12):
            await job_log.page(conn, Wanted(slot_id="slot-009"), limit=50)
        counted = "SELECT sum(generic_plans) AS generic, sum(custom_plans) AS custom FROM pg_prepared_statements"
        told = (await conn.execute(text(f"{counted} WHERE statement LIKE '%job_input%'"))).one()
    assert told.generic == 0
    assert told.custom > 0


async def test_what_an_administrator_runs_joins_nothing(db: Database) -> None:
    photo = new_photo(source=Source.UI_TEST)
    first = await queue(db, sha256=photo.sha256, source=Source.UI_TEST)
    second = await queue(db, sha256=photo.sha256, source=Source.UI_TEST)
    assert first != second
