"""The Gemini simulator's models, keys and paths: what it knows, lists and refuses."""

from collections.abc import AsyncIterator

import pytest

from simulators.gemini import KEY
from tests.simulated import MODEL, Simulators, asking, inline, photo_bytes, simulated

pytestmark = pytest.mark.anyio

OLD = "gemini-2.5-flash-image"


@pytest.fixture
async def simulators(anyio_backend: str) -> AsyncIterator[Simulators]:
    async with simulated() as simulators:
        yield simulators


@pytest.mark.parametrize(
    "model",
    [
        OLD,
        "gemini-2.5-flash-image-preview",
        "gemini-3-pro-image-preview",
        "gemini-3.1-flash-image",
        "gemini-3.1-flash-image-preview",
        "gemini-9",
    ],
)
async def test_a_retired_or_unknown_model_is_not_found_and_that_is_no_violation(
    simulators: Simulators, model: str
) -> None:
    for status, answer in (
        await simulators.ask(asking(), model=model),
        await simulators.request("GET", f"/gemini/v1beta/models/{model}", headers={"x-goog-api-key": KEY}),
    ):
        assert (status, answer["error"]["code"], answer["error"]["status"]) == (404, 404, "NOT_FOUND")
        assert f"models/{model} is not found for API version v1beta" in answer["error"]["message"]
    assert await simulators.violations() == []


async def test_the_key_is_taken_from_the_header_or_the_query(simulators: Simulators) -> None:
    path = f"/gemini/v1beta/models/{MODEL}"
    status, _ = await simulators.request("GET", path, headers={"x-goog-api-key": KEY})
    assert status == 200
    status, _ = await simulators.request("GET", path, params={"key": KEY})
    assert status == 200


@pytest.mark.parametrize("method", ["generateContent", "countTokens", "list", "get"])
async def test_an_unknown_key_is_an_invalid_argument_and_none_is_forbidden(simulators: Simulators, method: str) -> None:
    base = "/gemini/v1beta/models"
    ways: dict[str, tuple[str, str]] = {"list": ("GET", base), "get": ("GET", f"{base}/{MODEL}")}
    verb, path = ways.get(method, ("POST", f"{base}/{MODEL}:{method}"))
    status, answer = await simulators.request(verb, path, headers={"x-goog-api-key": "another-key"})
    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")
    info = answer["error"]["details"][0]
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert (info["reason"], info["domain"]) == ("API_KEY_INVALID", "googleapis.com")
    status, answer = await simulators.request(verb, path)
    assert (status, answer["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert await simulators.violations() == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/gemini/v1beta/models/{MODEL}:generateContent"),
        ("POST", f"/gemini/v2/models/{MODEL}:generateContent"),
        ("POST", f"/gemini/v1beta/models/{MODEL}"),
        ("POST", f"/gemini/v1beta/models/{MODEL}:streamGenerateContent"),
        ("POST", f"/gemini/v1beta//models/{MODEL}:generateContent"),
        ("GET", "/gemini/redirected"),
    ],
)
async def test_an_unknown_path_is_a_violation(simulators: Simulators, method: str, path: str) -> None:
    status, answer = await simulators.request(method, path, headers={"x-goog-api-key": KEY})
    assert (status, answer["error"]["status"]) == (404, "NOT_FOUND")
    assert await simulators.violations() == [f"There is no {method} {path}."]


async def test_an_unknown_query_name_is_a_violation(simulators: Simulators) -> None:
    status, _ = await simulators.request("GET", f"/gemini/v1/models/{MODEL}", params={"key": KEY, "verbose": "1"})
    assert status == 400
    assert len(await simulators.violations()) == 1


async def test_the_models_are_listed_page_by_page_without_the_retired(simulators: Simulators) -> None:
    names: list[str] = []
    token = ""
    for _ in range(3):
        params = {"key": KEY, "pageSize": "1"} | ({"pageToken": token} if token else {})
        _, page = await simulators.request("GET", "/gemini/v1beta/models", params=params)
        names += [model["name"] for model in page["models"]]
        token = page.get("nextPageToken", "")
    assert token == ""
    assert sorted(names) == [
        "models/gemini-3-pro-image",
        "models/gemini-3.1-flash-lite-image",
        "models/gemini-nano-banana-2.1",
    ]


async def test_a_model_says_what_it_can(simulators: Simulators) -> None:
    _, model = await simulators.request("GET", f"/gemini/v1beta/models/{MODEL}", params={"key": KEY})
    assert model["name"] == f"models/{MODEL}"
    assert model["supportedGenerationMethods"] == ["generateContent", "countTokens"]
    assert {"version", "displayName", "inputTokenLimit", "outputTokenLimit"} <= set(model)


async def test_tokens_are_counted_without_a_picture_being_made(simulators: Simulators) -> None:
    direct = asking(inline(photo_bytes(80, 60)), prompt="Twelve chars")
    wrapped = {"generateContentRequest": {"model": f"models/{MODEL}", **direct}}
    for document in (direct, wrapped):
        status, answer = await simulators.ask(document, method="countTokens")
        assert (status, answer["totalTokens"]) == (200, 1293)
    status, _ = await simulators.ask(direct | wrapped, method="countTokens")
    assert status == 400
    assert (await simulators.read("gemini/stats"))["requests"] == 0
