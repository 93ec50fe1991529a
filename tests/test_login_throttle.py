"""Guessing is slow: by account, by address, in parallel, over restarts and over several processes."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from photochanger import login_throttle
from photochanger.db import Database
from photochanger.login_throttle import (
    CROWD_SECONDS,
    MOST_PER_ACCOUNT,
    MOST_PER_ADDRESS,
    TURN_SECONDS,
    WINDOW_SECONDS,
    Locked,
    Turn,
)
from photochanger.tables import login_failure
from tests.administrators import login_failures

pytestmark = pytest.mark.anyio


async def turn(db: Database, *, account: str = "serg", address: str = "192.0.2.1") -> Turn | Locked:
    """A password that is being checked."""
    async with db.begin() as conn:
        return await login_throttle.reserve(conn, account=account, address=address)


async def attempt(db: Database, *, account: str = "serg", address: str = "192.0.2.1") -> Locked | None:
    """A wrong password."""
    reserved = await turn(db, account=account, address=address)
    if isinstance(reserved, Locked):
        return reserved
    async with db.begin() as conn:
        await login_throttle.fail(conn, reserved)
    return None


async def later(db: Database, seconds: float) -> None:
    """So much time goes by for what has failed until now."""
    async with db.begin() as conn:
        await conn.execute(update(login_failure).values(at=login_failure.c.at - timedelta(seconds=seconds)))


async def test_the_eleventh_attempt_of_an_account_waits_out_fifteen_minutes(db: Database) -> None:
    for number in range(MOST_PER_ACCOUNT):
        assert await attempt(db, address=f"192.0.2.{number}") is None
    locked = await attempt(db, address="198.51.100.1")
    assert locked is not None
    assert locked.reason == "account_locked"
    assert WINDOW_SECONDS - 60 < locked.retry_after_seconds <= WINDOW_SECONDS
    assert await login_failures(db) == MOST_PER_ACCOUNT  # what is refused does not lengthen it
    assert await attempt(db, account="igor", address="192.0.2.1") is None


async def test_failures_spread_over_the_window_still_close_it_for_all_of_fifteen_minutes(db: Database) -> None:
    for _ in range(MOST_PER_ACCOUNT):
        assert await attempt(db) is None
        await later(db, 90)
    locked = await attempt(db)
    assert locked is not None
    assert WINDOW_SECONDS - 90 - 60 < locked.retry_after_seconds <= WINDOW_SECONDS - 90
    await later(db, WINDOW_SECONDS - 150)
    assert await attempt(db) is not None
    await later(db, 60)
    assert await attempt(db) is None


async def test_failures_further_apart_close_nothing(db: Database) -> None:
    for _ in range(3 * MOST_PER_ACCOUNT):
        assert await attempt(db) is None
        await later(db, WINDOW_SECONDS / (MOST_PER_ACCOUNT - 1) + 1)


async def test_the_thirty_first_attempt_from_an_address_waits_whatever_the_name(db: Database) -> None:
    for number in range(MOST_PER_ADDRESS):
        assert await attempt(db, account=f"name{number}") is None
    locked = await attempt(db, account="another")
    assert locked is not None
    assert locked.reason == "address_locked"
    assert await attempt(db, account="another", address="192.0.2.2") is None


async def test_who_comes_while_ten_passwords_are_checked_waits_for_them_and_no_longer(db: Database) -> None:
    turns = [await turn(db) for _ in range(MOST_PER_ACCOUNT)]
    assert await turn(db) == Locked(reason="account_crowded", retry_after_seconds=CROWD_SECONDS)
    async with db.begin() as conn:
        for one in turns:
            assert isinstance(one, Turn)
            await login_throttle.release(conn, one)
    assert await login_failures(db) == 0
    assert isinstance(await turn(db), Turn)


async def test_a_crowd_from_one_address_is_one_too_whatever_the_names(db: Database) -> None:
    for number in range(MOST_PER_ADDRESS):
        await turn(db, account=f"name{number}")
    assert await turn(db, account="another") == Locked(reason="address_crowded", retry_after_seconds=CROWD_SECONDS)


async def test_failures_and_turns_count_together(db: Database) -> None:
    for _ in range(MOST_PER_ACCOUNT - 1):
        assert await attempt(db) is None
    last = await turn(db)
    assert isinstance(last, Turn)
    crowded = await turn(db)
    assert isinstance(crowded, Locked)
    assert crowded.reason == "account_crowded"
    async with db.begin() as conn:
        await login_throttle.fail(conn, last)
    locked = await turn(db)
    assert isinstance(locked, Locked)
    assert (locked.reason, locked.retry_after_seconds > WINDOW_SECONDS - 60) == ("account_locked", True)


async def test_a_turn_whose_process_has_died_becomes_a_failure(db: Database) -> None:
    for _ in range(MOST_PER_ACCOUNT):
        await turn(db)
    await later(db, TURN_SECONDS + 1)
    locked = await turn(db)
    assert isinstance(locked, Locked)
    assert locked.reason == "account_locked"


async def test_a_right_password_forgives_no_wrong_one_that_is_still_being_checked(db: Database) -> None:
    guess = await turn(db)
    assert isinstance(guess, Turn)
    async with db.begin() as conn:
        await login_throttle.forgive(conn, account="serg")
        await login_throttle.fail(conn, guess)
    assert await login_failures(db) == 1


async def test_an_address_is_freed_of_all_its_failures_and_no_other_is(db: Database) -> None:
    for number in range(MOST_PER_ADDRESS):
        await attempt(db, account=f"name{number}", address="2001:db8:1:2::1")
    await attempt(db)
    assert await attempt(db, address="2001:db8:1:2::9") is not None
    async with db.begin() as conn:
        assert await login_throttle.forgive_address(conn, address="2001:db8:1:2:3::4") == MOST_PER_ADDRESS
    assert await attempt(db, address="2001:db8:1:2::9") is None
    assert await login_failures(db) == 2


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("nonsense" * 50, ("nonsense" * 50)[:100]),
    ],
)
def test_what_counts_as_one_address(address: str, counted: str) -> None:
    assert login_throttle.address_prefix(address) == counted


# --- over HTTP
