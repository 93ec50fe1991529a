"""Whether a failed attempt is worth another one, and after what wait. The deadline decides, not a count alone."""

import random

from runner.driver import ProviderFailed

FIRST_WAIT_SECONDS = 0.5


def repeat_after_seconds(
    failed: ProviderFailed, *, attempt: int, max_attempts: int, usual_seconds: float, seconds_left: float
) -> float | None:
    """How long to wait before the next attempt; None when there must be none.

    Only what the driver calls repeatable is repeated, as often as the slot allows, and only if the provider's usual
    time still fits before the deadline. Its own hint counts; without one the wait doubles from half a second, jittered.
    """
    if not failed.repeatable or attempt >= max_attempts:
        return None
    if failed.retry_after_seconds is not None:
        wait = failed.retry_after_seconds
    else:
        wait = FIRST_WAIT_SECONDS * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)
    return wait if wait + usual_seconds < seconds_left else None
