"""What OpenAI's answers come to: pure functions over bodies, the documented ones and any junk."""

import base64
import copy
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict

from photochanger import providers
from photochanger.images import PreparedPicture
from runner.body import Answer
from runner.driver import Call, Outcome, ProviderFailed
from runner.drivers import openai_answer

MODELS = providers.load().by_name["openai"].models
DEFAULT = "gpt-image-2.5-flare"
KEY = "sk-proj-TestKeyTestKeyTestKeyTestKeyTestKey1234"
PICTURE = bytes(range(256)) * 3
GOOD = {"created": 1, "data": [{"b64_json": base64.b64encode(PICTURE).decode()}]}


def answer(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status=status, headers=CIMultiDict(headers or {}), body=data)


def envelope(code: Any = None, kind: Any = "invalid_request_error", message: Any = "Something") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def still_call(**settings: Any) -> Call:
    return Call(
        job_id="0" * 32,
        operation="image_edit",
        settings={"prompt": "Studio portrait", **settings},
        model=MODELS[DEFAULT],
        photo=PreparedPicture(path=Path("none.jpg"), mime="image/jpeg", size_bytes=10, width=1, height=1),
        base_url="http://127.0.0.1:9",
        key=KEY,
        deadline=0.0,
    )


@pytest.mark.parametrize(
    ("status", "code", "kind", "outcome"),
    [
        (400, "moderation_blocked", "anything", Outcome.CONTENT_BLOCKED),
        (400, "a_code_of_tomorrow", "image_generation_user_error", Outcome.CONTENT_BLOCKED),
        (400, "invalid_image_file", "image_generation_user_error", Outcome.INVALID_REQUEST),
        (400, "a_code_of_tomorrow", "invalid_request_error", Outcome.INVALID_REQUEST),
        (400, "invalid_input_fidelity_model", "invalid_request_error", Outcome.INVALID_REQUEST),
        (400, "billing_hard_limit_reached", "image_generation_user_error", Outcome.QUOTA_EXHAUSTED),
        (429, None, "insufficient_quota", Outcome.QUOTA_EXHAUSTED),
        (429, "tokens", "tokens", Outcome.RATE_LIMITED),
        (401, None, None, Outcome.AUTH),
        (403, "model_not_found", "invalid_request_error", Outcome.AUTH),
        (404, "model_not_found", "invalid_request_error", Outcome.MODEL_RETIRED),
        (404, None, "invalid_request_error", Outcome.INVALID_REQUEST),
        (408, None, None, Outcome.PROVIDER_UNAVAILABLE),
        (409, None, None, Outcome.PROVIDER_UNAVAILABLE),
        (413, None, None, Outcome.INVALID_REQUEST),
        (415, None, None, Outcome.INVALID_REQUEST),
        (529, None, "overloaded_error", Outcome.PROVIDER_UNAVAILABLE),
        (500, "moderation_blocked", "user_error", Outcome.PROVIDER_UNAVAILABLE),
    ],
)
def test_code_and_type_tell_more_than_the_status(status: int, code: Any, kind: Any, outcome: Outcome) -> None:
    failed = openai_answer.failure(answer(envelope(code, kind), status=status), model=DEFAULT, key=KEY)
    assert failed.outcome is outcome
    assert failed.receipt.http_status == status


@pytest.mark.parametrize(
    ("headers", "hint"),
    [
        ({"Retry-After": "20"}, 20),
        ({"retry-after": "0.5", "retry-after-ms": "rubbish"}, 0.5),
        ({"Retry-After-Ms": "250.5", "Retry-After": "9"}, 0.2505),
        ({"Retry-After": "Fri, 20 Nov 2026 07:28:00 GMT"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "1e9"}, None),
        ({"Retry-After": "٣"}, None),
        ({}, None),
    ],
)
def test_the_hint_is_the_exact_one_or_a_number_of_seconds(headers: dict[str, str], hint: float | None) -> None:
    told = answer(envelope("rate_limit_exceeded"), status=429, headers=headers)
    assert openai_answer.failure(told, model=DEFAULT, key=KEY).retry_after_seconds == hint


def test_a_key_in_an_answer_is_not_told() -> None:
    told = answer(envelope(KEY, message=f"Bearer {KEY} is bad"), status=400, headers={"x-request-id": KEY})
    failed = openai_answer.failure(told, model=DEFAULT, key=KEY)
    assert KEY not in f"{failed} {failed.receipt}"


def test_a_page_of_a_proxy_is_told_without_its_markup_and_by_its_ray() -> None:
    told = answer(b"<html><b>Bad\ngateway</b></html>", status=502, headers={"CF-RAY": "8f0-FRA"})
    failed = openai_answer.failure(told, model=DEFAULT, key=KEY)
    assert (failed.reason, failed.receipt.request_id) == ("HTTP 502: Bad gateway", "8f0-FRA")


def test_tokens_that_are_not_told_apart_count_as_the_pictures() -> None:
    usage = {"input_tokens": 100, "output_tokens": 1000, "total_tokens": 1100}
    receipt = openai_answer.image(answer({**GOOD, "usage": usage}), still_call()).receipt
    assert receipt.cost_usd == pytest.approx((100 * 8 + 1000 * 30) / 1_000_000)


@pytest.mark.parametrize(
    ("document", "settings", "cost"),
    [
        ({}, {"quality": "high"}, 0.21),
        ({"quality": "low"}, {"quality": "auto"}, 0.006),
        ({"quality": 7}, {}, None),
        ({}, {"quality": "max"}, None),
        ({"usage": {}}, {"quality": "medium"}, 0.053),
    ],
)
def test_without_tokens_the_pictures_price_counts(
    document: dict[str, Any], settings: dict[str, str], cost: float | None
) -> None:
    assert openai_answer.image(answer({**GOOD, **document}), still_call(**settings)).receipt.cost_usd == cost


def test_the_first_of_several_pictures_is_the_result() -> None:
    several = {"data": [*GOOD["data"], {"b64_json": "QUJD"}]}  # type: ignore[misc]
    assert openai_answer.image(answer(several), still_call()).data == PICTURE


JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 10**30, float("nan"), float("inf"), "", "x", "\x00\n\x1b[31m", "\ud800", "\u202e"),
    *("=" * 9, "moderation_blocked", KEY, [], {}, [[]], [None], {"x": None}, [{}], {"b64_json": "QUJD"}, {"data": 5}),
)
PLACES = ("data", "usage", "quality", "created", "error", "size", "output_format")


def test_any_junk_ends_in_a_picture_or_a_failure() -> None:
    random_ = random.Random(4)
    for number in range(4_000):
        document: Any = json.loads(json.dumps(GOOD))
        document["usage"] = {"input_tokens": 5, "output_tokens": 7, "input_tokens_details": {"text_tokens": 2}}
        document.update(envelope() if number % 3 == 0 else {})
        for _ in range(random_.randint(1, 3)):
            target: Any = document
            for _ in range(random_.randint(0, 3)):
                inner = [one for one in (target.values() if isinstance(target, dict) else target) if one]
                nested = [one for one in inner if isinstance(one, dict | list)]
                target = random_.choice(nested) if nested else target
            junk = copy.deepcopy(random_.choice(JUNK))
            if isinstance(target, dict):
                target[random_.choice([*PLACES, *target])] = junk
            elif target:
                target[random_.randrange(len(target))] = junk
        body = json.dumps(document).encode()
        body = body[: random_.randint(0, len(body))] if number % 10 == 0 else body
        status = random_.choice([200, 200, 201, 302, 400, 401, 403, 404, 429, 500, 503, 599])
        whole = answer(body, status=status, headers={"x-request-id": str(random_.choice(["r-1", KEY, "\x00"]))})
        if status >= 300:
            failed = openai_answer.failure(whole, model=DEFAULT, key=KEY)
        else:
            try:
                image = openai_answer.image(whole, still_call())
            except ProviderFailed as error:
                failed = error
            else:
                assert image.data in {PICTURE, b"ABC"}
                continue
        assert failed.reason.isprintable()
        assert KEY not in f"{failed} {failed.receipt}"
        assert len(failed.reason) <= 300
