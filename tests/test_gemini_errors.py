"""What Gemini's errors come to, and what is told of them: one short line, and never the key."""

from typing import Any

import pytest

from runner.body import clean
from runner.driver import Outcome
from runner.drivers import gemini_answer
from tests.gemini_answers import INVALID_KEY, RETRY, answer, call, envelope, failed, good, inline, quota
from tests.gemini_calls import DEFAULT, KEY


@pytest.mark.parametrize(
    ("status", "name", "details", "outcome", "repeatable"),
    [
        (400, "INVALID_ARGUMENT", [], Outcome.INVALID_REQUEST, False),
        (400, "INVALID_ARGUMENT", [INVALID_KEY], Outcome.AUTH, False),
        (400, "FAILED_PRECONDITION", [], Outcome.AUTH, False),
        (401, "UNAUTHENTICATED", [], Outcome.AUTH, False),
        (403, "PERMISSION_DENIED", [], Outcome.AUTH, False),
        (404, "NOT_FOUND", [], Outcome.MODEL_RETIRED, False),
        (408, "", [], Outcome.PROVIDER_UNAVAILABLE, True),
        (409, "ABORTED", [], Outcome.INVALID_REQUEST, False),
        (413, "", [], Outcome.INVALID_REQUEST, False),
        (415, "", [], Outcome.INVALID_REQUEST, False),
        (422, "", [], Outcome.INVALID_REQUEST, False),
        (429, "RESOURCE_EXHAUSTED", [], Outcome.RATE_LIMITED, True),
        (
            429,
            "RESOURCE_EXHAUSTED",
            [quota("GenerateRequestsPerMinutePerProjectPerModel"), RETRY],
            Outcome.RATE_LIMITED,
            True,
        ),
        (
            429,
            "RESOURCE_EXHAUSTED",
            [quota("GenerateRequestsPerDayPerProjectPerModel"), RETRY],
            Outcome.QUOTA_EXHAUSTED,
            False,
        ),
        (429, "RESOURCE_EXHAUSTED", [quota("PerMinute", value="0"), RETRY], Outcome.QUOTA_EXHAUSTED, False),
        (499, "CANCELLED", [], Outcome.INVALID_REQUEST, False),
        (500, "INTERNAL", [], Outcome.PROVIDER_UNAVAILABLE, True),
        (502, "", [], Outcome.PROVIDER_UNAVAILABLE, True),
        (503, "UNAVAILABLE", [], Outcome.PROVIDER_UNAVAILABLE, True),
        (504, "DEADLINE_EXCEEDED", [], Outcome.PROVIDER_UNAVAILABLE, True),
        (302, "", [], Outcome.BAD_RESPONSE, False),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_an_errors_status_and_details_decide(
    status: int, name: str, details: list[Any], outcome: Outcome, repeatable: bool, listed: bool
) -> None:
    body = envelope(status, name, "Something", *details)
    error = failed([body] if listed else body, status=status)
    assert (error.outcome, error.repeatable) == (outcome, repeatable)
    assert (error.receipt.http_status, error.receipt.model, error.receipt.cost_usd) == (status, DEFAULT, None)
    assert "Something" in error.reason


def test_a_key_that_is_refused_in_words_only_is_an_auth_failure() -> None:
    body = envelope(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.")
    assert failed(body, status=400).outcome is Outcome.AUTH


@pytest.mark.parametrize(
    ("message", "used_up"),
    [("limit: 0, model: x", True), ("limit: 0", True), ("limit: 0.5", False), ("limit: 10", False)],
)
def test_a_limit_of_zero_in_the_message_is_a_quota_used_up(message: str, used_up: bool) -> None:
    error = failed(envelope(429, "RESOURCE_EXHAUSTED", f"Quota exceeded, {message}", RETRY), status=429)
    assert (error.outcome is Outcome.QUOTA_EXHAUSTED) == used_up
    assert error.retry_after_seconds == (None if used_up else 38.0)


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        *(("38s", 38.0), ("1.5s", 1.5), ("0s", 0.0), ("0.000000001s", 1e-9), ("38", None), ("-3s", None), ("s", None)),
        *(("9" * 400 + "s", None), ("1e3s", None), ("infs", None), ("nan", None), (38, None), (None, None), ({}, None)),
    ],
)
def test_the_hint_is_a_protobuf_duration(delay: Any, seconds: float | None) -> None:
    detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    assert failed(envelope(429, "RESOURCE_EXHAUSTED", "Slow down", detail), status=429).retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None), ("", None)]
)
def test_a_retry_after_header_serves_where_there_is_no_retry_info(header: str, seconds: float | None) -> None:
    assert failed(b"busy", status=503, headers={"retry-after": header}).retry_after_seconds == seconds


def test_an_html_page_of_a_proxy_is_told_in_its_words() -> None:
    page = b"<html><head><title>502 Bad Gateway</title></head>\n<body><h1>Oops</h1><a href='https://x.y/z?sig=1'>.</a></body>"
    error = failed(page, status=502)
    assert (error.outcome, error.reason) == (Outcome.PROVIDER_UNAVAILABLE, "HTTP 502: 502 Bad Gateway Oops .")


@pytest.mark.parametrize(
    "body", [b"", b"\xff" * 50, b"[" * 100_000, b"[]", b"null", b"{}", b'{"error": "broken"}', b'{"error": null}']
)
def test_an_error_without_an_envelope_goes_by_its_status(body: bytes) -> None:
    assert failed(body, status=503).outcome is Outcome.PROVIDER_UNAVAILABLE
    assert failed(body, status=403).outcome is Outcome.AUTH


# What is told


def test_the_key_is_taken_out_wherever_the_provider_puts_it() -> None:
    assert failed(envelope(400, "X", f"key {KEY} is bad"), status=400).reason == "HTTP 400 X: key [key] is bad"
    assert KEY not in failed(f"<p>{KEY}</p>".encode(), status=502).reason
    assert KEY not in failed(good({"text": "x" * 250 + KEY})).reason
    receipt = gemini_answer.image(answer(good(inline(), modelVersion=KEY, responseId=f"a{KEY}")), call()).receipt
    assert (receipt.model, receipt.request_id) == ("[key]", "a[key]")
    assert clean("a/b+c, and quoted a%2Fb%2Bc", key="a/b+c") == "[key], and quoted [key]"


def test_reasons_are_one_short_line_without_pictures_and_url_queries() -> None:
    words = "line one\r\nline\ttwo \x1b[31m \u202e \ud800 \x00 https://host/path?key=secret&x=1 " + "QUJD" * 50 + " end"
    assert clean(words, key=None) == "line one line two [31m https://host/path […] end"
    assert len(failed(envelope(500, "INTERNAL", "word " * 500), status=500).reason) == 300


@pytest.mark.parametrize(
    "text", ["?" * 100_000, "http://" * 20_000, "<" * 500_000, "<a" * 250_000, "A" * 900_000, "?a=" * 50_000]
)
@pytest.mark.timeout(5)
def test_no_text_takes_long_to_clean(text: str) -> None:
    for _ in range(5):
        for error in (
            failed(text.encode(), status=502),
            failed(envelope(400, text, text, {"retryDelay": text}), status=400),
        ):
            assert len(error.reason) <= 300
