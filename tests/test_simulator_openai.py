"""The OpenAI simulator makes real pictures, and knows its models and its keys."""

from collections.abc import AsyncIterator

import pytest
from PIL import ImageChops, ImageStat

from simulators.openai import KEY
from tests.simulated_openai import (
    BEARER,
    MODEL,
    OLD,
    PATH,
    PHOTO,
    OpenAISimulator,
    edit,
    image,
    mask_bytes,
    opened,
    picture_bytes,
    pictures_of,
    simulated,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def simulator(anyio_backend: str) -> AsyncIterator[OpenAISimulator]:
    async with simulated() as simulator:
        yield simulator


# Pictures


async def test_the_picture_is_the_photo_visibly_changed_around_its_middle(simulator: OpenAISimulator) -> None:
    status, answer = await simulator.ask(edit(size="1536x1024", output_format="jpeg"))
    assert status == 200, answer
    changed = opened(pictures_of(answer)[0])
    assert (changed.format, changed.size) == ("JPEG", (1536, 1024))
    before = opened(PHOTO).convert("RGB").resize(changed.size)
    difference = ImageChops.difference(before, changed).convert("L")
    assert ImageStat.Stat(difference.crop((700, 400, 850, 550))).mean[0] < 5
    assert ImageStat.Stat(difference.crop((30, 30, 200, 990))).mean[0] > 12
    assert (answer["size"], answer["output_format"], answer["background"]) == ("1536x1024", "jpeg", "opaque")


@pytest.mark.parametrize(("output_format", "kind"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP")])
async def test_the_format_is_the_one_asked_for(simulator: OpenAISimulator, output_format: str, kind: str) -> None:
    for behaviour in ("ok", "instant"):
        await simulator.behave(behaviour)
        _, answer = await simulator.ask(edit(size="1024x1024", output_format=output_format))
        assert opened(pictures_of(answer)[0]).format == kind


async def test_without_a_format_it_is_a_png_and_n_pictures_differ(simulator: OpenAISimulator) -> None:
    _, answer = await simulator.ask(edit(n="3"))
    pictures = pictures_of(answer)
    assert {opened(data).format for data in pictures} == {"PNG"}
    assert len(set(pictures)) == 3


@pytest.mark.parametrize(
    ("model", "photo", "size"),
    [
        (OLD, (900, 600), (1536, 1024)),
        (OLD, (600, 900), (1024, 1536)),
        (OLD, (600, 610), (1024, 1024)),
        (MODEL, (900, 600), (1536, 1024)),
        (MODEL, (600, 900), (1024, 1536)),
        (MODEL, (1600, 900), (1680, 944)),
        (MODEL, (2000, 200), (2176, 720)),
    ],
)
async def test_auto_follows_the_photo(
    simulator: OpenAISimulator, model: str, photo: tuple[int, int], size: tuple[int, int]
) -> None:
    for settings in ({}, {"size": "auto"}):
        status, answer = await simulator.ask(edit(image(picture_bytes(*photo)), model=model, **settings))
        assert status == 200, answer
        assert opened(pictures_of(answer)[0]).size == size


async def test_a_second_picture_has_its_part_in_the_result(simulator: OpenAISimulator) -> None:
    first = image(field="image[]")
    results = []
    for colour in ("L", "RGB"):
        style = image(picture_bytes(64, 80, kind="PNG", mode=colour), field="image[]", name="style.png")
        status, answer = await simulator.ask(edit(first, style, output_format="jpeg"))
        assert status == 200, answer
        results.append(pictures_of(answer)[0])
    assert results[0] != results[1]
    facts = (await simulator.read("requests"))[-1]["pictures"]
    assert [(one["field"], one["filename"], one["mime"]) for one in facts] == [
        ("image[]", "photo.jpg", "image/jpeg"),
        ("image[]", "style.png", "image/png"),
    ]
    assert await simulator.violations() == []


async def test_where_the_mask_is_opaque_the_photo_stays(simulator: OpenAISimulator) -> None:
    photo = picture_bytes(900, 600)
    mask = image(mask_bytes(900, 600, editable=(0, 0, 450, 600)), field="mask", name="mask.png")
    _, answer = await simulator.ask(edit(image(photo), mask, size="1536x1024"))
    changed = opened(pictures_of(answer)[0])
    difference = ImageChops.difference(opened(photo).resize((1536, 1024)), changed).convert("L")
    assert ImageStat.Stat(difference.crop((800, 30, 1500, 990))).mean[0] < 3
    assert ImageStat.Stat(difference.crop((30, 30, 100, 990))).mean[0] > 12


async def test_a_transparent_background_is_one(simulator: OpenAISimulator) -> None:
    _, answer = await simulator.ask(edit(model=OLD, background="transparent", output_format="png"))
    alpha = opened(pictures_of(answer)[0]).getchannel("A")
    assert alpha.getextrema() == (0, 255)
    assert answer["background"] == "transparent"


async def test_the_answer_says_what_it_cost(simulator: OpenAISimulator) -> None:
    _, answer = await simulator.ask(edit(prompt="Twelve chars", size="1024x1024", quality="high"))
    assert answer["usage"] == {
        "total_tokens": 7721,
        "input_tokens": 721,
        "output_tokens": 7000,
        "input_tokens_details": {"text_tokens": 3, "image_tokens": 718},
        "output_tokens_details": {"image_tokens": 7000, "text_tokens": 0},
    }
    assert (await simulator.read("openai/stats"))["billed"] == 1


async def test_every_answer_has_its_request_id(simulator: OpenAISimulator) -> None:
    ids = []
    for name in ("ok", "server_error"):
        await simulator.behave(name)
        await simulator.ask(edit())
        ids.append((await simulator.read("requests"))[-1]["request_id"])
    assert all(one.startswith("req_") for one in ids)
    assert ids[0] != ids[1]


# Models and keys


@pytest.mark.parametrize("model", ["gpt-image-1", "dall-e-2", "gpt-image-9"])
async def test_a_retired_or_unknown_model_is_not_found_and_that_is_no_violation(
    simulator: OpenAISimulator, model: str
) -> None:
    for status, answer in (
        await simulator.ask(edit(model=model)),
        await simulator.request("GET", f"/openai/v1/models/{model}", headers=BEARER),
    ):
        assert (status, answer["error"]["code"]) == (404, "model_not_found")
    assert await simulator.violations() == []


async def test_retired_models_can_be_made_to_answer() -> None:
    async with simulated(serve_retired=True) as simulator:
        status, _ = await simulator.ask(edit(model="gpt-image-1", input_fidelity="high"))
        assert status == 200


async def test_a_model_says_when_it_dies(simulator: OpenAISimulator) -> None:
    _, old = await simulator.request("GET", f"/openai/v1/models/{OLD}", headers=BEARER)
    _, new = await simulator.request("GET", f"/openai/v1/models/{MODEL}", headers=BEARER)
    assert (old["id"], old["object"], old["shutdown_date"]) == (OLD, "model", "2026-12-01")
    assert "shutdown_date" not in new
    _, listed = await simulator.request("GET", "/openai/v1/models", headers=BEARER)
    assert {MODEL, OLD} <= {model["id"] for model in listed["data"]}


@pytest.mark.parametrize(("method", "path"), [("POST", PATH), ("GET", "/openai/v1/models")])
async def test_a_wrong_key_is_unauthorised_and_is_not_told_whole(
    simulator: OpenAISimulator, method: str, path: str
) -> None:
    key = "sk-another-key-1234"
    status, answer = await simulator.request(method, path, headers={"Authorization": f"Bearer {key}"})
    assert (status, answer["error"]["code"]) == (401, "invalid_api_key")
    assert key not in str(answer)
    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": f"Basic {KEY}"}, {"api-key": KEY}):
        status, answer = await simulator.request(method, path, headers=headers)
        assert (status, answer["error"]["code"]) == (401, None)
    assert key not in str(await simulator.read("requests"))
    assert await simulator.violations() == []


async def test_a_key_named_in_a_scenario_is_a_good_one(simulator: OpenAISimulator) -> None:
    await simulator.behave("insufficient_quota", match={"key": "sk-poor"})
    status, answer = await simulator.ask(edit(), Authorization="Bearer sk-poor")
    assert (status, answer["error"]["code"]) == (429, "insufficient_quota")
    assert (await simulator.ask(edit()))[0] == 200
