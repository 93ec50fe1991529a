"""The Gemini simulator makes real pictures, of every size and type, and says what they cost."""

from collections.abc import AsyncIterator

import pytest
from PIL import ImageChops, ImageStat

from tests.simulated import (
    MODEL,
    PHOTO,
    Document,
    Simulators,
    asking,
    inline,
    opened,
    photo_bytes,
    picture_of,
    simulated,
)

pytestmark = pytest.mark.anyio

OLD = "gemini-2.5-flash-image"


@pytest.fixture
async def simulators(anyio_backend: str) -> AsyncIterator[Simulators]:
    async with simulated() as simulators:
        yield simulators


async def test_the_picture_is_the_photo_visibly_changed_around_its_middle(simulators: Simulators) -> None:
    status, answer = await simulators.ask(asking(responseModalities=["IMAGE"]))
    assert status == 200
    changed = opened(picture_of(answer))
    assert (changed.format, changed.size) == ("JPEG", (1264, 848))
    before = opened(PHOTO).convert("RGB").resize(changed.size)
    difference = ImageChops.difference(before, changed).convert("L")
    middle = (560, 300, 700, 460)
    assert ImageStat.Stat(difference.crop(middle)).mean[0] < 5
    assert ImageStat.Stat(difference.crop((30, 30, 200, 818))).mean[0] > 12
    frame = changed.crop((0, 0, 1264, 12)).resize((1, 1)).getpixel((0, 0))
    assert isinstance(frame, tuple)
    assert max(frame) < 100


async def test_the_same_request_brings_the_same_picture_and_another_prompt_another(simulators: Simulators) -> None:
    prompts = ("Studio portrait", "Studio portrait", "Beach at dawn", "Night in the city")
    pictures = [picture_of((await simulators.ask(asking(prompt=prompt)))[1]) for prompt in prompts]
    assert pictures[0] == pictures[1]
    assert len(set(pictures)) > 1


SIZES_1K = {
    "1:1": (1024, 1024),
    "2:3": (848, 1264),
    "3:2": (1264, 848),
    "3:4": (896, 1200),
    "4:3": (1200, 896),
    "4:5": (928, 1152),
    "5:4": (1152, 928),
    "9:16": (768, 1376),
    "16:9": (1376, 768),
    "21:9": (1584, 672),
    "1:4": (512, 2048),
    "4:1": (2048, 512),
    "1:8": (384, 3072),
    "8:1": (3072, 384),
}


@pytest.mark.parametrize("ratio", SIZES_1K)
async def test_each_ratio_has_the_documented_pixels(simulators: Simulators, ratio: str) -> None:
    _, answer = await simulators.ask(asking(imageConfig={"aspectRatio": ratio}))
    assert opened(picture_of(answer)).size == SIZES_1K[ratio]


@pytest.mark.parametrize(("size", "factor", "tokens"), [("1K", 1, 1120), ("2K", 2, 1680), ("4K", 4, 3767)])
async def test_each_size_multiplies_them_and_counts_its_tokens(
    simulators: Simulators, size: str, factor: int, tokens: int
) -> None:
    _, answer = await simulators.ask(asking(imageConfig={"aspectRatio": "3:4", "imageSize": size}))
    assert opened(picture_of(answer)).size == (896 * factor, 1200 * factor)
    assert answer["usageMetadata"]["candidatesTokensDetails"] == [{"modality": "IMAGE", "tokenCount": tokens}]


@pytest.mark.parametrize(
    ("photo", "size"),
    [
        (photo_bytes(1600, 1000), (1264, 848)),
        (photo_bytes(1000, 1600), (848, 1264)),
        (photo_bytes(1600, 1000, orientation=6), (848, 1264)),
        (photo_bytes(500, 480), (1024, 1024)),
        (photo_bytes(3000, 400), (3072, 384)),
        (photo_bytes(1, 1), (1024, 1024)),
    ],
)
async def test_without_a_ratio_the_picture_follows_the_photo(
    simulators: Simulators, photo: bytes, size: tuple[int, int]
) -> None:
    _, answer = await simulators.ask(asking(inline(photo), inline(photo_bytes(300, 300)), imageConfig={}))
    assert opened(picture_of(answer)).size == size


async def test_without_a_photo_there_is_a_square_picture(simulators: Simulators) -> None:
    _, answer = await simulators.ask({"contents": [{"parts": [{"text": "A cat"}]}]})
    assert opened(picture_of(answer)).size == (1024, 1024)


@pytest.mark.parametrize(("mime", "kind"), [("image/jpeg", "JPEG"), ("image/png", "PNG")])
async def test_the_scenario_chooses_the_picture_type(simulators: Simulators, mime: str, kind: str) -> None:
    await simulators.behave("ok", mime=mime)
    _, answer = await simulators.ask(asking())
    assert answer["candidates"][0]["content"]["parts"][0]["inlineData"]["mimeType"] == mime
    assert opened(picture_of(answer)).format == kind


HEIC = b"\0\0\0\x18ftypheic" + bytes(100)


@pytest.mark.parametrize(
    ("photo", "mime", "size"),
    [
        (photo_bytes(300, 200), "image/jpeg", (1264, 848)),
        (photo_bytes(300, 200, kind="MPO"), "image/jpeg", (1264, 848)),
        (photo_bytes(300, 200, kind="PNG"), "image/png", (1264, 848)),
        (photo_bytes(300, 200, kind="WEBP"), "image/webp", (1264, 848)),
        (HEIC, "image/heic", (1200, 896)),
        (HEIC, "image/heif", (1200, 896)),
    ],
)
async def test_each_picture_type_is_taken(
    simulators: Simulators, photo: bytes, mime: str, size: tuple[int, int]
) -> None:
    status, answer = await simulators.ask(asking(inline(photo, mime)))
    assert status == 200, answer
    assert opened(picture_of(answer)).size == size


async def test_fourteen_pictures_are_taken(simulators: Simulators) -> None:
    status, _ = await simulators.ask(asking(*[inline(photo_bytes(64, 64))] * 14))
    assert status == 200
    assert len((await simulators.read("requests"))[0]["pictures"]) == 14


async def test_the_answer_says_who_made_it_and_what_it_cost(simulators: Simulators) -> None:
    answers = [(await simulators.ask(asking(prompt="Twelve chars")))[1] for _ in range(2)]
    usage = answers[0]["usageMetadata"]
    assert usage["promptTokensDetails"] == [
        {"modality": "IMAGE", "tokenCount": 1290},
        {"modality": "TEXT", "tokenCount": 3},
    ]
    assert usage["totalTokenCount"] == 1293 + usage["candidatesTokenCount"] + usage["thoughtsTokenCount"]
    assert answers[0]["modelVersion"] == MODEL
    assert answers[0]["responseId"] != answers[1]["responseId"]


@pytest.mark.parametrize(
    ("model", "config", "message"),
    [
        (OLD, {"imageConfig": {"imageSize": "1K"}}, "does not take image_size"),
        (OLD, {"thinkingConfig": {"thinkingLevel": "High"}}, "Thinking level is not supported"),
        (OLD, {"imageConfig": {"aspectRatio": "1:4"}}, "'1:4' is none of"),
        ("gemini-3-pro-image", {"thinkingConfig": {"thinkingLevel": "High"}}, "Thinking level is not supported"),
        ("gemini-3-pro-image", {"imageConfig": {"aspectRatio": "8:1"}}, "'8:1' is none of"),
        ("gemini-3.1-flash-lite-image", {"imageConfig": {"imageSize": "2K"}}, "'2K' is none of 1K"),
    ],
)
async def test_each_model_refuses_what_it_cannot(model: str, config: Document, message: str) -> None:
    async with simulated(serve_retired=True) as simulators:
        status, answer = await simulators.ask(asking(**config), model=model)
        assert status == 400
        assert message in answer["error"]["message"]
        status, _ = await simulators.ask(asking(), model=model)
        assert status == 200
