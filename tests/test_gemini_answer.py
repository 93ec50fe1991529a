"""What Gemini's answers come to: the picture, what stands in its place, and the receipt."""

import base64
from typing import Any

import pytest

from runner.driver import Outcome, ProviderFailed
from runner.drivers import gemini_answer
from tests.gemini_answers import PICTURE, answer, call, failed, good, inline, picture
from tests.gemini_calls import DEFAULT

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
