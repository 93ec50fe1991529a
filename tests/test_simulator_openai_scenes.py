"""The OpenAI simulator does everything a scenario can name."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from simulators.openai import KEY
from simulators.openai_scenes import CATALOGUE
from tests.simulated_openai import MODEL, OpenAISimulator, edit, encoded, image, opened, pictures_of, simulated

pytestmark = pytest.mark.anyio

PATH = "/openai/v1/images/edits"


@pytest.fixture
async def simulator(anyio_backend: str) -> AsyncIterator[OpenAISimulator]:
    async with simulated() as simulator:
        yield simulator
        assert await simulator.violations() == []


ERRORS: tuple[tuple[str, dict[str, Any], int, str, str | None], ...] = (
    ("moderation_blocked", {}, 400, "image_generation_user_error", "moderation_blocked"),
    ("moderation_blocked", {"type": "user_error"}, 400, "user_error", "moderation_blocked"),
    ("content_policy_violation", {}, 400, "invalid_request_error", "content_policy_violation"),
    ("user_error", {}, 400, "image_generation_user_error", None),
    ("rate_limited", {}, 429, "input-images", "rate_limit_exceeded"),
    ("insufficient_quota", {}, 429, "insufficient_quota", "insufficient_quota"),
    ("billing_hard_limit", {}, 400, "billing_limit_user_error", "billing_hard_limit_reached"),
    ("billing_hard_limit", {"status": 429}, 429, "billing_limit_user_error", "billing_hard_limit_reached"),
    ("server_error", {}, 500, "server_error", None),
    ("server_error", {"status": 504}, 504, "server_error", None),
    ("overloaded", {}, 503, "overloaded_error", None),
    ("echo_key_error", {}, 500, "server_error", None),
    ("key_revoked", {}, 401, "invalid_request_error", "invalid_api_key"),
    ("not_verified", {}, 403, "invalid_request_error", None),
    ("region_not_allowed", {}, 403, "request_forbidden", "unsupported_country"),
    ("model_gone", {}, 404, "invalid_request_error", "model_not_found"),
)


@pytest.mark.parametrize(("name", "parameters", "status", "kind", "code"), ERRORS)
async def test_an_error_has_its_envelope(
    simulator: OpenAISimulator, name: str, parameters: dict[str, Any], status: int, kind: str, code: str | None
) -> None:
    await simulator.behave(name, **parameters)
    found, answer = await simulator.ask(edit())
    error = answer["error"]
    assert (found, error["type"], error["code"]) == (status, kind, code)
    assert set(error) == {"message", "type", "param", "code"}
    seen = (await simulator.read("requests"))[-1]
    assert KEY not in str(seen)
    assert (seen["behaviour"], seen["billed"]) == (name, False)


async def raw(simulator: OpenAISimulator) -> tuple[int, dict[str, str], bytes]:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "multipart/form-data; boundary=x"}
    body = encoded(edit(), boundary="x")
    async with simulator.session.post(
        simulator.url + PATH, data=body, headers=headers, allow_redirects=False
    ) as response:
        return response.status, {name.lower(): value for name, value in response.headers.items()}, await response.read()


@pytest.mark.parametrize(
    ("name", "parameters", "headers"),
    [
        ("rate_limited", {"retry_after_seconds": 3}, {"retry-after": "3"}),
        ("rate_limited", {"retry_after_ms": 1500}, {"retry-after-ms": "1500"}),
        ("insufficient_quota", {"with_hint": True}, {"retry-after": "1"}),
        ("server_error", {"should_retry": "false"}, {"x-should-retry": "false"}),
        ("redirect", {"status": 307}, {"location": "/openai/redirected"}),
        ("cloudflare", {"status": 520}, {"content-type": "text/html; charset=UTF-8"}),
        ("plain_text_error", {}, {"content-type": "text/plain"}),
    ],
)
async def test_headers_are_as_told(
    simulator: OpenAISimulator, name: str, parameters: dict[str, Any], headers: dict[str, str]
) -> None:
    await simulator.behave(name, **parameters)
    status, found, _ = await raw(simulator)
    assert status == parameters.get("status", status)
    assert {header: found.get(header) for header in headers} == headers


ANSWERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("empty_data", {}),
    ("no_data", {}),
    ("without_usage", {}),
    ("without_details", {}),
    ("invalid_base64", {}),
    ("picture_cut", {}),
    ("picture_zero_bytes", {}),
    ("picture_wrong_type", {}),
    ("picture_bomb", {"kind": "png_header"}),
    ("other_format", {"mime": "image/png"}),
)


@pytest.mark.parametrize(("name", "parameters"), ANSWERS)
async def test_an_answer_without_the_picture_is_otherwise_whole(
    simulator: OpenAISimulator, name: str, parameters: dict[str, Any]
) -> None:
    await simulator.behave(name, **parameters)
    status, answer = await simulator.ask(edit(output_format="jpeg", size="1024x1024"))
    assert (status, answer["size"], answer["quality"]) == (200, "1024x1024", "medium")
    assert ("data" in answer) == (name != "no_data")
    assert ("usage" in answer) == (name != "without_usage")
    assert (await simulator.read("openai/stats"))["billed"] == 1
    if name == "other_format":
        assert opened(pictures_of(answer)[0]).format == "PNG"


RAW: tuple[tuple[str, dict[str, Any]], ...] = (
    ("html_200", {}),
    ("empty_body", {}),
    ("truncated_json", {}),
    ("deep_json", {"levels": 1000}),
    ("wrong_shape", {"shape": "url_only"}),
    ("huge_body", {"megabytes": 3}),
)


@pytest.mark.parametrize(("name", "parameters"), RAW)
async def test_rubbish_comes_with_200(simulator: OpenAISimulator, name: str, parameters: dict[str, Any]) -> None:
    await simulator.behave(name, **parameters)
    status, _, body = await raw(simulator)
    assert status == 200
    if name == "huge_body":
        assert len(body) > 3 * 1024 * 1024


@pytest.mark.parametrize(("name", "billed"), [("reset_before", 0), ("reset_after", 1)])
async def test_a_reset_may_have_been_paid_for(simulator: OpenAISimulator, name: str, billed: int) -> None:
    await simulator.behave(name)
    with pytest.raises(aiohttp.ClientError):
        await simulator.ask(edit())
    assert (await simulator.read("openai/stats"))["billed"] == billed


@pytest.mark.parametrize("name", ["silent", "headers_then_silence", "drip"])
async def test_silence_ends_with_the_clients_patience(simulator: OpenAISimulator, name: str) -> None:
    await simulator.behave(name)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await simulator.ask(edit())
    await asyncio.sleep(0.1)
    assert (await simulator.read("openai/stats"))["in_flight"] == 0


SPEEDS: tuple[tuple[str, dict[str, Any], float, float], ...] = (
    ("slow", {"seconds": 2.0}, 2.0, 60.0),
    ("instant", {}, 0.0, 2.0),
)


async def test_slow_and_instant_take_their_time(simulator: OpenAISimulator) -> None:
    for name, given, least, most in SPEEDS:
        await simulator.behave(name, **given)
        await simulator.ask(edit())
        started = time.monotonic()
        status, _ = await simulator.ask(edit())
        assert status == 200
        assert least <= time.monotonic() - started < most


async def test_rules_go_by_prompt_model_and_count(simulator: OpenAISimulator) -> None:
    await simulator.behave("overloaded", times=2, match={"prompt_contains": "wedding"})
    await simulator.behave("empty_data", match={"model": "gpt-image-2"})
    prompts = ("a wedding", "a picnic", "a wedding", "a wedding")
    assert [(await simulator.ask(edit(prompt=prompt)))[0] for prompt in prompts] == [503, 200, 503, 200]
    assert (await simulator.ask(edit(model="gpt-image-2")))[1]["data"] == []


async def test_the_journal_knows_pictures_by_their_hash_only(simulator: OpenAISimulator) -> None:
    await simulator.ask(edit(image(), user="booth-1"))
    seen = (await simulator.read("requests"))[-1]
    assert (seen["model"], seen["prompt"], seen["settings"]) == (MODEL, "Studio portrait", {"user": "booth-1"})
    assert set(seen["pictures"][0]) == {"field", "filename", "mime", "bytes", "sha256", "width", "height"}


def test_no_behaviour_is_left_out() -> None:
    tried = {name for table in (ERRORS, ANSWERS, RAW) for name, *_ in table}
    tried |= {"ok", "instant", "slow", "redirect", "cloudflare", "plain_text_error"}
    tried |= {"silent", "drip", "headers_then_silence", "reset_before", "reset_after"}
    assert tried == set(CATALOGUE)
