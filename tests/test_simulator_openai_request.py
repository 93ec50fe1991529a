"""The OpenAI simulator refuses and notes every malformed form, and takes what is documented."""

from collections.abc import AsyncIterator

import pytest

from tests.simulated_openai import (
    BEARER,
    MODEL,
    OLD,
    PATH,
    PHOTO,
    OpenAISimulator,
    Part,
    edit,
    image,
    mask_bytes,
    picture_bytes,
    simulated,
    text,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def simulator(anyio_backend: str) -> AsyncIterator[OpenAISimulator]:
    async with simulated() as simulator:
        yield simulator


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
