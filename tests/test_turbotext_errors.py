"""What Turbotext's refusals and failures come to: their outcome, whether they may be repeated, and what is told."""

from typing import Any

import pytest

from runner.driver import Outcome
from tests.turbotext_answers import KEY, LINK, failed, finished, not_queued, place


@pytest.mark.parametrize(
    "value", [True, "True", "true", " TRUE ", 1, "1", "yes", "nsfw", ["x"], {"a": 1}, -1, float("nan")]
)
def test_forbidden_content_is_blocked_even_beside_success(value: Any) -> None:
    for body in (
        finished(data={"forbidden_content": value}),
        finished(forbidden_content=value),
        finished(success=False, error="unknown", data={"forbidden_content": value}),
    ):
        error = failed(body)
        assert (error.outcome, error.repeatable) == (Outcome.CONTENT_BLOCKED, False)


@pytest.mark.parametrize("value", [False, "False", "false ", 0, "0", "", "no", None, "None", [], {}])
def test_a_plain_no_is_not_forbidden(value: Any) -> None:
    assert place(finished(data={"forbidden_content": value})) == LINK


@pytest.mark.parametrize(
    ("error", "outcome", "repeatable", "told"),
    [
        ("LIMIT", Outcome.QUOTA_EXHAUSTED, False, "credits are used up: LIMIT"),
        ("foto_limit", Outcome.QUOTA_EXHAUSTED, False, "credits are used up"),
        ("Limit exceeded", Outcome.QUOTA_EXHAUSTED, False, "credits are used up"),
        ("Превышен лимит", Outcome.QUOTA_EXHAUSTED, False, "credits are used up: Превышен лимит"),
        ("provider_busy", Outcome.PROVIDER_UNAVAILABLE, True, "busy"),
        ("url_error", Outcome.INVALID_REQUEST, False, "the provider could not fetch our picture: url_error"),
        ("face_not_detected", Outcome.INVALID_REQUEST, False, "found no face"),
        ("face_not_found", Outcome.INVALID_REQUEST, False, "found no face"),
        ("params_error", Outcome.INVALID_REQUEST, False, "the provider refused the request: params_error"),
        ("size_error", Outcome.INVALID_REQUEST, False, "the picture's size"),
        ("quality_limit", Outcome.INVALID_REQUEST, False, "the picture's quality"),
        ("forbidden_content", Outcome.CONTENT_BLOCKED, False, "forbidden"),
        ("никогда не слышали", Outcome.INVALID_REQUEST, False, "refused the request: никогда не слышали"),
        (42, Outcome.INVALID_REQUEST, False, "refused the request: 42"),
        ({"code": 7, "text": "LIMIT"}, Outcome.QUOTA_EXHAUSTED, False, "7 LIMIT"),
        (["url_error"], Outcome.INVALID_REQUEST, False, "could not fetch our picture"),
        ("", Outcome.INVALID_REQUEST, False, "the provider refused the request"),
        (None, Outcome.INVALID_REQUEST, False, "the provider refused the request"),
    ],
)
@pytest.mark.parametrize("success", [False, "False", 0])
def test_a_failure_is_known_by_its_words(
    error: Any, outcome: Outcome, repeatable: bool, told: str, success: Any
) -> None:
    for found in (failed({"success": success, "error": error}), not_queued({"success": success, "error": error})):
        assert (found.outcome, found.repeatable) == (outcome, repeatable)
        assert told in found.reason


def test_an_error_tells_neither_the_key_nor_our_links() -> None:
    words = f"url_error: https://photos.example/public/provider-media/0123abc?x=1 with Bearer {KEY}"
    error = failed({"success": False, "error": words})
    assert "provider-media" not in error.reason
    assert error.reason == "the provider could not fetch our picture: url_error: [link] with Bearer [key]"


def test_success_without_a_picture_is_no_image() -> None:
    for body in (finished("uploaded_image"), finished("uploaded_image", data={"image": []}), {"success": True}):
        error = failed(body)
        assert (error.outcome, error.repeatable) == (Outcome.NO_IMAGE, False)
    assert failed(finished("uploaded_image", error="LIMIT")).outcome is Outcome.QUOTA_EXHAUSTED


@pytest.mark.parametrize(
    "body",
    [{"status": "processing"}, {}, {"success": None}, {"success": "maybe"}, {"action": "dance"}, finished("success")],
)
def test_what_says_neither_success_nor_failure_is_asked_for_again(body: Any) -> None:
    error = failed(body)
    assert (error.outcome, error.repeatable) == (Outcome.BAD_RESPONSE, True)


@pytest.mark.parametrize(
    ("status", "body", "outcome", "repeatable"),
    [
        (401, b"", Outcome.AUTH, False),
        (403, {"success": False, "error": "LIMIT"}, Outcome.AUTH, False),
        (402, b"", Outcome.QUOTA_EXHAUSTED, False),
        (400, {"success": False, "error": "LIMIT"}, Outcome.QUOTA_EXHAUSTED, False),
        (400, {"success": False, "error": "what"}, Outcome.INVALID_REQUEST, False),
        (404, b"<html>", Outcome.INVALID_REQUEST, False),
        (302, b"", Outcome.BAD_RESPONSE, True),
        (408, b"", Outcome.PROVIDER_UNAVAILABLE, True),
        (429, b"", Outcome.RATE_LIMITED, True),
        (500, {"success": False, "error": "provider_busy"}, Outcome.PROVIDER_UNAVAILABLE, True),
        (503, b"<html>", Outcome.PROVIDER_UNAVAILABLE, True),
        (504, {"error": "what"}, Outcome.PROVIDER_UNAVAILABLE, True),
    ],
)
def test_a_status_means_what_its_words_do_not(status: int, body: Any, outcome: Outcome, repeatable: bool) -> None:
    for error in (failed(body, status=status), not_queued(body, status=status)):
        assert (error.outcome, error.repeatable) == (outcome, repeatable)
        assert error.reason.startswith(f"HTTP {status}")


@pytest.mark.parametrize("status", [500, 502, 504, 524, 599])
@pytest.mark.parametrize(
    "body", [b"", b"<html>Gateway Timeout</html>", b"[", {"message": "timeout"}, {"success": None}]
)
def test_a_crash_or_a_gateway_leaves_open_whether_the_photo_was_queued(status: int, body: Any) -> None:
    submitted, asked = not_queued(body, status=status), failed(body, status=status)
    assert (submitted.outcome, submitted.repeatable) == (Outcome.AMBIGUOUS, False)
    assert (asked.outcome, asked.repeatable) == (Outcome.PROVIDER_UNAVAILABLE, True)
    assert submitted.reason.startswith(f"HTTP {status}: ")


@pytest.mark.parametrize(("header", "hint"), [("7", 7.0), ("", None), ("soon", None), ("-1", None), ("9999999", None)])
def test_a_hint_when_to_come_again_is_kept(header: str, hint: float | None) -> None:
    assert failed(b"", status=429, headers={"retry-after": header}).retry_after_seconds == hint
