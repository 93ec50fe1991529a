"""The booths' password: checked for every photo, so bcrypt runs only for one that is not known to be good already.

A good password is remembered as an HMAC under a key of this process, together with the hash it matched: when the
password is changed, or a slot gets its own, what is remembered no longer fits.
"""

import asyncio
import hashlib
import hmac
import secrets
from concurrent.futures import ThreadPoolExecutor

from api.throttle import Throttle
from photochanger.errors import Failure, Refusal
from photochanger.passwords import verify_password

MAX_PASSWORD_BYTES = 1024
MAX_REMEMBERED = 64
WRONG_LIMIT = 20
WRONG_WINDOW_SECONDS = 300
CHECKERS = 2


class IngestPasswords:
    """Checks passwords and slows down whoever guesses."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._good: set[bytes] = set()
        self._wrong = Throttle(times=WRONG_LIMIT, seconds=WRONG_WINDOW_SECONDS, details="Too many wrong passwords.")
        self._checkers = ThreadPoolExecutor(CHECKERS, thread_name_prefix="bcrypt")

    def close(self) -> None:
        """End the checkers' threads."""
        self._checkers.shutdown(wait=False, cancel_futures=True)

    async def check(self, candidate: bytes, *, kept: str | None, address: str) -> None:
        """Raises `Refusal`: `invalid_password`, or `rate_limited` after 20 wrong ones in 5 minutes from one address.

        A password known to be good passes even then: one misconfigured booth must not stop its neighbours.
        """
        mark = hmac.digest(self._key, (kept or "").encode() + b"\0" + candidate, hashlib.sha256)
        if mark in self._good:
            return
        await self._wrong.check(address)
        if not await self._matches(candidate, kept):
            await self._wrong.spend(address)
            raise Refusal(Failure.INVALID_PASSWORD)
        if len(self._good) >= MAX_REMEMBERED:
            self._good.clear()
        self._good.add(mark)

    async def _matches(self, candidate: bytes, kept: str | None) -> bool:
        if kept is None or not 0 < len(candidate) <= MAX_PASSWORD_BYTES:
            return False
        return await asyncio.get_running_loop().run_in_executor(self._checkers, verify_password, candidate, kept)
