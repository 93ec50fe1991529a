"""Two at once at the same job: the set-up that the tests of such races share."""

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.db import Database

RACES = 512
AT_ONCE = 8
OURS, THEIRS = b"\x0b", b"\x0a"


async def races(one: Callable[[int], Awaitable[None]], *, count: int = RACES) -> None:
    """Run that many, some at once."""
    numbers = iter(range(count))

    async def lane() -> None:
        for number in numbers:
            await one(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(lane())


async def at_once(db: Database, move: Callable[[AsyncConnection], Awaitable[bool]], *, delay: float = 0.0) -> bool:
    """One move on a connection of its own."""
    await asyncio.sleep(delay)
    async with db.at_once() as conn:
        return await move(conn)
