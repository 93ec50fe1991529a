"""First come, first served: when many photos come at once, the ones that began first are taken in first.

Served all alike, fifteen uploads would end together, at the last moment; one after the other, their pictures are being
prepared while the next ones still come in. Who waits for its network holds no turn.
"""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """At most `places` at work; of those that wait, the one with the earliest moment is next."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    @asynccontextmanager
    async def turn(self, *, since: float) -> AsyncIterator[None]:
        """Wait for a place; it is given on at the end of the block. `since`: when its owner began, on any clock."""
        if self._free:
            self._free -= 1
        else:
            place = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (since, next(self._numbers), place))
            try:
                await place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():
                    self._give_on()
                raise
        try:
            yield
        finally:
            self._give_on()

    def _give_on(self) -> None:
        while self._waiting:
            _, _, place = heapq.heappop(self._waiting)
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
