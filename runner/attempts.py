"""Whether a failed attempt is worth another one, and after what wait. The deadline decides, not a count alone."""

import random

from runner.driver import Outcome, ProviderFailed

FIRST_WAIT_SECONDS = 0.5
MOST_REPEATS = {Outcome.BAD_RESPONSE: 1, Outcome.NO_IMAGE: 2}
"""Of what is billed each time and seldom gets better, whatever the slot allows."""


def repeat_after_seconds(
    failed: ProviderFailed,
    *,
    attempt: int,
    max_attempts: int,
    usual_seconds: float,
    seconds_left: float,
    may_pay_twice: bool = False,
) -> float | None:
    """How long to wait before the next attempt; None when there must be none.

    Only what the driver calls repeatable is repeated, as often as the slot allows, and only if the provider's usual
    time still fits before the deadline. Its own hint counts; without one the wait doubles from half a second, jittered.
    `may_pay_twice`: the slot allows to repeat a call whose answer was lost, though it may have been paid for.
    """
    repeatable = failed.repeatable or (may_pay_twice and failed.outcome is Outcome.AMBIGUOUS)
    if not repeatable or attempt >= min(max_attempts, 1 + MOST_REPEATS.get(failed.outcome, max_attempts)):
        return None
    if failed.retry_after_seconds is not None:
        wait = failed.retry_after_seconds
    else:
        wait = FIRST_WAIT_SECONDS * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)
    return wait if wait + usual_seconds < seconds_left else None
