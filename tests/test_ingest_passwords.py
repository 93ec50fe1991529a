"""Many checks of the booths' password at once: what they cost, and what a guesser gets out of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from api import passwords
from api.passwords import WRONG_LIMIT, IngestPasswords
from photochanger.errors import Failure, Refusal
from photochanger.passwords import hash_password, verify_password
from tests.queue_rows import until

pytestmark = pytest.mark.anyio

GOOD = b"the booths' own"
KEPT = hash_password(GOOD, cost=10)
ADDRESS = "192.0.2.7"


@pytest.fixture
async def checked() -> AsyncIterator[IngestPasswords]:
    found = IngestPasswords()
    yield found
    found.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The passwords that were really compared."""
    seen: list[bytes] = []

    def compare(candidate: bytes, kept: str) -> bool:
        seen.append(candidate)
        return verify_password(candidate, kept)

    monkeypatch.setattr(passwords, "verify_password", compare)
    return seen


async def outcome(checking: IngestPasswords, candidate: bytes, address: str = ADDRESS) -> Failure | None:
    try:
        await checking.check(candidate, kept=(KEPT,), address=address)
    except Refusal as refusal:
        return refusal.failure
    return None


async def test_booths_that_come_all_at_once_with_one_password_wait_for_one_check(
    checked: IngestPasswords, asked: list[bytes]
) -> None:
    found = await asyncio.gather(*(outcome(checked, GOOD) for _ in range(100)))
    assert found == [None] * 100
    assert asked == [GOOD]
    assert await outcome(checked, GOOD) is None
    assert asked == [GOOD], "it is known from then on"


async def test_who_goes_away_takes_nobody_elses_check_along(checked: IngestPasswords, asked: list[bytes]) -> None:
    first, *others = [asyncio.create_task(outcome(checked, GOOD)) for _ in range(5)]

    async def has_begun() -> bool:
        return asked == [GOOD]

    await until(has_begun)
    first.cancel()
    assert await asyncio.gather(*others) == [None] * 4
    assert asked == [GOOD]


async def test_a_guesser_gets_no_more_answers_by_asking_everything_at_once(
    checked: IngestPasswords, asked: list[bytes]
) -> None:
    guesses = [b"guess %d" % number for number in range(5 * WRONG_LIMIT)]
    found = Counter(await asyncio.gather(*(outcome(checked, guess) for guess in guesses)))
    assert found == {Failure.INVALID_PASSWORD: WRONG_LIMIT, Failure.RATE_LIMITED: 4 * WRONG_LIMIT}
    assert len(asked) == WRONG_LIMIT
    assert await outcome(checked, GOOD, "198.51.100.1") is None, "elsewhere nobody is stopped"
    assert await outcome(checked, GOOD) is None, "nor the booths beside the guesser, whose password is known"


async def test_what_has_ended_is_not_remembered_as_begun(checked: IngestPasswords) -> None:
    for _ in range(WRONG_LIMIT - 1):
        assert await outcome(checked, b"wrong") is Failure.INVALID_PASSWORD
    assert await outcome(checked, GOOD) is None
