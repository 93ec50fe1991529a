"""Whether a failed attempt is repeated, and when: the driver, the slot's count and the deadline all have their say."""

from typing import Any

import pytest

from photochanger.providers import RetryPolicy
from runner.attempts import repeat_after_seconds
from runner.driver import FAILURE_OF, Outcome, ProviderFailed

POLICY = RetryPolicy(first_wait_seconds=0.5, most_repeats={"bad_response": 1, "no_image": 2})


def wait(outcome: Outcome = Outcome.PROVIDER_UNAVAILABLE, **changes: Any) -> float | None:
    """The wait after a repeatable failure of the first of three attempts, with plenty of time left."""
    hint = changes.pop("retry_after_seconds", None)
    repeatable = changes.pop("repeatable", True)
    policy = changes.pop("policy", POLICY)
    facts = {"attempt": 1, "max_attempts": 3, "usual_seconds": 20.0, "seconds_left": 48.0, **changes}
    failed = ProviderFailed(outcome, "no", repeatable=repeatable, retry_after_seconds=hint)
    return repeat_after_seconds(failed, policy, **facts)


def test_what_the_driver_calls_final_is_not_repeated() -> None:
    assert wait(repeatable=False) is None
    assert wait(repeatable=False, retry_after_seconds=0.1) is None


def test_the_slots_count_is_kept() -> None:
    assert wait(attempt=2, max_attempts=3) is not None
    assert wait(attempt=3, max_attempts=3) is None
    assert wait(attempt=4, max_attempts=3) is None


def test_without_retries_there_is_no_repeat() -> None:
    assert wait(attempt=1, max_attempts=1, seconds_left=1000.0) is None


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_without_a_hint_the_wait_doubles_and_is_jittered(attempt: int) -> None:
    waits = [wait(attempt=attempt, max_attempts=9) for _ in range(200)]
    middle = POLICY.first_wait_seconds * 2 ** (attempt - 1)
    found = [seconds for seconds in waits if seconds is not None]
    assert len(found) == 200
    assert all(0.75 * middle <= seconds <= 1.25 * middle for seconds in found)
    assert max(found) - min(found) > 0.2 * middle, "many runners would come back at the same moment"


@pytest.mark.parametrize("hint", [0.0, 0.3, 7.0, 27.9])
def test_the_providers_hint_counts_exactly(hint: float) -> None:
    assert wait(retry_after_seconds=hint) == hint
    assert wait(attempt=2, retry_after_seconds=hint) == hint


def test_a_hint_that_does_not_fit_ends_it() -> None:
    assert wait(retry_after_seconds=28.0) is None
    assert wait(retry_after_seconds=3600.0) is None


def test_the_usual_time_has_to_fit_before_the_deadline() -> None:
    assert wait(seconds_left=20.7, usual_seconds=20.0) is not None  # 0.625 s is the longest first wait
    assert wait(seconds_left=20.3, usual_seconds=20.0) is None  # 0.375 s is the shortest
    assert wait(seconds_left=0.0, usual_seconds=0.0) is None
    assert wait(seconds_left=-3.0, usual_seconds=0.0, retry_after_seconds=0.0) is None


@pytest.mark.parametrize(("outcome", "repeats"), [(Outcome.BAD_RESPONSE, 1), (Outcome.NO_IMAGE, 2)])
def test_what_is_billed_each_time_is_repeated_less_often_than_the_slot_allows(outcome: Outcome, repeats: int) -> None:
    made = [wait(outcome, attempt=attempt, max_attempts=4, usual_seconds=1.0) for attempt in (1, 2, 3, 4)]
    assert [again is not None for again in made] == [number <= repeats for number in (1, 2, 3, 4)]


def test_nor_more_often_than_the_slot_allows() -> None:
    assert wait(Outcome.NO_IMAGE, attempt=1, max_attempts=1) is None
    assert wait(Outcome.NO_IMAGE, attempt=2, max_attempts=2) is None


def test_a_call_whose_answer_was_lost_is_repeated_only_where_it_may_be_paid_twice() -> None:
    assert wait(Outcome.AMBIGUOUS, repeatable=False) is None
    assert wait(Outcome.AMBIGUOUS, repeatable=False, may_pay_twice=True) is not None
    assert wait(Outcome.AMBIGUOUS, repeatable=False, may_pay_twice=True, attempt=3) is None
    assert wait(Outcome.AMBIGUOUS, repeatable=False, may_pay_twice=True, seconds_left=20.0) is None
    assert wait(Outcome.CONTENT_BLOCKED, repeatable=False, may_pay_twice=True) is None


def test_every_outcome_without_a_picture_has_its_failure() -> None:
    assert set(FAILURE_OF) == set(Outcome) - {Outcome.OK, Outcome.NOT_KEPT}


def test_a_long_reason_is_cut_to_what_its_row_holds() -> None:
    assert len(ProviderFailed(Outcome.NETWORK, "x" * 5000).reason) == 300


def test_a_providers_policy_decides_how_often_and_how_soon() -> None:
    never = RetryPolicy(first_wait_seconds=4.0, most_repeats={"provider_unavailable": 0})
    assert wait(policy=never) is None
    patient = wait(outcome=Outcome.NETWORK, policy=never)
    assert patient is not None
    assert 3.0 <= patient <= 5.0
