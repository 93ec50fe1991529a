"""The Turbotext driver through the simulator's whole play: every behaviour, every method, and no violation."""

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession
from PIL import Image as Pillow

from runner.driver import Outcome, ProviderFailed
from runner.drivers import turbotext
from simulators.turbotext import KEY as SIMULATOR_KEY
from simulators.turbotext_scenes import CATALOGUE
from tests.turbotext_house import House, opened_house


@pytest.fixture
async def http(anyio_backend: str) -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@pytest.fixture
async def house(http: ClientSession) -> AsyncIterator[House]:
    async with opened_house(http) as house:
        yield house


GIVES_A_PICTURE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ok", {}),
    ("ok", {"reconnects": 3}),
    ("instant", {}),
    ("uploaded_image_in_data", {}),
    ("image_absolute_in_list", {}),
    ("image_relative_in_list", {}),
    ("queueid_as_text", {}),
    ("malformed_json", {}),
    ("malformed_json", {"at": "create_queue"}),
    ("python_quotes", {}),
    ("python_quotes", {"at": "create_queue"}),
    ("result_not_found_at_first", {"misses": 2}),
    ("result_needs_key", {}),
    ("slow_download", {"download_seconds": 0.5}),
    ("internal", {"at": "get_result", "polls": 2}),
    ("html_200", {"at": "get_result", "polls": 2}),
    ("unknown_status", {"polls": 2}),
    ("reset_before", {"at": "get_result", "polls": 2}),
    ("redirect_on_post", {"at": "get_result", "polls": 2}),
    ("error", {"at": "get_result", "polls": 2, "code": "provider_busy"}),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "parameters"), GIVES_A_PICTURE)
@pytest.mark.parametrize("method", list(turbotext.PICTURES))
async def test_the_simulator_gives_its_picture(
    house: House, method: str, name: str, parameters: dict[str, Any]
) -> None:
    await house.play(name, **parameters)
    image = await house.run(method=method)
    Pillow.open(io.BytesIO(image.data)).load()
    assert image.receipt.usage is not None
    assert image.receipt.usage["photo_credits_left"] > 0
    assert (await house.read("turbotext/stats"))["billed"] == 1


FAILS_AT_SUBMIT: tuple[tuple[str, dict[str, Any], Outcome, bool], ...] = (
    ("error", {"code": "params_error"}, Outcome.INVALID_REQUEST, False),
    ("error", {"code": "LIMIT"}, Outcome.QUOTA_EXHAUSTED, False),
    ("error", {"code": "url_error"}, Outcome.INVALID_REQUEST, False),
    ("error", {"code": "size_error"}, Outcome.INVALID_REQUEST, False),
    ("error", {"code": "quality_limit"}, Outcome.INVALID_REQUEST, False),
    ("error", {"code": "face_not_detected"}, Outcome.INVALID_REQUEST, False),
    ("error", {"code": "face_not_found"}, Outcome.INVALID_REQUEST, False),
    ("error", {"code": "provider_busy"}, Outcome.PROVIDER_UNAVAILABLE, True),
    ("error", {"code": "что-то новое"}, Outcome.INVALID_REQUEST, False),
    ("unauthorized", {}, Outcome.AUTH, False),
    ("forbidden", {}, Outcome.AUTH, False),
    ("internal", {}, Outcome.AMBIGUOUS, False),
    ("html_200", {}, Outcome.BAD_RESPONSE, False),
    ("redirect_on_post", {}, Outcome.BAD_RESPONSE, False),
    ("echo_key_error", {}, Outcome.INVALID_REQUEST, False),
    ("reset_before", {}, Outcome.AMBIGUOUS, False),
    ("reset_after_create", {}, Outcome.AMBIGUOUS, False),
    ("queueid_null", {}, Outcome.BAD_RESPONSE, False),
    ("queueid_negative", {}, Outcome.BAD_RESPONSE, False),
    ("unknown_status", {"at": "create_queue"}, Outcome.BAD_RESPONSE, False),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "parameters", "outcome", "repeatable"), FAILS_AT_SUBMIT)
async def test_every_way_to_refuse_a_photo_has_its_outcome(
    house: House, http: ClientSession, name: str, parameters: dict[str, Any], outcome: Outcome, repeatable: bool
) -> None:
    await house.play(name, **parameters)
    with pytest.raises(ProviderFailed) as caught:
        await turbotext.submit(house.call(), http)
    error = caught.value
    assert (error.outcome, error.repeatable) == (outcome, repeatable)
    assert error.receipt.model == "turbotext"
    assert SIMULATOR_KEY not in f"{error} {error.receipt}"
    assert error.reason.isprintable()


FAILS_LATER: tuple[tuple[str, dict[str, Any], Outcome, bool], ...] = (
    ("forbidden_content", {}, Outcome.CONTENT_BLOCKED, False),
    ("forbidden_content", {"written": "text"}, Outcome.CONTENT_BLOCKED, False),
    ("success_without_result", {}, Outcome.NO_IMAGE, False),
    ("error", {"at": "get_result", "code": "face_not_found"}, Outcome.INVALID_REQUEST, False),
    ("error", {"at": "get_result", "code": "LIMIT"}, Outcome.QUOTA_EXHAUSTED, False),
    ("error", {"at": "get_result", "code": "provider_busy"}, Outcome.PROVIDER_UNAVAILABLE, True),
    ("unauthorized", {"at": "get_result"}, Outcome.AUTH, False),
    ("forbidden", {"at": "get_result"}, Outcome.AUTH, False),
    ("echo_key_error", {"at": "get_result"}, Outcome.INVALID_REQUEST, False),
    ("internal", {"at": "get_result"}, Outcome.PROVIDER_UNAVAILABLE, True),
    ("html_200", {"at": "get_result"}, Outcome.BAD_RESPONSE, True),
    ("redirect_on_post", {"at": "get_result"}, Outcome.BAD_RESPONSE, True),
    ("unknown_status", {}, Outcome.BAD_RESPONSE, True),
    ("reset_before", {"at": "get_result"}, Outcome.NETWORK, True),
    ("result_not_found_at_first", {"misses": 99}, Outcome.BAD_RESPONSE, True),
    ("result_gone", {}, Outcome.BAD_RESPONSE, False),
    ("ok", {"lifetime_seconds": 0}, Outcome.BAD_RESPONSE, False),
    ("result_huge", {}, Outcome.BAD_RESPONSE, False),
    ("result_elsewhere", {}, Outcome.BAD_RESPONSE, False),
    ("result_elsewhere", {"redirect": True}, Outcome.BAD_RESPONSE, False),
    ("result_elsewhere", {"url": "http://[::ffff:169.254.169.254]/"}, Outcome.BAD_RESPONSE, False),
    ("result_elsewhere", {"url": "https://2130706433/x", "redirect": True}, Outcome.BAD_RESPONSE, False),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "parameters", "outcome", "repeatable"), FAILS_LATER)
async def test_every_way_to_fail_later_has_its_outcome(
    house: House, name: str, parameters: dict[str, Any], outcome: Outcome, repeatable: bool
) -> None:
    await house.play(name, **parameters)
    with pytest.raises(ProviderFailed) as caught:
        await house.run()
    error = caught.value
    assert (error.outcome, error.repeatable) == (outcome, repeatable)
    assert SIMULATOR_KEY not in f"{error} {error.receipt}"
    assert error.reason.isprintable()
    assert (await house.read("turbotext/stats"))["billed"] == 1


UNCHECKED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("result_not_a_picture", {}),
    ("result_not_a_picture", {"declared": "image/jpeg"}),
    ("result_cut", {}),
    ("result_bomb", {"kind": "png_header"}),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "parameters"), UNCHECKED)
async def test_what_is_no_picture_is_handed_on_for_the_check_that_decodes(
    house: House, name: str, parameters: dict[str, Any]
) -> None:
    await house.play(name, **parameters)
    assert (await house.run()).data


SLOW: tuple[tuple[str, dict[str, Any]], ...] = (
    ("silent", {}),
    ("silent", {"at": "get_result"}),
    ("endless_reconnect", {}),
    ("slow", {}),
    ("slow_download", {}),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "parameters"), SLOW)
async def test_no_behaviour_outlasts_the_deadline(house: House, name: str, parameters: dict[str, Any]) -> None:
    await house.play(name, **parameters)
    started = asyncio.get_running_loop().time()
    with pytest.raises(ProviderFailed) as caught:
        await house.run(seconds=0.8)
    assert (caught.value.outcome, caught.value.repeatable) == (Outcome.TIMEOUT, False)
    assert asyncio.get_running_loop().time() - started < 1.3


def test_no_behaviour_of_the_simulator_is_left_out() -> None:
    tables = (GIVES_A_PICTURE, FAILS_AT_SUBMIT, FAILS_LATER, UNCHECKED, SLOW)
    assert {name for table in tables for name, *_ in table} == set(CATALOGUE)
