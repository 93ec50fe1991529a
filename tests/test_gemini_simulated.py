"""The Gemini driver through the simulator's whole play: every behaviour, every model, and no violation."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession
from PIL import Image as Pillow

from runner.driver import Call, Image, Outcome, ProviderFailed
from runner.drivers import gemini
from simulators.gemini import KEY as SIMULATOR_KEY
from simulators.gemini_scenes import CATALOGUE
from simulators.sample import SAMPLE
from tests.gemini_calls import DEFAULT, MODELS, call
from tests.simulated import Simulators, simulated


@pytest.fixture
async def http(anyio_backend: str) -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@pytest.fixture
async def simulators(anyio_backend: str) -> AsyncIterator[Simulators]:
    """At the end nothing may have been malformed."""
    async with simulated() as simulators:
        yield simulators
        assert await simulators.violations() == []


def sample(simulators: Simulators, *, key: str = SIMULATOR_KEY, **given: Any) -> Call:
    return call(SAMPLE, f"{simulators.url}/gemini", key=key, **given)


PICTURES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ok", {}),
    ("ok", {"mime": "image/png"}),
    ("instant", {}),
    ("slow", {"seconds": 0.1}),
    ("text_then_picture", {}),
    ("thought_drafts", {"drafts": 2}),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "parameters"), PICTURES)
async def test_the_simulator_changes_the_photo(
    http: ClientSession, simulators: Simulators, name: str, parameters: dict[str, Any]
) -> None:
    await simulators.behave(name, **parameters)
    image = await gemini.submit(sample(simulators, size="1K"), http)
    with Pillow.open(io.BytesIO(image.data)) as picture:
        picture.load()
        assert picture.get_format_mimetype() == parameters.get("mime", "image/jpeg")
        assert name == "instant" or picture.size == (1264, 848)
    receipt = image.receipt
    assert (receipt.model, receipt.http_status, bool(receipt.request_id)) == (DEFAULT, 200, True)
    assert receipt.usage is not None
    assert receipt.usage["image_tokens"] == 1120
    assert receipt.cost_usd is not None
    assert 0.0336 < receipt.cost_usd < 0.05
    seen = (await simulators.read("requests"))[-1]
    assert seen["prompt"] == "Studio portrait"
    if name != "instant":
        assert seen["pictures"][0]["sha256"] == hashlib.sha256(SAMPLE.read_bytes()).hexdigest()


UNCHECKED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("picture_cut", {}),
    ("picture_wrong_type", {}),
    ("picture_bomb", {}),
    ("picture_bomb", {"kind": "png_header"}),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "parameters"), UNCHECKED)
async def test_a_picture_that_is_none_is_left_for_the_caller_to_find_out(
    http: ClientSession, simulators: Simulators, name: str, parameters: dict[str, Any]
) -> None:
    await simulators.behave(name, **parameters)
    assert (await gemini.submit(sample(simulators), http)).data


AT_ONCE: tuple[tuple[str, dict[str, Any], Outcome, bool, bool], ...] = (
    # behaviour, its parameters, what it comes to, whether it may be repeated, whether it costs
    ("thought_only", {}, Outcome.NO_IMAGE, True, True),
    ("text_only", {}, Outcome.NO_IMAGE, True, True),
    ("no_image", {}, Outcome.NO_IMAGE, True, True),
    ("image_other", {}, Outcome.NO_IMAGE, True, True),
    ("max_tokens", {}, Outcome.NO_IMAGE, False, True),
    ("finish_reason", {}, Outcome.NO_IMAGE, True, True),
    ("finish_reason", {"reason": "SPII"}, Outcome.CONTENT_BLOCKED, False, True),
    ("content_without_parts", {}, Outcome.NO_IMAGE, True, True),
    ("candidate_without_content", {}, Outcome.CONTENT_BLOCKED, False, True),
    ("candidate_without_content", {"reason": "NO_IMAGE"}, Outcome.NO_IMAGE, True, True),
    ("image_safety", {}, Outcome.CONTENT_BLOCKED, False, True),
    ("recitation", {}, Outcome.CONTENT_BLOCKED, False, True),
    ("prompt_blocked", {}, Outcome.CONTENT_BLOCKED, False, True),
    ("rate_limited", {}, Outcome.RATE_LIMITED, True, False),
    ("rate_limited", {"retry_delay_seconds": 3}, Outcome.RATE_LIMITED, True, False),
    ("rate_limited", {"retry_delay_seconds": 1.5}, Outcome.RATE_LIMITED, True, False),
    ("quota_per_day", {}, Outcome.QUOTA_EXHAUSTED, False, False),
    ("quota_zero", {}, Outcome.QUOTA_EXHAUSTED, False, False),
    ("internal", {}, Outcome.PROVIDER_UNAVAILABLE, True, False),
    ("unavailable", {}, Outcome.PROVIDER_UNAVAILABLE, True, False),
    ("deadline_exceeded", {}, Outcome.PROVIDER_UNAVAILABLE, True, False),
    ("list_wrapped_error", {}, Outcome.PROVIDER_UNAVAILABLE, True, False),
    ("plain_text_error", {}, Outcome.PROVIDER_UNAVAILABLE, True, False),
    ("html_502", {}, Outcome.PROVIDER_UNAVAILABLE, True, False),
    ("echo_key_error", {}, Outcome.PROVIDER_UNAVAILABLE, True, False),
    ("permission_denied", {}, Outcome.AUTH, False, False),
    ("key_leaked", {}, Outcome.AUTH, False, False),
    ("region_not_allowed", {}, Outcome.AUTH, False, False),
    ("model_gone", {}, Outcome.MODEL_RETIRED, False, False),
    ("redirect", {}, Outcome.BAD_RESPONSE, False, False),
    ("redirect", {"status": 307}, Outcome.BAD_RESPONSE, False, False),
    ("html_200", {}, Outcome.BAD_RESPONSE, True, False),
    ("empty_body", {}, Outcome.BAD_RESPONSE, True, False),
    ("truncated_json", {}, Outcome.BAD_RESPONSE, True, False),
    ("deep_json", {}, Outcome.BAD_RESPONSE, True, False),
    *(
        ("wrong_shape", {"shape": shape}, Outcome.BAD_RESPONSE, True, False)
        for shape in ("candidates_object", "candidates_null", "candidates_numbers", "parts_texts", "data_number")
    ),
    *(("wrong_shape", {"shape": shape}, Outcome.BAD_RESPONSE, True, False) for shape in ("list", "number", "null")),
    ("huge_body", {}, Outcome.BAD_RESPONSE, True, False),
    ("huge_body", {"megabytes": 1000, "compressed": True}, Outcome.BAD_RESPONSE, True, False),
    ("invalid_base64", {}, Outcome.BAD_RESPONSE, True, True),
    ("picture_zero_bytes", {}, Outcome.BAD_RESPONSE, True, True),
    ("reset_before", {}, Outcome.AMBIGUOUS, False, False),
    ("reset_after", {}, Outcome.AMBIGUOUS, False, False),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "parameters", "outcome", "repeatable", "costs"), AT_ONCE)
async def test_every_behaviour_without_a_picture_has_its_outcome(
    http: ClientSession,
    simulators: Simulators,
    name: str,
    parameters: dict[str, Any],
    outcome: Outcome,
    repeatable: bool,
    costs: bool,
) -> None:
    await simulators.behave(name, **parameters)
    with pytest.raises(ProviderFailed) as caught:
        await gemini.submit(sample(simulators), http)
    error = caught.value
    assert (error.outcome, error.repeatable) == (outcome, repeatable)
    assert error.retry_after_seconds == parameters.get("retry_delay_seconds")
    assert (error.receipt.cost_usd is not None) == costs
    assert error.receipt.model == DEFAULT
    assert SIMULATOR_KEY not in f"{error} {error.receipt}"
    assert error.reason.isprintable()


SLOW: tuple[tuple[str, dict[str, Any]], ...] = (
    ("silent", {}),
    ("headers_then_silence", {}),
    ("drip", {"interval_seconds": 0.05}),
    ("slow", {"seconds": 30}),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "parameters"), SLOW)
async def test_no_behaviour_outlasts_the_deadline(
    http: ClientSession, simulators: Simulators, name: str, parameters: dict[str, Any]
) -> None:
    await simulators.behave(name, **parameters)
    started = asyncio.get_running_loop().time()
    with pytest.raises(ProviderFailed) as caught:
        await gemini.submit(sample(simulators, seconds=0.5), http)
    assert (caught.value.outcome, caught.value.repeatable) == (Outcome.TIMEOUT, False)
    assert asyncio.get_running_loop().time() - started < 1.0


def test_no_behaviour_of_the_simulator_is_left_out() -> None:
    tried = {name for table in (PICTURES, UNCHECKED, AT_ONCE, SLOW) for name, *_ in table}
    assert tried == set(CATALOGUE)


@pytest.mark.anyio
@pytest.mark.parametrize("model", [name for name, model in MODELS.items() if not model.retired])
async def test_everything_providers_json_offers_is_taken(
    http: ClientSession, simulators: Simulators, model: str
) -> None:
    await simulators.behave("instant")
    known = MODELS[model].capabilities
    for name, values in (("size", "sizes"), ("aspect_ratio", "aspect_ratios"), ("thinking_level", "thinking_levels")):
        for value in known[values]:
            assert (await gemini.submit(sample(simulators, model=model, **{name: value}), http)).data


@pytest.mark.anyio
async def test_size_and_ratio_are_those_of_the_order(http: ClientSession, simulators: Simulators) -> None:
    image = await gemini.submit(sample(simulators, size="2K", aspect_ratio="9:16", thinking_level="Minimal"), http)
    assert Pillow.open(io.BytesIO(image.data)).size == (1536, 2752)
    assert (image.receipt.cost_usd or 0) > 0.0504


@pytest.mark.anyio
async def test_a_retired_model_and_a_wrong_key_are_told_apart(http: ClientSession, simulators: Simulators) -> None:
    for given, outcome, status in (
        ({"model": "gemini-2.5-flash-image"}, Outcome.MODEL_RETIRED, 404),
        ({"key": "another-key"}, Outcome.AUTH, 400),
    ):
        with pytest.raises(ProviderFailed) as caught:
            await gemini.submit(sample(simulators, **given), http)
        assert (caught.value.outcome, caught.value.receipt.http_status) == (outcome, status)
        checked = {"key": SIMULATOR_KEY, "model": DEFAULT, **given}
        with pytest.raises(ProviderFailed) as caught:
            await gemini.check_key(f"{simulators.url}/gemini", **checked, http=http)
        assert (caught.value.outcome, caught.value.receipt.http_status) == (outcome, status)


@pytest.mark.anyio
async def test_a_good_key_passes_its_check_without_a_picture_being_made(
    http: ClientSession, simulators: Simulators
) -> None:
    await gemini.check_key(f"{simulators.url}/gemini", key=SIMULATOR_KEY, model=DEFAULT, http=http)
    assert (await simulators.read("gemini/stats"))["billed"] == 0


@pytest.mark.anyio
async def test_sixteen_calls_at_once_do_not_disturb_each_other(http: ClientSession, simulators: Simulators) -> None:
    await simulators.behave("unavailable", times=5)
    calls = (gemini.submit(sample(simulators), http) for _ in range(16))
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(one, ProviderFailed) for one in ended) == 5
    assert sum(isinstance(one, Image) for one in ended) == 11
