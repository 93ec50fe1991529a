"""The OpenAI simulator makes real pictures, knows its models and its keys, and refuses every malformed form."""

from collections.abc import AsyncIterator

import pytest
from PIL import ImageChops, ImageStat

from simulators.openai import KEY
from tests.simulated_openai import (
    MODEL,
    PHOTO,
    OpenAISimulator,
    Part,
    edit,
    image,
    mask_bytes,
    opened,
    picture_bytes,
    pictures_of,
    simulated,
    text,
)

pytestmark = pytest.mark.anyio

PATH = "/openai/v1/images/edits"
BEARER = {"Authorization": f"Bearer {KEY}"}
OLD = "gpt-image-1.5"


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


# Malformed requests

PNG = picture_bytes(80, 60, kind="PNG")
HOLES = mask_bytes(80, 60, editable=(0, 0, 10, 10))
SIXTEEN = [image(picture_bytes(64, 64), field="image[]")] * 16


def with_mask(data: bytes, *, name: str = "mask.png") -> list[Part]:
    return edit(image(PNG, name="photo.png"), image(data, field="mask", name=name))


MALFORMED: dict[str, tuple[list[Part], str | None, str]] = {
    "no model": ([text("prompt", "x"), image()], "missing_required_parameter", "'model'"),
    "no prompt": ([text("model", MODEL), image()], "missing_required_parameter", "'prompt'"),
    "empty prompt": (edit(prompt=" "), "missing_required_parameter", "'prompt'"),
    "long prompt": (edit(prompt="x" * 32_001), "string_above_max_length", "32000"),
    "no image": (edit(text("user", "booth")), "missing_required_parameter", "'image'"),
    "two of image": (edit(image(), image()), "duplicate_parameter", "image[]"),
    "both spellings": (edit(image(), image(field="image[]")), "duplicate_parameter", "image[]"),
    "seventeen images": (edit(*SIXTEEN, SIXTEEN[0]), "array_above_max_length", "at most 16"),
    "image as text": (edit(text("image", "photo.jpg")), "invalid_type", "got a string instead"),
    "image without a type": (edit(image(mime=None)), "missing_file_mimetype", "failed to determine"),
    "octet stream": (edit(image(mime="application/octet-stream")), "unsupported_file_mimetype", "octet-stream"),
    "gif": (edit(image(mime="image/gif")), "unsupported_file_mimetype", "image/gif"),
    "another type than its name": (edit(image(name="photo.png", mime="image/jpeg")), "invalid_image_file", "called"),
    "another type than its bytes": (edit(image(name="photo.png")), "invalid_image_file", "it is image/jpeg"),
    "empty image": (edit(image(b"")), "invalid_image_file", "not 0"),
    "cut image": (edit(image(PHOTO[:5000])), "invalid_image_file", "check your image file"),
    "no image at all": (edit(image(b"<html>")), "invalid_image_file", "check your image file"),
    "prompt as a file": ([*edit()[:1], ("prompt", "x", "prompt.txt", None), image()], None, "got a file instead"),
    "model twice": ([*edit(), text("model", MODEL)], "duplicate_parameter", "'model'"),
    "unknown field": (edit(retries="1"), "unknown_parameter", "'retries'"),
    "response_format": (edit(response_format="b64_json"), "unknown_parameter", "'response_format'"),
    "n 0": (edit(n="0"), "invalid_value", "1 to 10"),
    "n 11": (edit(n="11"), "invalid_value", "1 to 10"),
    "n 1.5": (edit(n="1.5"), "invalid_value", "1 to 10"),
    "quality of DALL-E": (edit(quality="hd"), "invalid_value", "'hd'"),
    "xhigh of an old model": (edit(model=OLD, quality="xhigh"), "invalid_value", "'xhigh'"),
    "max of gpt-image-2": (edit(model="gpt-image-2", quality="max"), "invalid_value", "'max'"),
    "free size of an old model": (edit(model=OLD, size="1040x1024"), "invalid_value", "1536x1024"),
    "size of no sense": (edit(size="large"), "invalid_value", "WIDTHxHEIGHT"),
    "size not by 16": (edit(size="1000x1024"), "invalid_value", "divisible by 16"),
    "edge too long": (edit(size="3856x1600"), "invalid_value", "3840"),
    "ratio too long": (edit(size="3200x1024"), "invalid_value", "3:1"),
    "too few pixels": (edit(size="800x800"), "invalid_value", "655360"),
    "too many pixels": (edit(size="3840x2176"), "invalid_value", "8294400"),
    "fidelity of a new model": (edit(input_fidelity="high"), "invalid_input_fidelity_model", MODEL),
    "fidelity of mini": (edit(model="gpt-image-1-mini", input_fidelity="low"), "invalid_input_fidelity_model", "mini"),
    "fidelity medium": (edit(model=OLD, input_fidelity="medium"), "invalid_value", "'medium'"),
    "background": (edit(background="white"), "invalid_value", "'white'"),
    "transparent new model": (edit(background="transparent"), "invalid_value", MODEL),
    "transparent JPEG": (edit(model=OLD, background="transparent", output_format="jpeg"), None, "png or webp"),
    "format": (edit(output_format="jpg"), "invalid_value", "'jpg'"),
    "compression of a PNG": (edit(output_compression="80"), None, "PNG"),
    "compression 101": (edit(output_format="jpeg", output_compression="101"), "invalid_value", "0 to 100"),
    "moderation": (edit(moderation="off"), "invalid_value", "'off'"),
    "stream": (edit(stream="true"), None, "does not stream"),
    "partial images": (edit(partial_images="2"), None, "'stream'"),
    "mask without alpha": (with_mask(PNG), "invalid_mask", "alpha"),
    "mask of another size": (
        with_mask(mask_bytes(60, 80, editable=(0, 0, 9, 9))),
        "invalid_mask_image_format",
        "(60, 80)",
    ),
    "mask as JPEG": (with_mask(PHOTO, name="mask.jpg"), "unsupported_file_mimetype", "image/jpeg"),
    "mask cut": (with_mask(HOLES[:60]), "invalid_image_file", "mask"),
    "two masks": ([*with_mask(HOLES), image(HOLES, field="mask", name="m.png")], "duplicate_parameter", "'mask'"),
    "mask over 4 MB": (with_mask(HOLES + bytes(4 * 1024 * 1024)), "invalid_image_file", "'mask'"),
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_what_is_malformed_is_refused_and_noted(simulator: OpenAISimulator, name: str) -> None:
    parts, code, told = MALFORMED[name]
    status, answer = await simulator.ask(parts)
    assert (status, answer["error"]["type"], answer["error"]["code"]) == (400, "invalid_request_error", code)
    assert told in answer["error"]["message"]
    assert await simulator.violations() == [answer["error"]["message"]]
    assert (await simulator.read("openai/stats"))["billed"] == 0


@pytest.mark.parametrize(
    "parts",
    [
        edit(*SIXTEEN),
        edit(size="3840x2160", quality="low", moderation="low", user="booth-1"),
        edit(size="816x816", quality="max"),
        edit(model=OLD, input_fidelity="high", size="1024x1536", background="opaque"),
        edit(output_format="webp", output_compression="0"),
        edit(image(PNG, name="PHOTO.PNG"), image(HOLES, field="mask", name="mask.png")),
        edit(image(field="image[]")),
        edit(prompt="x" * 32_000),
    ],
)
async def test_what_is_documented_is_taken(simulator: OpenAISimulator, parts: list[Part]) -> None:
    status, answer = await simulator.ask(parts)
    assert status == 200, answer
    assert await simulator.violations() == []


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("application/x-www-form-urlencoded", b"model=x", 415),
        ("multipart/form-data", b"--x--\r\n", 415),
        ("multipart/form-data; boundary=x", b"", 400),
        ("multipart/form-data; boundary=x", b"--x\r\nrubbish", 400),
        ("multipart/form-data; boundary=x", b"--x--\r\n", 400),
    ],
)
async def test_a_body_that_is_no_form_is_a_violation(
    simulator: OpenAISimulator, content_type: str, body: bytes, status: int
) -> None:
    headers = {**BEARER, "Content-Type": content_type}
    found, _ = await simulator.request("POST", PATH, headers=headers, data=body)
    assert found == status
    assert len(await simulator.violations()) == 1


async def test_a_body_without_its_length_is_a_violation(simulator: OpenAISimulator) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"--x--\r\n"

    headers = {**BEARER, "Content-Type": "multipart/form-data; boundary=x"}
    status, _ = await simulator.request("POST", PATH, data=body(), headers=headers)
    assert status == 411
    assert len(await simulator.violations()) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", PATH), ("POST", "/openai/v1/images/generations"), ("POST", "/openai/images/edits"), ("GET", "/openai/x")],
)
async def test_an_unknown_path_is_a_violation(simulator: OpenAISimulator, method: str, path: str) -> None:
    status, _ = await simulator.request(method, path, headers=BEARER)
    assert status == 404
    assert await simulator.violations() == [f"Invalid URL ({method} {path})"]
