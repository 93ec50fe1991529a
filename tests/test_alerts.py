"""Alerts: what the rows call for, told once, folded while it lasts, and told again when it is over."""

from typing import Any

import pytest
from sqlalchemy import insert, select, text, update

from photochanger import alerts, attempts, breaker, jobs, leases, sweep_runs
from photochanger.alerts import SENTENCES, Condition, News
from photochanger.attempts import AttemptEnd
from photochanger.db import Database
from photochanger.errors import Failure
from photochanger.jobs import Status
from photochanger.tables import alert, job, provider_check, storage_figure, sweep_run
from tests.queue_rows import claim_one, job_in, queue

pytestmark = pytest.mark.anyio


@pytest.fixture
async def sound(db: Database) -> Database:
    """An installation on which everything lives."""
    async with db.begin() as conn:
        await leases.beat(conn, "r", host="h", pid=1)
        await sweep_runs.finish(conn, {"expired_results": 0})
    return db


async def found(db: Database) -> dict[str, Condition]:
    async with db.begin() as conn:
        return {condition.name: condition for condition in await alerts.conditions(conn)}


async def final_jobs(db: Database, *, done: int = 0, late: int = 0, crashed: int = 0) -> None:
    for status, count in ((Status.DONE, done), (Status.TIMEOUT, late)):
        for _ in range(count):
            await job_in(db, status)
    for _ in range(crashed):
        await queue(db)
        async with db.at_once() as conn:
            await jobs.fail(conn, await claim_one(db), failure=Failure.INTERNAL_ERROR, details="x")


async def change(db: Database, statement: Any) -> None:
    async with db.begin() as conn:
        await conn.execute(statement)


async def test_nothing_is_wrong_with_a_sound_installation(sound: Database) -> None:
    await final_jobs(sound, done=10)
    assert await found(sound) == {}


async def test_a_new_installation_has_no_runner_and_no_cleanup_to_miss(db: Database) -> None:
    assert set(await found(db)) == {"no_runner"}


async def test_late_photos_are_told_by_their_share(sound: Database) -> None:
    await final_jobs(sound, done=19, late=1)
    assert await found(sound) == {}, "5 % is what was promised"
    await final_jobs(sound, late=1)
    told = await found(sound)
    assert set(told) == {"timeouts"}
    assert dict(told["timeouts"].facts) == {"share": 10, "count": 2, "photos": 21}


async def test_failures_of_ours_count_beside_late_photos(sound: Database) -> None:
    await final_jobs(sound, done=17, crashed=2)
    assert set(await found(sound)) == {"failures"}


async def test_few_photos_old_photos_and_test_runs_are_no_news(sound: Database) -> None:
    await final_jobs(sound, late=9)
    assert await found(sound) == {}
    await change(sound, text("UPDATE job_input SET created_at = created_at - interval '16 minutes'"))
    await final_jobs(sound, late=9)
    assert await found(sound) == {}
    await final_jobs(sound, late=1)
    assert set(await found(sound)) == {"timeouts", "failures"}
    await change(sound, text("UPDATE job SET source = 'ui_test'"))
    assert await found(sound) == {}


async def test_slow_answers_are_told_before_they_are_late(sound: Database) -> None:
    await final_jobs(sound, done=10)
    await change(sound, update(job).values(created_at=text("finished_at - interval '38 seconds'")))
    assert await found(sound) == {}
    await change(sound, update(job).values(created_at=text("finished_at - interval '39 seconds'")))
    told = await found(sound)
    assert set(told) == {"slow"}
    assert dict(told["slow"].facts) == {"seconds": 39, "limit": 48}


@pytest.mark.parametrize(("free", "full"), [(21, False), (19, True)])
async def test_a_disk_is_told_before_it_is_full(sound: Database, free: int, full: bool) -> None:
    figures = [{"name": "disk_total", "bytes": 100}, {"name": "disk_free", "bytes": free}]
    await change(sound, insert(storage_figure).values(figures))
    assert set(await found(sound)) == ({"disk"} if full else set())


async def test_a_cleanup_that_does_not_come_through_is_told_though_the_daemon_lives(sound: Database) -> None:
    await change(sound, update(sweep_run).values(finished_at=text("now() - interval '31 minutes'")))
    async with sound.begin() as conn:
        await sweep_runs.finish(conn, {"overdue_jobs": 0})
    told = await found(sound)
    assert set(told) == {"no_cleanup"}
    assert told["no_cleanup"].facts["minutes"] == 31


async def test_a_queue_that_stands_still_is_told(sound: Database) -> None:
    job_id = await queue(sound)
    assert await found(sound) == {}
    await change(sound, update(job).where(job.c.job_id == job_id).values(run_after=text("now() - interval '11 s'")))
    assert set(await found(sound)) == {"queue_age"}


async def test_each_circuit_and_each_refused_key_is_told_by_itself(sound: Database) -> None:
    async with sound.begin() as conn:
        for model in ("m-1", "m-2"):
            for _ in range(breaker.FAILURES_TO_OPEN):
                await breaker.note(conn, "gemini", model, answered=False)
        check = {"provider": "openai", "checked_at": text("now()"), "good": False, "sentence": "no"}
        await conn.execute(insert(provider_check).values(check))
    await queue(sound)
    claimed = await claim_one(sound)
    async with sound.begin() as conn:
        number = await attempts.begin(conn, claimed, provider="turbotext", model="m")
        assert number is not None
        await attempts.end(conn, claimed.job_id, number, AttemptEnd(outcome="auth"))
    assert set(await found(sound)) == {
        "circuit_open:gemini:m-1",
        "circuit_open:gemini:m-2",
        "key_rejected:openai",
        "key_rejected:turbotext",
    }


EVERYTHING = [
    Condition(kind="timeouts", facts={"share": 6, "count": 6, "photos": 100}),
    Condition(kind="failures", facts={"share": 11, "count": 11, "photos": 100}),
    Condition(kind="slow", facts={"seconds": 40, "limit": 48}),
    Condition(kind="disk", facts={"share": 81}),
    Condition(kind="no_cleanup", facts={"minutes": 31}),
    Condition(kind="no_runner"),
    Condition(kind="queue_age", facts={"seconds": 11}),
    Condition(kind="circuit_open", subject="p:m", facts={"provider": "p", "model": "m", "failures": 5}),
    Condition(kind="key_rejected", subject="p", facts={"provider": "p"}),
    Condition(kind="database_unavailable"),
]


@pytest.mark.parametrize("language", ["ru", "en"])
def test_everything_has_a_sentence_in_both_languages(language: str) -> None:
    assert {condition.kind for condition in EVERYTHING} == set(SENTENCES[language])
    for condition in EVERYTHING:
        sentence = condition.sentence(language)
        assert sentence.endswith(".")
        assert "{" not in sentence
        for fact in condition.facts.values():
            assert str(fact) in sentence
        assert any("а" <= letter <= "я" for letter in sentence.lower()) == (language == "ru")


async def look(db: Database, *wrong: Condition, language: str = "en", arrives: bool = True) -> list[News]:
    """A look of the notifier, and whether it could tell."""
    async with db.begin() as conn:
        news = await alerts.look(conn, wrong, language=language)
    if arrives:
        async with db.begin() as conn:
            await alerts.told(conn, news)
    return news


async def later(db: Database, minutes: int) -> None:
    """So much time goes by."""
    ago = {name: text(f"{name} - interval '{minutes} minutes'") for name in ("since", "told_at", "seen_at")}
    await change(db, update(alert).values(**ago))


NO_RUNNER = Condition(kind="no_runner")
DISK = Condition(kind="disk", facts={"share": 85})


def states(news: list[News]) -> list[tuple[str, str]]:
    return [(one.name, one.state) for one in news]


async def test_an_alert_is_told_when_it_begins_each_hour_and_when_it_is_over(db: Database) -> None:
    assert states(await look(db, NO_RUNNER)) == [("no_runner", "begun")]
    for _ in range(59):
        await later(db, 1)
        assert await look(db, NO_RUNNER) == []
    await later(db, 2)
    (again,) = await look(db, NO_RUNNER)
    assert (again.state, again.minutes, again.times_seen) == ("again", 61, 61)
    await later(db, 1)
    assert await look(db, NO_RUNNER) == []
    await later(db, 4)
    assert await look(db) == [], "it may come back"
    await later(db, 2)
    (over,) = await look(db)
    assert (over.state, over.sentence, over.minutes) == ("over", NO_RUNNER.sentence("en"), 68)
    assert await look(db) == []


async def test_what_comes_and_goes_is_one_alert(db: Database) -> None:
    assert len(await look(db, NO_RUNNER)) == 1
    for _ in range(10):
        await later(db, 2)
        assert await look(db) == []
        await later(db, 2)
        assert await look(db, NO_RUNNER) == []


async def test_what_could_not_be_told_is_told_the_next_time(db: Database) -> None:
    assert states(await look(db, NO_RUNNER, arrives=False)) == [("no_runner", "begun")]
    await later(db, 1)
    assert states(await look(db, NO_RUNNER, DISK, arrives=False)) == [("no_runner", "begun"), ("disk", "begun")]
    await later(db, 1)
    assert states(await look(db, NO_RUNNER, DISK)) == [("no_runner", "begun"), ("disk", "begun")]
    await later(db, 7)
    assert states(await look(db, arrives=False)) == [("no_runner", "over"), ("disk", "over")]
    assert states(await look(db)) == [("no_runner", "over"), ("disk", "over")]
    assert await look(db) == []


async def test_what_nobody_has_heard_of_needs_no_end(db: Database) -> None:
    await look(db, NO_RUNNER, arrives=False)
    await later(db, 6)
    assert await look(db) == []
    async with db.begin() as conn:
        assert (await conn.execute(select(alert))).all() == []


async def test_the_sentence_is_that_of_now(db: Database) -> None:
    await look(db, DISK, language="ru")
    await later(db, 61)
    (again,) = await look(db, Condition(kind="disk", facts={"share": 91}), language="ru")
    assert again.sentence == "Диск занят на 91 %."
