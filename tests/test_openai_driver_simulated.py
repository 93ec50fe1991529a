"""The OpenAI driver against its simulator: the whole of the protocol, and what everything in it comes to."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from PIL import Image as Pillow

from photochanger import providers
from runner.driver import Call, Image, Outcome, ProviderFailed
from runner.drivers import openai
from simulators.openai import KEY as SIMULATOR_KEY
from simulators.openai_scenes import CATALOGUE, WRONG_SHAPES
from simulators.sample import SAMPLE
from simulators.server import serving
from tests.simulated_openai import OpenAISimulator, picture_bytes
from tests.test_openai_driver import DEFAULT, MODELS, PROVIDER, call, prepared


@pytest.fixture
async def http(anyio_backend: str) -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@pytest.fixture
async def simulator(anyio_backend: str, http: ClientSession) -> AsyncIterator[OpenAISimulator]:
    """At the end nothing may have been malformed."""
    async with serving() as served:
        simulator = OpenAISimulator(served.url, http)
        yield simulator
        assert await simulator.violations() == []


def sample(simulator: OpenAISimulator, *, key: str = SIMULATOR_KEY, **given: Any) -> Call:
    return call(SAMPLE, f"{simulator.url}/openai", key=key, **given)


PICTURES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ok", {}),
    ("instant", {}),
    ("slow", {"seconds": 0.1}),
    ("other_format", {"mime": "image/png"}),
    ("without_usage", {}),
    ("without_details", {}),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "parameters"), PICTURES)
async def test_the_simulator_changes_the_photo(
    http: ClientSession, simulator: OpenAISimulator, name: str, parameters: dict[str, Any]
) -> None:
    await simulator.behave(name, **parameters)
    image = await openai.submit(sample(simulator, size="1536x1024", quality="medium"), http)
    with Pillow.open(io.BytesIO(image.data)) as picture:
        picture.load()
        assert picture.format == ("PNG" if name == "other_format" else "JPEG")
        assert picture.size == (1536, 1024) or name not in {"ok", "slow"}
    receipt = image.receipt
    seen = (await simulator.read("requests"))[-1]
    assert (receipt.model, receipt.http_status, receipt.request_id) == (DEFAULT, 200, seen["request_id"])
    assert receipt.cost_usd is not None
    assert 0.04 < receipt.cost_usd < 0.1
    if name == "ok":
        assert seen["pictures"][0]["sha256"] == hashlib.sha256(SAMPLE.read_bytes()).hexdigest()
        assert receipt.usage == {
            "input_tokens": 722,
            "input_text_tokens": 4,
            "input_image_tokens": 718,
            "output_tokens": 2650,
            "output_text_tokens": 0,
            "output_image_tokens": 2650,
            "total_tokens": 3372,
        }
        assert receipt.cost_usd == pytest.approx((4 * 5 + 718 * 8 + 2650 * 30) / 1_000_000)


@pytest.mark.anyio
async def test_a_style_is_transferred(http: ClientSession, simulator: OpenAISimulator, tmp_path: Path) -> None:
    style = tmp_path / "style.png"
    style.write_bytes(picture_bytes(300, 200, kind="PNG"))
    templates = {"style": prepared(style, mime="image/png")}
    image = await openai.submit(sample(simulator, operation="style_transfer", templates=templates), http)
    assert Pillow.open(io.BytesIO(image.data)).format == "JPEG"
    seen = (await simulator.read("requests"))[-1]
    assert [one["filename"] for one in seen["pictures"]] == ["photo.jpg", "style.png"]
    assert "The first image" in seen["prompt"]


UNCHECKED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("picture_cut", {}),
    ("picture_wrong_type", {}),
    ("picture_bomb", {}),
    ("picture_bomb", {"kind": "png_header"}),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "parameters"), UNCHECKED)
async def test_a_picture_that_is_none_is_left_for_the_caller_to_find_out(
    http: ClientSession, simulator: OpenAISimulator, name: str, parameters: dict[str, Any]
) -> None:
    await simulator.behave(name, **parameters)
    assert (await openai.submit(sample(simulator), http)).data


AT_ONCE: tuple[tuple[str, dict[str, Any], Outcome, bool, float | None], ...] = (
    # behaviour, its parameters, what it comes to, whether it may be repeated, the provider's hint
    ("empty_data", {}, Outcome.NO_IMAGE, True, None),
    ("no_data", {}, Outcome.BAD_RESPONSE, True, None),
    ("moderation_blocked", {}, Outcome.CONTENT_BLOCKED, False, None),
    ("moderation_blocked", {"type": "user_error"}, Outcome.CONTENT_BLOCKED, False, None),
    ("content_policy_violation", {}, Outcome.CONTENT_BLOCKED, False, None),
    ("user_error", {}, Outcome.CONTENT_BLOCKED, False, None),
    ("rate_limited", {}, Outcome.RATE_LIMITED, True, None),
    ("rate_limited", {"retry_after_seconds": 3}, Outcome.RATE_LIMITED, True, 3),
    ("rate_limited", {"retry_after_ms": 1500}, Outcome.RATE_LIMITED, True, 1.5),
    ("rate_limited", {"retry_after_ms": 1500, "retry_after_seconds": 2}, Outcome.RATE_LIMITED, True, 1.5),
    ("insufficient_quota", {}, Outcome.QUOTA_EXHAUSTED, False, None),
    ("insufficient_quota", {"with_hint": True}, Outcome.QUOTA_EXHAUSTED, False, None),
    ("billing_hard_limit", {}, Outcome.QUOTA_EXHAUSTED, False, None),
    ("billing_hard_limit", {"status": 429}, Outcome.QUOTA_EXHAUSTED, False, None),
    *(("server_error", {"status": status}, Outcome.PROVIDER_UNAVAILABLE, True, None) for status in (500, 502, 504)),
    ("server_error", {"should_retry": "true"}, Outcome.PROVIDER_UNAVAILABLE, True, None),
    ("server_error", {"should_retry": "false"}, Outcome.PROVIDER_UNAVAILABLE, False, None),
    ("overloaded", {}, Outcome.PROVIDER_UNAVAILABLE, True, None),
    *(("cloudflare", {"status": status}, Outcome.PROVIDER_UNAVAILABLE, True, None) for status in (502, 520, 524)),
    ("plain_text_error", {}, Outcome.PROVIDER_UNAVAILABLE, True, None),
    ("echo_key_error", {}, Outcome.PROVIDER_UNAVAILABLE, True, None),
    ("key_revoked", {}, Outcome.AUTH, False, None),
    ("not_verified", {}, Outcome.AUTH, False, None),
    ("region_not_allowed", {}, Outcome.AUTH, False, None),
    ("model_gone", {}, Outcome.MODEL_RETIRED, False, None),
    *(("redirect", {"status": status}, Outcome.BAD_RESPONSE, False, None) for status in (301, 302, 303, 307, 308)),
    ("html_200", {}, Outcome.BAD_RESPONSE, True, None),
    ("empty_body", {}, Outcome.BAD_RESPONSE, True, None),
    ("truncated_json", {}, Outcome.BAD_RESPONSE, True, None),
    ("deep_json", {}, Outcome.BAD_RESPONSE, True, None),
    *(("wrong_shape", {"shape": shape}, Outcome.BAD_RESPONSE, True, None) for shape in WRONG_SHAPES),
    ("huge_body", {}, Outcome.BAD_RESPONSE, True, None),
    ("huge_body", {"megabytes": 1000, "compressed": True}, Outcome.BAD_RESPONSE, True, None),
    ("invalid_base64", {}, Outcome.BAD_RESPONSE, True, None),
    ("picture_zero_bytes", {}, Outcome.BAD_RESPONSE, True, None),
    ("reset_before", {}, Outcome.AMBIGUOUS, False, None),
    ("reset_after", {}, Outcome.AMBIGUOUS, False, None),
)
COSTS = {"empty_data", "no_data", "invalid_base64", "picture_zero_bytes"}


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "parameters", "outcome", "repeatable", "hint"), AT_ONCE)
async def test_every_behaviour_without_a_picture_has_its_outcome(
    http: ClientSession,
    simulator: OpenAISimulator,
    name: str,
    parameters: dict[str, Any],
    outcome: Outcome,
    repeatable: bool,
    hint: float | None,
) -> None:
    await simulator.behave(name, **parameters)
    with pytest.raises(ProviderFailed) as caught:
        await openai.submit(sample(simulator), http)
    error = caught.value
    assert (error.outcome, error.repeatable, error.retry_after_seconds) == (outcome, repeatable, hint)
    assert (error.receipt.cost_usd is not None) == (name in COSTS)
    assert error.receipt.model == DEFAULT
    assert error.receipt.request_id == (await simulator.read("requests"))[-1].get("request_id")
    assert SIMULATOR_KEY not in f"{error} {error.receipt}"
    assert error.reason.isprintable()
    assert "<" not in error.reason


SLOW: tuple[tuple[str, dict[str, Any]], ...] = (
    ("silent", {}),
    ("headers_then_silence", {}),
    ("drip", {"interval_seconds": 0.05}),
    ("slow", {"seconds": 60}),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "parameters"), SLOW)
async def test_no_behaviour_outlasts_the_deadline(
    http: ClientSession, simulator: OpenAISimulator, name: str, parameters: dict[str, Any]
) -> None:
    await simulator.behave(name, **parameters)
    started = asyncio.get_running_loop().time()
    with pytest.raises(ProviderFailed) as caught:
        await openai.submit(sample(simulator, seconds=0.5), http)
    assert (caught.value.outcome, caught.value.repeatable) == (Outcome.TIMEOUT, False)
    assert asyncio.get_running_loop().time() - started < 1.0


def test_no_behaviour_of_the_simulator_is_left_out() -> None:
    tried = {name for table in (PICTURES, UNCHECKED, AT_ONCE, SLOW) for name, *_ in table}
    assert tried == set(CATALOGUE)


@pytest.mark.anyio
@pytest.mark.parametrize("model", [name for name, model in MODELS.items() if not model.retired])
async def test_everything_providers_json_offers_is_taken(
    http: ClientSession, simulator: OpenAISimulator, model: str
) -> None:
    await simulator.behave("instant")
    known = MODELS[model].capabilities
    sizes = known.get("sizes", ["816x816", "1536x1024", "3840x2160", "1280x3840"])
    for name, values in (("size", sizes), ("quality", known["qualities"]), ("background", known["backgrounds"])):
        for value in [*values, "auto"]:
            assert (await openai.submit(sample(simulator, model=model, **{name: value}), http)).data
    for value in ("low", "high"):
        assert (await openai.submit(sample(simulator, model=model, input_fidelity=value), http)).data


def test_every_setting_that_a_slot_can_have_is_one_the_models_know() -> None:
    for operation in PROVIDER.operations.values():
        properties = operation.settings_schema["properties"]
        for name, capability in (("quality", "qualities"), ("background", "backgrounds")):
            taken = {value for model in MODELS.values() for value in model.capabilities.get(capability, ())}
            assert set(properties[name]["enum"]) == taken | {"auto"}
        assert set(properties["model"]["enum"]) == set(MODELS)
        roles = operation.options.get("pictures", ["photo"])
        assert set(roles) == {"photo", *operation.media_roles}


@pytest.mark.anyio
async def test_a_retired_model_and_a_wrong_key_are_told_apart(http: ClientSession, simulator: OpenAISimulator) -> None:
    old = sample(simulator)
    retired = Call(**{**vars(old), "model": providers.Model(**{**vars(old.model), "name": "gpt-image-1"})})
    for one, outcome, status in (
        (retired, Outcome.MODEL_RETIRED, 404),
        (sample(simulator, key="another-key"), Outcome.AUTH, 401),
    ):
        with pytest.raises(ProviderFailed) as caught:
            await openai.submit(one, http)
        assert (caught.value.outcome, caught.value.receipt.http_status) == (outcome, status)
        with pytest.raises(ProviderFailed) as caught:
            await openai.check_key(one.base_url, key=one.key or "", model=one.model.name, http=http)
        assert (caught.value.outcome, caught.value.receipt.http_status) == (outcome, status)


@pytest.mark.anyio
async def test_a_good_key_passes_its_check_without_a_picture_being_made(
    http: ClientSession, simulator: OpenAISimulator
) -> None:
    await openai.check_key(f"{simulator.url}/openai", key=SIMULATOR_KEY, model=DEFAULT, http=http)
    assert (await simulator.read("openai/stats"))["requests"] == 0


@pytest.mark.anyio
async def test_sixteen_calls_at_once_do_not_disturb_each_other(http: ClientSession, simulator: OpenAISimulator) -> None:
    await simulator.behave("overloaded", times=5)
    calls = (openai.submit(sample(simulator, seconds=90), http) for _ in range(16))
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(one, ProviderFailed) for one in ended) == 5
    assert sum(isinstance(one, Image) for one in ended) == 11
