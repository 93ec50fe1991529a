"""Checks of providers' keys: each is made by one runner, and one that became stale does not count."""

import asyncio

import pytest
from sqlalchemy import text

from photochanger import provider_checks
from photochanger.db import Database
from photochanger.errors import Failure
from photochanger.provider_checks import ProviderCheck, Taken

pytestmark = pytest.mark.anyio


async def take(db: Database, *configured: str) -> list[Taken]:
    async with db.begin() as conn:
        return await provider_checks.take_due(conn, configured=configured)


async def record(db: Database, taken: Taken, *, good: bool = True, sentence: str = "The key is good.") -> bool:
    async with db.begin() as conn:
        return await provider_checks.record(conn, taken, good=good, sentence=sentence)


async def request(db: Database, provider: str = "gemini") -> None:
    async with db.begin() as conn:
        await provider_checks.request(conn, provider)


async def latest(db: Database, provider: str = "gemini") -> ProviderCheck | None:
    async with db.begin() as conn:
        return (await provider_checks.latest(conn)).get(provider)


async def pass_by(db: Database, seconds: int) -> None:
    """Let so much time have passed since everything."""
    async with db.begin() as conn:
        changes = ", ".join(
            f"{name} = {name} - make_interval(secs => :seconds)" for name in ("requested_at", "checked_at", "taken_at")
        )
        await conn.execute(text(f"UPDATE provider_check SET {changes}"), {"seconds": seconds})


async def test_a_provider_with_a_key_is_checked_at_once_and_every_five_minutes(db: Database) -> None:
    (taken,) = await take(db, "gemini")
    assert taken.provider == "gemini"
    assert await record(db, taken)
    assert await take(db, "gemini") == []
    await pass_by(db, 299)
    assert await take(db, "gemini") == []
    await pass_by(db, 2)
    assert [one.provider for one in await take(db, "gemini")] == ["gemini"]


async def test_a_provider_without_a_key_is_checked_when_somebody_asks(db: Database) -> None:
    assert await take(db) == []
    await request(db)
    (taken,) = await take(db)
    assert await record(db, taken, good=False, sentence="There is no API key.")
    found = await latest(db)
    assert found is not None
    assert (found.good, found.sentence, found.checked_at) == (False, "There is no API key.", taken.taken_at)
    await pass_by(db, 1000)
    assert await take(db) == []


async def test_each_check_goes_to_one_of_all_runners(db: Database) -> None:
    for _ in range(5):
        await request(db)
        taken = [
            one for found in await asyncio.gather(*(take(db, "gemini", "openai") for _ in range(8))) for one in found
        ]
        assert sum(one.provider == "gemini" for one in taken) == 1
        for one in taken:
            assert await record(db, one)


async def test_a_check_whose_runner_died_is_taken_up_by_another(db: Database) -> None:
    (lost,) = await take(db, "gemini")
    await pass_by(db, 29)
    assert await take(db, "gemini") == []
    await pass_by(db, 2)
    (taken,) = await take(db, "gemini")
    assert not await record(db, lost, good=False, sentence="late")
    assert await record(db, taken)


async def test_what_is_asked_for_during_a_check_is_checked_again(db: Database) -> None:
    (taken,) = await take(db, "gemini")
    await request(db)
    assert await record(db, taken)
    assert [one.provider for one in await take(db, "gemini")] == ["gemini"]


async def test_a_check_of_a_key_that_has_changed_does_not_count(db: Database) -> None:
    (taken,) = await take(db, "gemini")
    async with db.begin() as conn:
        await provider_checks.forget(conn, "gemini")
    assert not await record(db, taken)
    assert await latest(db) is None
    assert [one.provider for one in await take(db, "gemini")] == ["gemini"]


async def test_a_long_sentence_is_cut(db: Database) -> None:
    (taken,) = await take(db, "gemini")
    assert await record(db, taken, sentence="x" * 1000)
    found = await latest(db)
    assert found is not None
    assert found.sentence == "x" * 300


@pytest.mark.parametrize(
    ("failure", "reason", "told"),
    [
        (None, "", ""),
        (Failure.PROVIDER_AUTH, "API key not valid", "API key not valid"),
        (Failure.PROVIDER_UNAVAILABLE, "no answer within 20 s", "No answer within 20 s"),
        (Failure.INTERNAL_ERROR, "", ""),
    ],
)
async def test_the_failure_is_known_again_from_what_was_recorded(
    db: Database, failure: Failure | None, reason: str, told: str
) -> None:
    await request(db)
    waiting = await latest(db)
    assert waiting is not None
    assert (waiting.waits, waiting.failure) == (True, None)
    (taken,) = await take(db)
    assert await record(db, taken, good=failure is None, sentence=provider_checks.sentence_of(failure, reason))
    found = await latest(db)
    assert found is not None
    assert (found.waits, found.failure, found.reason) == (False, failure, told)
