"""Checking administrators' passwords: bcrypt in one thread of its own, so that a flood of logins takes no core from the
booths, and the same work whether the account exists or not.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import structlog

from photochanger.admins import NOBODYS_HASH, Account, Accounts
from photochanger.errors import Failure, Refusal
from photochanger.passwords import verify_password

log = structlog.get_logger()

MOST_WAITING = 20
"""That many checks take five seconds."""


class AdminPasswords:
    """The accounts, and whoever waits for a check."""

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self._checker = ThreadPoolExecutor(1, thread_name_prefix="admin-bcrypt")
        self._waiting = 0
        self._warned = False

    def close(self) -> None:
        """End the thread."""
        self._checker.shutdown(wait=False, cancel_futures=True)

    def check_room(self) -> None:
        """Raises `Refusal` (`too_many_attempts`) while too many wait already."""
        if self._waiting >= MOST_WAITING:
            raise Refusal(Failure.TOO_MANY_ATTEMPTS, "Too many log in at once.", retry_after_seconds=5)

    async def matches(self, account: Account | None, password: str) -> bool:
        """Whether it is this account's password; False, after the same work, for nobody's."""
        kept = account.password_hash if account is not None else NOBODYS_HASH
        given = password.encode("utf-8", "surrogatepass")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            good = await loop.run_in_executor(self._checker, verify_password, given, kept)
        finally:
            self._waiting -= 1
        return good and account is not None

    def warn_of_http(self) -> None:
        """Once: a cookie without https can be read on its way."""
        if not self._warned:
            self._warned = True
            log.warning(
                "session_cookie_without_https",
                advice="Whoever listens on this network can take over an administrator's session. Put a proxy with"
                " https in front, name it in TRUSTED_PROXIES, and set PUBLIC_MEDIA_BASE_URL to its address.",
            )
