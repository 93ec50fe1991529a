"""Gemini's answers with junk in them: a picture or a deliberate failure comes of every one."""

import json
import random
from typing import Any

import pytest

from runner.driver import Image, ProviderFailed
from runner.drivers import gemini_answer
from tests.gemini_answers import INVALID_KEY, RETRY, answer, call, envelope, good, inline, quota
from tests.gemini_calls import KEY

JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 10**30, float("nan"), float("inf"), "", "x", "\x00\n\x1b[31m", "\ud800", "\u202e"),
    *("=" * 9, "STOP", "SAFETY", KEY, [], {}, [[]], [None], {"x": None}, [{}], {"data": "QUJD"}, {"text": 5}),
)


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
