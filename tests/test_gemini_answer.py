"""What Gemini's answers come to: pure functions over bodies, the documented ones and any junk."""

import base64
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict

from photochanger import providers
from photochanger.images import PreparedPicture
from runner.body import Answer, clean
from runner.driver import Call, Image, Outcome, ProviderFailed
from runner.drivers import gemini_answer

KEY = "AIzaSyTestKeyTestKeyTestKeyTestKey12345"
PICTURE = bytes(range(256)) * 5
MODELS = providers.load().by_name["gemini"].models
DEFAULT = "gemini-nano-banana-2.1"
JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 10**30, float("nan"), float("inf"), "", "x", "\x00\n\x1b[31m", "\ud800", "\u202e"),
    *("=" * 9, "STOP", "SAFETY", KEY, [], {}, [[]], [None], {"x": None}, [{}], {"data": "QUJD"}, {"text": 5}),
)


def call(*, model: str = DEFAULT, **settings: str) -> Call:
    return Call(
        job_id="0" * 32,
        operation="image_edit",
        settings={"prompt": "Studio portrait", **settings},
        model=MODELS[model],
        photo=PreparedPicture(path=Path("none.jpg"), mime="image/jpeg", size_bytes=10, width=1, height=1),
        base_url="http://127.0.0.1:9",
        key=KEY,
        deadline=0.0,
    )


def answer(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status=status, headers=CIMultiDict(headers or {}), body=data)


def inline(data: bytes = PICTURE, *, mime: str = "image/png") -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime, "data": base64.b64encode(data).decode()}}


def good(*parts: Any, finish: Any = "STOP", **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": list(parts)}, "finishReason": finish}
    return {
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": 1302,
            "candidatesTokenCount": 1120,
            "thoughtsTokenCount": 214,
            "totalTokenCount": 2636,
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1120}],
        },
        "modelVersion": "gemini-nano-banana-2.1-001",
        "responseId": "x1Y2",
        **more,
    }


def envelope(code: int, status: str, message: str = "Something", *details: Any) -> dict[str, Any]:
    return {"error": {"code": code, "status": status, "message": message, "details": list(details)}}


def picture(body: Any, **given: str) -> bytes:
    return gemini_answer.image(answer(body), call(**given)).data


def failed(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> ProviderFailed:
    whole = answer(body, status=status, headers=headers)
    if status >= 300:
        return gemini_answer.failure(whole, model=DEFAULT, key=KEY)
    with pytest.raises(ProviderFailed) as caught:
        gemini_answer.image(whole, call())
    return caught.value


# The picture


def test_the_last_picture_that_is_no_thought_is_the_result() -> None:
    draft = {**inline(b"draft"), "thought": True}
    assert (
        picture(good(draft, inline(b"first"), {"text": "Here it is"}, inline(), {**inline(b"x"), "thought": True}))
        == PICTURE
    )


def test_snake_case_keys_are_read_as_well() -> None:
    data = base64.b64encode(PICTURE).decode()
    body = {
        "candidates": [{"finish_reason": "STOP", "content": {"parts": [{"inline_data": {"data": data}}]}}],
        "usage_metadata": {
            "prompt_token_count": 7,
            "candidates_tokens_details": [{"modality": "IMAGE", "token_count": 3}],
        },
        "model_version": "m-1",
        "response_id": "r-1",
    }
    image = gemini_answer.image(answer(body), call())
    assert image.data == PICTURE
    assert (image.receipt.model, image.receipt.request_id) == ("m-1", "r-1")
    assert image.receipt.usage is not None
    assert (image.receipt.usage["prompt_tokens"], image.receipt.usage["image_tokens"]) == (7, 3)


@pytest.mark.parametrize("data", [b"\xfb\xff\xfe" * 7, b"\xfb\xff\xfe" * 7 + b"a", b"\xfb\xff\xfe" * 7 + b"ab"])
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_both_alphabets_of_base64_are_read_with_and_without_padding(data: bytes, padded: bool, encode: Any) -> None:
    text = encode(data).decode()
    text = text if padded else text.rstrip("=")
    assert picture(good({"inlineData": {"data": text}})) == data


@pytest.mark.parametrize("data", ["!!!!", "QU=JD", "QUJDR", "QUJD\n", "Привет", "", None, 5, ["QUJD"], "\ud800"])
def test_what_is_not_base64_is_a_bad_response_to_be_repeated(data: Any) -> None:
    error = failed(good({"inlineData": {"data": data}}))
    assert (error.outcome, error.repeatable) == (Outcome.BAD_RESPONSE, True)
    assert error.receipt.cost_usd is not None


@pytest.mark.parametrize("finish", [None, "", "STOP", "MAX_TOKENS", "FINISH_REASON_UNSPECIFIED"])
def test_a_picture_is_taken_when_nothing_speaks_against_it(finish: Any) -> None:
    assert picture(good(inline(), finish=finish)) == PICTURE


# Without a picture


@pytest.mark.parametrize(
    "finish",
    [
        *("SAFETY", "PROHIBITED_CONTENT", "RECITATION", "BLOCKLIST", "SPII"),
        *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
    ],
)
@pytest.mark.parametrize("parts", [[], [inline()], [{"text": "Sorry"}]])
def test_a_blocking_reason_blocks_even_beside_a_picture(finish: str, parts: list[Any]) -> None:
    error = failed(good(*parts, finish=finish))
    assert (error.outcome, error.repeatable) == (Outcome.CONTENT_BLOCKED, False)
    assert finish in error.reason


@pytest.mark.parametrize(
    ("finish", "repeatable"),
    [
        *(("STOP", True), ("NO_IMAGE", True), ("IMAGE_OTHER", True), ("OTHER", True), ("LANGUAGE", True)),
        *(("MALFORMED_FUNCTION_CALL", True), ("UNEXPECTED_TOOL_CALL", True), ("TOO_MANY_TOOL_CALLS", True)),
        *(("MISSING_THOUGHT_SIGNATURE", True), ("MALFORMED_RESPONSE", True), ("FINISH_REASON_UNSPECIFIED", True)),
        *(("A_REASON_OF_NEXT_YEAR", True), ("MAX_TOKENS", False), (None, True), (7, True), ([], True)),
    ],
)
@pytest.mark.parametrize(
    "content", [{"content": {"parts": []}}, {"content": {}}, {}, {"content": {"parts": [{"text": "No"}]}}]
)
def test_without_a_picture_the_reason_decides(finish: Any, repeatable: bool, content: dict[str, Any]) -> None:
    body = good()
    body["candidates"] = [{"finishReason": finish, **content}]
    error = failed(body)
    assert (error.outcome, error.repeatable) == (Outcome.NO_IMAGE, repeatable)


@pytest.mark.parametrize("finish", ["A_REASON_OF_NEXT_YEAR", "NO_IMAGE", "IMAGE_OTHER", 7])
def test_an_unknown_reason_gives_no_picture_and_blocks_nothing(finish: Any) -> None:
    assert failed(good(inline(), finish=finish)).outcome is Outcome.NO_IMAGE


def test_drafts_alone_are_no_picture() -> None:
    error = failed(good({**inline(), "thought": True}, {"text": "I think", "thought": True}))
    assert (error.outcome, error.repeatable) == (Outcome.NO_IMAGE, True)
    assert error.reason == "STOP, no picture but drafts"


def test_a_polite_refusal_is_told_in_the_models_words() -> None:
    error = failed(good({"text": "I am sorry,\n\tI can't\x00 do that."}))
    assert error.reason == "STOP, no picture: I am sorry, I can't do that."


@pytest.mark.parametrize(
    "block", ["SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "JAILBREAK", "NEW", 5]
)
@pytest.mark.parametrize("rest", [{}, {"candidates": []}, {"candidates": None}, {"candidates": [{}]}])
def test_a_blocked_prompt_is_blocked_content(block: Any, rest: dict[str, Any]) -> None:
    error = failed({"promptFeedback": {"blockReason": block}, **rest})
    assert (error.outcome, error.repeatable) == (Outcome.CONTENT_BLOCKED, False)


@pytest.mark.parametrize(
    "body", [{"candidates": []}, {"promptFeedback": {}}, {"usageMetadata": {"promptTokenCount": 5}}]
)
def test_no_candidates_and_no_block_is_no_image(body: dict[str, Any]) -> None:
    error = failed(body)
    assert (error.outcome, error.repeatable) == (Outcome.NO_IMAGE, True)


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"",
            b"null",
            b"{}",
            b"[]",
            b"5",
            b'"text"',
            b"<html>Sign in</html>",
            b'{"candidates": [{"content"',
            b"\xff\xfe\x00",
        ),
        *(b'{"candidates": {}}', b'{"candidates": "x"}', b'{"candidates": [5]}', b'{"candidates": [null]}'),
        *(
            b'{"candidates": [{"content": []}]}',
            b'{"candidates": [{"content": {"parts": {}}}]}',
            b'{"error": {"code": 429}}',
        ),
        *(b"[" * 200_000, b'{"a":' * 200_000, b"1" * 5_000, b'[{"candidates": []}]'),
    ],
)
def test_another_shape_is_a_bad_response_to_be_repeated(body: bytes) -> None:
    error = failed(body)
    assert (error.outcome, error.repeatable) == (Outcome.BAD_RESPONSE, True)
    assert error.receipt.http_status == 200


@pytest.mark.parametrize("part", [None, 5, "a picture", []])
def test_a_part_of_another_shape_spoils_the_answer(part: Any) -> None:
    assert failed(good(part, inline())).outcome is Outcome.BAD_RESPONSE


# The receipt


def test_a_picture_costs_its_tokens() -> None:
    receipt = gemini_answer.image(answer(good(inline())), call()).receipt
    assert receipt.model == "gemini-nano-banana-2.1-001"
    assert (receipt.http_status, receipt.request_id) == (200, "x1Y2")
    assert receipt.usage == {
        "prompt_tokens": 1302,
        "candidates_tokens": 1120,
        "thoughts_tokens": 214,
        "total_tokens": 2636,
        "image_tokens": 1120,
    }
    assert receipt.cost_usd == pytest.approx((1302 * 1.5 + 214 * 7.5 + 1120 * 30) / 1e6, abs=1e-6)


def test_words_without_a_picture_are_billed_too() -> None:
    usage = {"promptTokenCount": 1302, "candidatesTokenCount": 80, "thoughtsTokenCount": 20}
    error = failed(good({"text": "No"}, usageMetadata=usage))
    assert error.receipt.cost_usd == pytest.approx((1302 * 1.5 + 100 * 7.5) / 1e6, abs=1e-6)


def test_a_picture_drawn_and_held_back_is_billed() -> None:
    assert (failed(good(finish="IMAGE_SAFETY")).receipt.cost_usd or 0) > 0.0336
    body = answer(good(finish="IMAGE_SAFETY"))
    with pytest.raises(ProviderFailed) as caught:
        gemini_answer.image(body, call(model="gemini-3-pro-image"))
    assert caught.value.receipt.cost_usd == 0.134


@pytest.mark.parametrize(("size", "price"), [("1K", 0.0336), ("2K", 0.0504), ("4K", 0.113)])
def test_without_usage_a_picture_costs_what_its_size_costs(size: str, price: float) -> None:
    body = good(inline())
    del body["usageMetadata"]
    receipt = gemini_answer.image(answer(body), call(size=size)).receipt
    assert (receipt.usage, receipt.cost_usd) == (None, price)


def test_a_picture_whose_tokens_are_not_told_apart_is_not_billed_twice() -> None:
    usage = {"promptTokenCount": 1000, "candidatesTokenCount": 1120, "thoughtsTokenCount": 100}
    receipt = gemini_answer.image(answer(good(inline(), usageMetadata=usage)), call()).receipt
    assert receipt.cost_usd == pytest.approx(0.0336 + (1000 * 1.5 + 100 * 7.5) / 1e6, abs=1e-6)


def test_a_model_priced_by_the_picture_costs_that() -> None:
    receipt = gemini_answer.image(answer(good(inline())), call(model="gemini-3.1-flash-lite-image")).receipt
    assert receipt.cost_usd == 0.034


def test_counts_that_are_none_count_nothing() -> None:
    usage = {"promptTokenCount": 10**30, "candidatesTokenCount": -5, "thoughtsTokenCount": True, "totalTokenCount": "7"}
    receipt = gemini_answer.image(answer(good(inline(), usageMetadata=usage)), call()).receipt
    assert receipt.usage is not None
    assert set(receipt.usage.values()) == {0}
    assert receipt.cost_usd == 0.0336


def test_the_request_id_of_a_header_serves_where_the_answer_has_none() -> None:
    body = good(inline())
    del body["responseId"], body["modelVersion"]
    receipt = gemini_answer.image(answer(body, headers={"X-Request-Id": "h-1"}), call()).receipt
    assert (receipt.request_id, receipt.model) == ("h-1", DEFAULT)


# Errors

INVALID_KEY = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "API_KEY_INVALID",
    "domain": "googleapis.com",
}
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "38s"}


def quota(quota_id: str, *, value: str = "20") -> dict[str, Any]:
    violation = {"quotaMetric": "x/generate_content_requests", "quotaId": quota_id, "quotaValue": value}
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}


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
        failed(text.encode(), status=502)
        failed(envelope(400, text, text, {"retryDelay": text}), status=400)


# Junk


def mutated(node: Any, *, noise: random.Random, chance: float) -> Any:
    """The same JSON with some of its nodes replaced, dropped or wrapped."""
    if noise.random() < chance:
        return noise.choice([*JUNK, [node], {"error": node}, [node, node]])
    if isinstance(node, dict):
        return {
            name: mutated(value, noise=noise, chance=chance) for name, value in node.items() if noise.random() > chance
        }
    if isinstance(node, list):
        return [mutated(value, noise=noise, chance=chance) for value in node]
    return node


def invented(*, noise: random.Random, depth: int = 5) -> Any:
    """JSON of any shape, out of the protocol's names."""
    names = (
        *("candidates", "content", "parts", "inlineData", "inline_data", "data", "text", "thought", "finishReason"),
        *("promptFeedback", "blockReason", "usageMetadata", "promptTokenCount", "candidatesTokensDetails", "modality"),
        *("tokenCount", "error", "code", "status", "message", "details", "violations", "quotaId", "retryDelay"),
    )
    kind = noise.random()
    if depth == 0 or kind < 0.3:
        return noise.choice(JUNK)
    if kind < 0.55:
        return [invented(noise=noise, depth=depth - 1) for _ in range(noise.randrange(4))]
    return {noise.choice(names): invented(noise=noise, depth=depth - 1) for _ in range(noise.randrange(6))}


def check_told(failure: ProviderFailed) -> None:
    assert len(failure.reason) <= 300
    assert failure.reason.isprintable()
    assert KEY not in f"{failure} {failure.receipt}"
    assert failure.retry_after_seconds is None or 0 <= failure.retry_after_seconds < 1e6
    f"{failure} {failure.receipt}".encode()


@pytest.mark.parametrize("seed", range(8))
def test_no_junk_ends_in_anything_but_a_picture_or_a_provider_failure(seed: int) -> None:
    noise = random.Random(seed)
    whole = good(inline(b"draft"), {"text": "t", "thought": True}, inline(), promptFeedback={"safetyRatings": []})
    refusal = envelope(429, "RESOURCE_EXHAUSTED", "Slow", quota("PerMinute"), RETRY, INVALID_KEY)
    for _ in range(2_500):
        body = noise.choice(
            [
                mutated(whole, noise=noise, chance=0.08),
                mutated(refusal, noise=noise, chance=0.1),
                invented(noise=noise),
            ]
        )
        try:
            image = gemini_answer.image(answer(body), call())
        except ProviderFailed as failure:
            check_told(failure)
            receipt = failure.receipt
        else:
            assert isinstance(image, Image)
            assert image.data
            receipt = image.receipt
        json.dumps(receipt.usage, allow_nan=False)
        assert receipt.cost_usd is None or 0 <= receipt.cost_usd < 1_000
        check_told(
            gemini_answer.failure(answer(body, status=noise.choice([302, 400, 403, 429, 500])), model="m", key=KEY)
        )


def test_no_cut_and_no_flipped_byte_ends_in_anything_but_a_picture_or_a_provider_failure() -> None:
    noise = random.Random(1)
    body = json.dumps(good(inline())).encode()
    for cut in range(0, len(body), 3):
        flipped = bytearray(body)
        flipped[noise.randrange(len(body))] = noise.randrange(256)
        for one in (body[:cut], bytes(flipped)):
            try:
                gemini_answer.image(answer(one), call())
            except ProviderFailed as failure:
                check_told(failure)
