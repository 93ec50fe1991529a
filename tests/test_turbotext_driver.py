"""The Turbotext driver's submits over real loopback HTTP: what is sent, and that a photo is bought once."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import ClientSession

from photochanger import providers
from runner.driver import Outcome, ProviderFailed
from runner.drivers import turbotext
from tests.loopback import Handler, response
from tests.turbotext_calls import FACE, KEY, PHOTO, PROVIDER, STYLE, Requests, answering, at, call, reading_only, silent

QUEUED = json.dumps({"success": True, "queueid": 918273}).encode()


@pytest.fixture
async def http(anyio_backend: str) -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


async def not_submitted(handler: Handler, http: ClientSession, **given: Any) -> ProviderFailed:
    async with at(handler) as url:
        with pytest.raises(ProviderFailed) as caught:
            await turbotext.submit(call(url, **given), http)
    assert KEY not in f"{caught.value} {caught.value.receipt}"
    assert "provider-media" not in f"{caught.value}"
    return caught.value


# What is sent


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "settings", "fields"),
    [
        ("mix_images", {}, {"url_image_target": PHOTO, "url": STYLE}),
        (
            "mix_images",
            {"prompt": "Ван Гог & co=1"},
            {"url_image_target": PHOTO, "url": STYLE, "content": "Ван Гог & co=1"},
        ),
        ("deepfake_photo", {}, {"url": PHOTO, "url_image_target": FACE}),
        ("deepfake_photo", {"face_restore": True}, {"url": PHOTO, "url_image_target": FACE, "face_restore": "True"}),
        ("deepfake_photo", {"face_restore": False}, {"url": PHOTO, "url_image_target": FACE, "face_restore": "False"}),
        ("generate_image2image", {"prompt": "x"}, {"url": PHOTO, "content": "x"}),
        (
            "generate_image2image",
            {
                "prompt": "x",
                "strength": 0,
                "seed": 10**10,
                "scale": 0.1,
                "negative_prompt": "a b",
                "original_language": "en",
            },
            {"url": PHOTO, "content": "x", "strength": "0", "seed": "10000000000", "scale": "0.1"}
            | {"negative_prompt": "a b", "original_language": "en"},
        ),
        (
            "generate_image2image",
            {"prompt": "x", "strength": 80.0, "seed": 1e10, "scale": 20.0, "negative_prompt": "", "retries": 2},
            {"url": PHOTO, "content": "x", "strength": "80", "seed": "10000000000", "scale": "20"},
        ),
        ("replace_object", {"prompt": "a hat"}, {"url": PHOTO, "content": "a hat"}),
    ],
)
async def test_each_method_gets_its_links_and_settings(
    http: ClientSession, method: str, settings: dict[str, Any], fields: dict[str, str]
) -> None:
    requests: Requests = []
    async with at(answering(response(QUEUED), requests=requests)) as url:
        accepted = await turbotext.submit(call(url, method=method, **settings), http)
    assert (accepted.reference, accepted.poll_after_seconds) == ("918273", 2.0)
    assert (accepted.receipt.model, accepted.receipt.http_status) == ("turbotext", 200)
    ((line, headers, body),) = requests
    assert line == f"POST /api_ai/{method} HTTP/1.1"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert dict(parse_qsl(body.decode("ascii"), strict_parsing=True)) == {"do": "create_queue", **fields}


@pytest.mark.anyio
@pytest.mark.parametrize("prompt", ["\ud800", "\x00", "a" * 4_000, "ж" * 4_000])
async def test_any_prompt_can_be_sent(http: ClientSession, prompt: str) -> None:
    requests: Requests = []
    async with at(answering(response(QUEUED), requests=requests)) as url:
        await turbotext.submit(call(url, prompt=prompt), http)
    assert dict(parse_qsl(requests[0][2].decode("ascii")))["content"] == prompt.replace("\ud800", "?")


@pytest.mark.anyio
@pytest.mark.parametrize("key", [None, "", "two\nlines", "ключ", "nul\x00"])
async def test_a_key_that_is_none_is_not_sent(http: ClientSession, key: str | None) -> None:
    requests: Requests = []
    error = await not_submitted(answering(response(QUEUED), requests=requests), http, key=key)
    assert (error.outcome, error.repeatable, requests) == (Outcome.AUTH, False, [])


@pytest.mark.anyio
async def test_a_call_without_its_links_or_its_method_is_not_made(http: ClientSession) -> None:
    requests: Requests = []
    async with at(answering(response(QUEUED), requests=requests)) as url:
        without = replace(call(url), links={"photo": PHOTO})
        for given, told in ((without, "no public link for: style"), (call(url, method=None), "names no method")):
            with pytest.raises(ProviderFailed) as caught:
                await turbotext.submit(given, http)
            assert (caught.value.outcome, caught.value.repeatable) == (Outcome.INVALID_REQUEST, False)
            assert told in caught.value.reason
    assert requests == []


@pytest.mark.parametrize("operation", [one for one in PROVIDER.operations.values() if one.enabled])
def test_every_operation_of_providers_json_has_the_roles_its_method_needs(operation: providers.Operation) -> None:
    wanted = turbotext.PICTURES[operation.options["method"]].values()
    assert sorted(wanted) == sorted(["photo", *operation.media_roles])
    assert operation.requires_public_media


def test_every_setting_of_providers_json_reaches_the_form() -> None:
    for_the_runner = {"retries", "repeat_interrupted"}
    known = {name for one in PROVIDER.operations.values() for name in one.settings_schema["properties"]}
    assert known - for_the_runner == set(turbotext.FIELDS)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("strength", [0, 40, 80], [-1, 81, 40.5, "40"]),
        ("seed", [1, 10**10], [0, 10**10 + 1]),
        ("scale", [0.1, 7.5, 20], [0.09, 20.1]),
        ("negative_prompt", ["", " a\n" + "b " * 79, "x" * 1000], ["a " * 81, "x" * 1001]),
        ("original_language", ["ru", "en"], ["", "RU"]),
        ("prompt", ["x", " x "], ["", "  \n", "x" * 4001]),
    ],
)
def test_providers_json_takes_what_turbotext_takes(name: str, good: list[Any], bad: list[Any]) -> None:
    def mistakes(value: Any) -> dict[str, str]:
        settings = {"prompt": "x", name: value}
        return providers.load().mistakes("turbotext", "image_edit", settings)

    assert [mistakes(value) for value in good] == [{} for _ in good]
    assert all(mistakes(value) for value in bad)


# A photo is bought once


@pytest.mark.anyio
async def test_a_lost_answer_to_a_submit_is_ambiguous(http: ClientSession) -> None:
    error = await not_submitted(reading_only, http)
    assert (error.outcome, error.repeatable) == (Outcome.AMBIGUOUS, False)
    error = await not_submitted(answering(response(QUEUED, length=len(QUEUED) + 5) + b""), http, seconds=0.4)
    assert (error.outcome, error.repeatable) == (Outcome.TIMEOUT, False)


@pytest.mark.anyio
async def test_what_was_never_sent_may_be_sent_again(http: ClientSession) -> None:
    async with at(silent) as url:
        pass
    with pytest.raises(ProviderFailed) as caught:
        await turbotext.submit(call(url), http)
    assert (caught.value.outcome, caught.value.repeatable) == (Outcome.NETWORK, True)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "answer",
    [
        response(b"<html>Sign in</html>"),
        response(b""),
        response(b'{"success": true}'),
        response(b'{"success": true, "queueid": null}'),
        response(b'{"success": true, "queueid": -1}'),
        response(b'{"success": true, "queueid": true}'),
        response(b"", status="302 Found", headers="Location: /elsewhere\r\n"),
        response(b"", length=50_000_000),
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    ],
)
async def test_an_unreadable_answer_to_a_submit_is_not_followed_by_another(http: ClientSession, answer: bytes) -> None:
    requests: Requests = []
    error = await not_submitted(answering(answer, requests=requests), http)
    assert (error.outcome, error.repeatable) == (Outcome.BAD_RESPONSE, False)
    assert len(requests) == 1
