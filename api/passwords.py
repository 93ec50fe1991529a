"""The booths' password: checked for every photo, so bcrypt runs only for one that is not known to be good already.

It takes a quarter of a second of a core, and after a start all booths come at once: those with the same password wait
for one check.

A good password is remembered as an HMAC under a key of this process, together with the hash it matched: when the
password is changed, or a slot gets its own, what is remembered no longer fits. While a new password is young the one
before counts as well: every booth can be told in its turn.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from api.throttle import Throttle
from photochanger.errors import Failure, Refusal
from photochanger.passwords import hash_password, verify_password

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
        self._checks: dict[bytes, asyncio.Future[bool]] = {}
        self._begun: Counter[str] = Counter()
        self._wrong = Throttle(times=WRONG_LIMIT, seconds=WRONG_WINDOW_SECONDS, details="Too many wrong passwords.")
        self._checkers = ThreadPoolExecutor(CHECKERS, thread_name_prefix="bcrypt")

    def close(self) -> None:
        """End the checkers' threads."""
        self._checkers.shutdown(wait=False, cancel_futures=True)

    async def hashed(self, password: str) -> str:
        """The text to keep of a new password."""
        return await asyncio.get_running_loop().run_in_executor(self._checkers, hash_password, password.encode())

    async def check(self, candidate: bytes, *, kept: Sequence[str], address: str) -> None:
        """Whether it is one of those that are kept.

        Raises `Refusal`: `invalid_password`, or `rate_limited` after 20 wrong ones in 5 minutes from one address.

        A password known to be good passes even then: one misconfigured booth must not stop its neighbours.
        """
        marks = [hmac.digest(self._key, one.encode() + b"\0" + candidate, hashlib.sha256) for one in kept]
        if not self._good.isdisjoint(marks):
            return
        for one, mark in zip(kept, marks, strict=True):
            if await self._matches(candidate, one, mark=mark, address=address):
                if len(self._good) >= MAX_REMEMBERED:
                    self._good.clear()
                self._good.add(mark)
                return
        await self._wrong.spend(address)
        raise Refusal(Failure.INVALID_PASSWORD)

    async def _matches(self, candidate: bytes, kept: str, *, mark: bytes, address: str) -> bool:
        """Whether it is this one. Checks that are begun at once count as wrong until they have ended."""
        if mark not in self._checks:
            await self._wrong.check(address, pending=self._begun[address])
        if not 0 < len(candidate) <= MAX_PASSWORD_BYTES:
            return False
        check = self._checks.get(mark) or self._begin(candidate, kept, mark=mark, address=address)
        return await asyncio.shield(check)  # who goes away does not end it for the others

    def _begin(self, candidate: bytes, kept: str, *, mark: bytes, address: str) -> asyncio.Future[bool]:
        check = asyncio.get_running_loop().run_in_executor(self._checkers, verify_password, candidate, kept)
        self._checks[mark] = check
        self._begun[address] += 1

        def ended(_: asyncio.Future[bool]) -> None:
            del self._checks[mark]
            self._begun[address] -= 1
            if not self._begun[address]:
                del self._begun[address]

        check.add_done_callback(ended)
        return check
