"""How often an address may do what: counted in this process's memory.

Several API processes count each for themselves, so an address gets as many times as much; and a restart forgets. That
is enough against a flood or a guesser; what must be exact is counted in the database (logins, photos in work).
"""

import math
import time
from ipaddress import IPv6Address, ip_address

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from starlette.requests import Request

from photochanger.errors import Failure, Refusal

MOST_ADDRESSES = 10_000
"""Remembered at once. Past that all are forgotten: whoever has so many addresses is not stopped by counting them."""


class Throttle:
    """At most so many `times` in `seconds` from one address, from its first time on."""

    def __init__(self, *, times: int, seconds: int, details: str) -> None:
        self._allowed = RateLimitItemPerSecond(times, seconds)
        self._counts = MemoryStorage()
        self._limiter = FixedWindowRateLimiter(self._counts)
        self._details = details

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._counts.storage)

    async def check(self, address: str, *, pending: int = 0) -> None:
        """Raises `Refusal` (`rate_limited`) when all the times are used up. `pending`: what may still come to count."""
        _, left = await self._limiter.get_window_stats(self._allowed, address)
        if left <= pending:
            await self._refuse(address)

    async def spend(self, address: str) -> None:
        """Count one. Raises `Refusal` (`rate_limited`) when it is one too many."""
        if len(self) >= MOST_ADDRESSES:
            await self._counts.reset()
        if not await self._limiter.hit(self._allowed, address):
            await self._refuse(address)

    async def _refuse(self, address: str) -> None:
        free_at, _ = await self._limiter.get_window_stats(self._allowed, address)
        wait = max(1, math.ceil(free_at - time.time()))
        raise Refusal(Failure.RATE_LIMITED, self._details, retry_after_seconds=wait)


def address_of(request: Request) -> str:
    """Whom a request is counted for: its address; of IPv6 the network of 64 bits that one customer has."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped is not None else str(IPv6Address(int(address) >> 64 << 64))
    return host
