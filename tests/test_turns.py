"""First come, first served, and nobody is forgotten."""

import asyncio

import pytest

from api.turns import Turns

pytestmark = pytest.mark.anyio


async def work(turns: Turns, since: float, done: list[float]) -> None:
    async with turns.turn(since=since):
        await asyncio.sleep(0)
        done.append(since)


async def test_who_began_first_is_next_whenever_it_asked() -> None:
    turns, done = Turns(1), list[float]()
    async with turns.turn(since=0):
        asked = [asyncio.create_task(work(turns, since, done)) for since in (5, 3, 9, 1, 3)]
        await asyncio.sleep(0)
        assert done == []
    await asyncio.gather(*asked)
    assert done == [1, 3, 3, 5, 9]


async def test_no_more_than_the_places_are_at_work() -> None:
    turns, at_work, most = Turns(2), 0, 0

    async def one(since: float) -> None:
        nonlocal at_work, most
        async with turns.turn(since=since):
            at_work += 1
            most = max(most, at_work)
            await asyncio.sleep(0.001)
            at_work -= 1

    await asyncio.gather(*(one(number) for number in range(20)))
    assert (at_work, most) == (0, 2)


@pytest.mark.parametrize("steps", range(4))
async def test_a_place_of_one_who_gave_up_goes_to_the_next(steps: int) -> None:
    """Cancelled before it had its turn, in the moment it got it, and at work."""
    turns, done = Turns(1), list[float]()
    async with turns.turn(since=0):
        leaving = asyncio.create_task(work(turns, 1, []))
        staying = asyncio.create_task(work(turns, 2, done))
        await asyncio.sleep(0)
        if steps == 0:
            leaving.cancel()
    for _ in range(steps - 1):
        await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait_for(staying, 5)
    assert done == [2]
    await asyncio.wait_for(work(turns, 3, done), 5)  # the place is free again
    assert done == [2, 3]


async def test_an_error_at_work_gives_the_place_on() -> None:
    turns = Turns(1)
    with pytest.raises(ValueError, match="at work"):
        async with turns.turn(since=0):
            raise ValueError("at work")
    await asyncio.wait_for(work(turns, 1, []), 5)
