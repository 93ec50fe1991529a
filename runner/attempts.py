"""Whether a failed attempt is worth another one, and after what wait. The deadline decides, not a count alone."""

import random

from photochanger.providers import RetryPolicy
from runner.driver import Outcome, ProviderFailed


def repeat_after_seconds(
    failed: ProviderFailed,
    policy: RetryPolicy,
    *,
    attempt: int,
    max_attempts: int,
    usual_seconds: float,
    seconds_left: float,
    may_pay_twice: bool = False,
) -> float | None:
    """How long to wait before the next attempt; None when there must be none.

    Only what the driver calls repeatable is repeated, as often as slot and provider's policy allow, and only if the
    provider's usual time still fits before the deadline. Its own hint counts; without one the wait doubles, jittered.
    `may_pay_twice`: the slot allows to repeat a call whose answer was lost, though it may have been paid for.
    """
    repeatable = failed.repeatable or (may_pay_twice and failed.outcome is Outcome.AMBIGUOUS)
    most_repeats = policy.most_repeats.get(failed.outcome.value, max_attempts)
    if not repeatable or attempt >= min(max_attempts, 1 + most_repeats):
        return None
    if failed.retry_after_seconds is not None:
        wait = failed.retry_after_seconds
    else:
        wait = policy.first_wait_seconds * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)
    return wait if wait + usual_seconds < seconds_left else None
