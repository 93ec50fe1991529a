"""The gate before every call: the provider's requests per minute and day, its circuit breaker, and the attempt's row.

All in one transaction with the row, so that what is counted is what is called.
"""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import attempts, breaker, call_limits
from photochanger.call_limits import UsedUp
from photochanger.job import Job
from photochanger.providers import CallLimits, Model
from runner.driver import Outcome, ProviderFailed

UNANSWERED = {Outcome.PROVIDER_UNAVAILABLE, Outcome.NETWORK, Outcome.AMBIGUOUS, Outcome.TIMEOUT}
"""What counts against a provider's circuit: it did not answer, or only that it cannot."""


@dataclass(frozen=True)
class NotYet:
    """The provider's minute is full: so many seconds until an attempt may begin."""

    wait_seconds: float


class NotOursError(Exception):
    """The claim no longer holds, or has no attempt left: whatever was counted is taken back."""


async def begin(
    conn: AsyncConnection, job: Job, *, provider: str, limits: CallLimits, model: Model, granted: bool
) -> int | NotYet:
    """Open the next attempt; its number. Raises `ProviderFailed` when the day or the circuit says no."""
    wait = await call_limits.seconds_until_free(conn, provider, limits)
    if wait is UsedUp.DAY:
        raise ProviderFailed(Outcome.QUOTA_EXHAUSTED, "the day's requests are used up")
    if wait:
        return NotYet(wait)
    closed = await breaker.seconds_until_probe(conn, provider, model.name)
    if closed is not None:
        reason = f"{model.name} has failed {breaker.FAILURES_TO_OPEN} times in a row and is not asked for a while"
        raise ProviderFailed(Outcome.PROVIDER_UNAVAILABLE, reason, retry_after_seconds=closed)
    number = await attempts.begin(conn, job, provider=provider, model=model.name, granted=granted)
    if number is None:
        raise NotOursError
    return number
