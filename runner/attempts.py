"""What becomes of a job after a failed attempt: another one, the slot's fallback, or the end of it.

The deadline decides whether another attempt is worth it, not a count alone.
"""

import math
import random

from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import jobs, usual_time
from photochanger.attempts import AttemptEnd
from photochanger.job import Job
from photochanger.providers import Model, RetryPolicy
from runner.driver import FAILURE_OF, Outcome, ProviderFailed
from runner.fallback import fallback_for
from runner.workshop import Workshop


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


async def go_on(
    conn: AsyncConnection,
    shop: Workshop,
    job: Job,
    failed: ProviderFailed,
    *,
    number: int | None,
    model: Model,
    seconds_left: float,
) -> str:
    """Park it to be tried again, hand it to the fallback, or fail it: what it became, as the step's line tells it.

    `number` is the attempt's; None: no call was made, and none is repeated.
    """
    again = None
    if number is not None:
        provider = shop.providers.by_name[job.plan["provider"]]
        again = repeat_after_seconds(
            failed,
            provider.retry,
            attempt=number,
            max_attempts=job.max_attempts,
            usual_seconds=await usual_time.usual_seconds(conn, provider.name, model),
            seconds_left=seconds_left,
            may_pay_twice=job.plan["settings"].get("repeat_interrupted", False),
        )
    if again is not None:
        parked = await jobs.park(conn, job, reference=None, after_seconds=again, why=reason_of(failed))
        return "parked" if parked else "lost"
    fallback = fallback_for(shop, job, seconds_left=seconds_left)
    if fallback is not None:
        parked = await jobs.park_for_fallback(conn, job, **vars(fallback), why=reason_of(failed))
        return "fell_back" if parked else "lost"
    failure, hint = FAILURE_OF[failed.outcome], failed.retry_after_seconds
    ended = await jobs.fail(
        conn,
        job,
        failure=failure,
        details=failed.public or failure.sentence,
        retry_after_seconds=None if hint is None else max(1, math.ceil(hint)),
        why=reason_of(failed),
    )
    return "failed" if ended else "lost"


def reason_of(failed: ProviderFailed) -> str:
    """For the processing log: what the driver has cleaned of keys."""
    return f"{failed.outcome}: {failed.reason}"


def end_of(failed: ProviderFailed) -> AttemptEnd:
    """For the attempt's row."""
    return AttemptEnd(outcome=failed.outcome.value, reason=failed.reason, **vars(failed.receipt))
