"""The Gemini simulator: as strict as Gemini, told from outside what to do, and its pictures are pictures."""

import asyncio
import base64
import hashlib
import io
import json
import os
import signal
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from PIL import Image, ImageChops, ImageStat

from simulators.broken_pictures import bomb
from simulators.gemini import KEY
from simulators.gemini_scenes import CATALOGUE
from simulators.sample import SAMPLE
from simulators.scenarios import ScenarioMistake
from simulators.server import build_app, serving

pytestmark = pytest.mark.anyio

MODEL = "gemini-nano-banana-2.1"
OLD = "gemini-2.5-flash-image"
PHOTO = SAMPLE.read_bytes()
PHOTO_BASE64 = base64.b64encode(PHOTO).decode()
Document = dict[str, Any]


class Simulators:
    """Running simulators, as a driver and as whoever directs the play sees them."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session

    async def ask(
        self, document: Any, *, model: str = MODEL, version: str = "v1beta", method: str = "generateContent"
    ) -> tuple[int, Any]:
        """The status and the JSON of the answer."""
        path = f"/gemini/{version}/models/{model}:{method}"
        return await self.request("POST", path, json=document, headers={"x-goog-api-key": KEY})

    async def request(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with self.session.request(method, self.url + path, **options) as response:
            body = await response.read()
            return response.status, json.loads(body) if body else None

    async def behave(self, name: str, *, times: int | None = None, match: Document | None = None, **given: Any) -> None:
        """Add a scenario."""
        document = {"match": match or {}, "behaviour": {"name": name, **given}, "times": times}
        status, answer = await self.request("POST", "/__emu/gemini/scenario", json=document)
        assert status == 201, answer

    async def read(self, what: str) -> Any:
        """`requests`, `violations` or `gemini/stats`."""
        status, answer = await self.request("GET", f"/__emu/{what}")
        assert status == 200
        return answer

    async def violations(self) -> list[str]:
        return [violation["message"] for violation in await self.read("violations")]


@pytest.fixture
async def session(anyio_backend: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


@pytest.fixture
async def simulators(session: aiohttp.ClientSession) -> AsyncIterator[Simulators]:
    async with serving() as served:
        yield Simulators(served.url, session)


def photo_bytes(width: int, height: int, *, kind: str = "JPEG", orientation: int = 1) -> bytes:
    """A photo of any size with something to see."""
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    image.paste((200, 60, 40), (width // 3, height // 3, width * 2 // 3, height * 2 // 3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    image.save(file, kind, exif=exif)
    return file.getvalue()


def inline(data: bytes, mime: str = "image/jpeg") -> Document:
    return {"inlineData": {"mimeType": mime, "data": base64.b64encode(data).decode()}}


def asking(*parts: Document, prompt: str = "Studio portrait", **config: Any) -> Document:
    """A request as the driver makes it; without parts it has the sample photo."""
    given = parts or ({"inlineData": {"mimeType": "image/jpeg", "data": PHOTO_BASE64}},)
    document: Document = {"contents": [{"role": "user", "parts": [*given, {"text": prompt}]}]}
    if config:
        document["generationConfig"] = config
    return document


def picture_of(answer: Document) -> bytes:
    """The last picture that is no thought."""
    parts = answer["candidates"][0]["content"]["parts"]
    final = [part["inlineData"]["data"] for part in parts if "inlineData" in part and not part.get("thought")]
    return base64.b64decode(final[-1], validate=True)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


# The picture


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


# What is taken and what is not


async def test_both_spellings_and_both_base64_alphabets_are_taken(simulators: Simulators) -> None:
    url_safe = base64.urlsafe_b64encode(PHOTO).decode().rstrip("=")
    assert "-" in url_safe
    snake = {
        "contents": [{"parts": [{"inline_data": {"mime_type": "image/jpeg", "data": url_safe}}, {"text": "x"}]}],
        "generation_config": {
            "response_modalities": ["TEXT", "IMAGE"],
            "image_config": {"aspect_ratio": "3:2", "image_size": "1K"},
            "thinking_config": {"thinking_level": "minimal"},
        },
        "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_ONLY_HIGH"}],
    }
    camel = asking(
        prompt="x",
        responseModalities=["TEXT", "IMAGE"],
        imageConfig={"aspectRatio": "3:2", "imageSize": "1K"},
        thinkingConfig={"thinkingLevel": "Minimal"},
    )
    pictures = []
    for document in (snake, camel):
        status, answer = await simulators.ask(document)
        assert status == 200, answer
        assert "thoughtsTokenCount" not in answer["usageMetadata"]
        pictures.append(picture_of(answer))
    assert pictures[0] == pictures[1]
    assert await simulators.violations() == []


async def test_v1_answers_too(simulators: Simulators) -> None:
    status, _ = await simulators.ask(asking(), version="v1")
    assert status == 200


def contents(*parts: Any, **more: Any) -> Document:
    return {"contents": [{"role": "user", "parts": list(parts)}], **more}


SMALL = photo_bytes(80, 60)
BLOB = inline(SMALL)["inlineData"]
GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
MALFORMED: tuple[tuple[str, Any, str], ...] = (
    ("a list", [], "Invalid value at 'request'"),
    ("no contents", {}, "contents is not specified"),
    ("empty contents", {"contents": []}, "contents is not specified"),
    ("no parts", {"contents": [{"role": "user"}]}, "parts must not be empty"),
    ("empty parts", contents(), "parts must not be empty"),
    ("an empty part", contents({}), "must have one initialized field"),
    ("text and picture in one part", contents({"text": "a", "inlineData": BLOB}), "is already set"),
    ("unknown role", {"contents": [{"role": "system", "parts": [{"text": "a"}]}]}, "valid role"),
    ("model's turn last", {"contents": [{"role": "model", "parts": [{"text": "a"}]}]}, "end with a user role"),
    ("unknown field", contents({"text": "a"}, prompt="b"), 'Unknown name "prompt": Cannot find field.'),
    ("unknown in content", {"contents": [{"parts": [{"text": "a"}], "x": 1}]}, "Unknown name \"x\" at 'contents[0]'"),
    ("unknown in part", contents({"text": "a", "image": "b"}), "at 'contents[0].parts[0]'"),
    ("unknown in blob", contents({"inlineData": {**BLOB, "name": "a"}}), "at 'contents[0].parts[0].inline_data'"),
    ("unknown in config", asking(size="1K"), "Unknown name \"size\" at 'generation_config'"),
    ("responseFormat", asking(responseFormat={"image": {}}), 'Unknown name "responseFormat"'),
    ("unknown in image config", asking(imageConfig={"size": "1K"}), "at 'generation_config.image_config'"),
    ("unknown in thinking config", asking(thinkingConfig={"level": "High"}), "at 'generation_config.thinking_config'"),
    ("mixed spelling", contents({"inline_Data": BLOB}), 'Unknown name "inline_Data"'),
    ("both spellings", contents({"text": "a"}, generationConfig={}, generation_config={}), "Repeated name"),
    ("text that is a number", contents({"text": 5}), "'contents[0].parts[0].text' (TYPE_STRING), 5"),
    ("another model in the body", {**asking(), "model": "models/gemini-3-pro-image"}, "not the one in the path"),
    ("no MIME type", contents({"inlineData": {"data": BLOB["data"]}}), "Unsupported MIME type"),
    ("GIF", contents(inline(GIF, "image/gif")), "Unsupported MIME type: image/gif"),
    ("SVG", contents(inline(b"<svg/>", "image/svg+xml")), "Unsupported MIME type"),
    ("GIF as JPEG", contents(inline(GIF)), "Unable to process input image"),
    ("JPEG as PNG", contents(inline(SMALL, "image/png")), "is image/jpeg, not image/png"),
    ("half a JPEG", contents(inline(PHOTO[: len(PHOTO) // 2])), "Unable to process input image"),
    ("HTML as JPEG", contents(inline(b"<html>")), "Unable to process input image"),
    ("too many pixels", contents(inline(bomb("webp", side_px=16_383), "image/webp")), "Unable to process input image"),
    ("empty picture", contents(inline(b"")), "the picture is empty"),
    ("no base64", contents({"inlineData": {**BLOB, "data": "!!!!"}}), "Base64 decoding failed"),
    ("base64 with a line break", contents({"inlineData": {**BLOB, "data": "AAAA\nAAAA"}}), "Base64 decoding failed"),
    ("a data URL", contents({"inlineData": {**BLOB, "data": "data:image/jpeg;base64,AA"}}), "Base64 decoding failed"),
    ("fifteen pictures", contents(*[{"inlineData": BLOB}] * 15), "15 pictures are more than the 14"),
    ("lower-case size", asking(imageConfig={"imageSize": "2k"}), "'2k' is none of 1K, 2K, 4K"),
    ("512", asking(imageConfig={"imageSize": "512"}), "'512' is none of"),
    ("unknown ratio", asking(imageConfig={"aspectRatio": "7:5"}), "'7:5' is none of"),
    ("auto ratio", asking(imageConfig={"aspectRatio": "auto"}), "'auto' is none of"),
    ("unknown level", asking(thinkingConfig={"thinkingLevel": "Low"}), '(enum), "Low"'),
    ("sound", asking(responseModalities=["AUDIO"]), "AUDIO are not supported"),
    ("unknown modality", asking(responseModalities=["PICTURE"]), "(enum)"),
    ("two candidates", asking(candidateCount=2), "Multiple candidates"),
    ("too hot", asking(temperature=2.5), "temperature must be"),
    ("true as a number", asking(temperature=True), "(TYPE_FLOAT), true"),
    ("half a safety setting", {**asking(), "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT"}]}, "needs a"),
    ("unknown harm", {**asking(), "safetySettings": [{"category": "RUDE", "threshold": "OFF"}]}, "(enum)"),
    (
        "one harm twice",
        {**asking(), "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}] * 2},
        "may be set once",
    ),
)


@pytest.mark.parametrize(("document", "message"), [pytest.param(*case[1:], id=case[0]) for case in MALFORMED])
async def test_what_is_malformed_is_refused_and_noted(simulators: Simulators, document: Any, message: str) -> None:
    status, answer = await simulators.ask(document)
    assert (status, answer["error"]["code"], answer["error"]["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert message in answer["error"]["message"]
    assert await simulators.violations() == [answer["error"]["message"]]
    assert (await simulators.read("gemini/stats"))["billed"] == 0


RAW: tuple[tuple[str, bytes, str, str], ...] = (
    ("no JSON", b"{", "application/json", "Invalid JSON payload"),
    ("no UTF-8", b'{"contents": "\xff"}', "application/json", "Invalid JSON payload"),
    ("not a number", b'{"contents": NaN}', "application/json", "NaN is no JSON"),
    ("a name twice", b'{"contents": [], "contents": []}', "application/json", "A name is repeated"),
    ("too deep", b"[" * 200_000, "application/json", "Invalid JSON payload"),
    ("a form", b"contents=a", "application/x-www-form-urlencoded", "Content-Type must be application/json"),
    ("nothing", b"", "application/json", "Invalid JSON payload"),
)


@pytest.mark.parametrize(("body", "kind", "message"), [pytest.param(*case[1:], id=case[0]) for case in RAW])
async def test_what_is_no_json_is_refused(simulators: Simulators, body: bytes, kind: str, message: str) -> None:
    headers = {"x-goog-api-key": KEY, "Content-Type": kind}
    path = f"/gemini/v1beta/models/{MODEL}:generateContent"
    status, answer = await simulators.request("POST", path, data=body, headers=headers)
    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert message in answer["error"]["message"]
    assert len(await simulators.violations()) == 1


@pytest.mark.parametrize("surplus_bytes", [1, 8_000_000])
async def test_a_body_over_the_limit_is_refused(session: aiohttp.ClientSession, surplus_bytes: int) -> None:
    document = json.dumps(contents({"text": "a"})).encode()
    async with serving(build_app(body_limit_bytes=len(document))) as served:
        simulators = Simulators(served.url, session)
        headers = {"x-goog-api-key": KEY, "Content-Type": "application/json"}
        path = f"/gemini/v1beta/models/{MODEL}:generateContent"
        status, _ = await simulators.request("POST", path, data=document, headers=headers)
        assert status == 200
        status, answer = await simulators.request(
            "POST", path, data=io.BytesIO(document + b" " * surplus_bytes), headers=headers
        )
        assert status == 400
        assert answer["error"]["message"] == f"Request payload size exceeds the limit: {len(document)} bytes."


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
async def test_each_model_refuses_what_it_cannot(
    session: aiohttp.ClientSession, model: str, config: Document, message: str
) -> None:
    async with serving(build_app(serve_retired=True)) as served:
        simulators = Simulators(served.url, session)
        status, answer = await simulators.ask(asking(**config), model=model)
        assert status == 400
        assert message in answer["error"]["message"]
        status, _ = await simulators.ask(asking(), model=model)
        assert status == 200


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
    direct = asking(inline(SMALL), prompt="Twelve chars")
    wrapped = {"generateContentRequest": {"model": f"models/{MODEL}", **direct}}
    for document in (direct, wrapped):
        status, answer = await simulators.ask(document, method="countTokens")
        assert (status, answer["totalTokens"]) == (200, 1293)
    status, _ = await simulators.ask(direct | wrapped, method="countTokens")
    assert status == 400
    assert (await simulators.read("gemini/stats"))["requests"] == 0


# What it can be told to do


def reason(answer: Document) -> Any:
    return answer["candidates"][0]["finishReason"]


def parts(answer: Document) -> list[Any]:
    found: list[Any] = answer["candidates"][0]["content"]["parts"]
    return found


def data(answer: Document) -> str:
    found: str = parts(answer)[0]["inlineData"]["data"]
    return found


def quota_ids(answer: Document) -> list[str]:
    return [violation["quotaId"] for violation in answer["error"]["details"][0]["violations"]]


def retry_delay(answer: Document) -> Any:
    return answer["error"]["details"][2]["retryDelay"]


ANSWERS: tuple[tuple[str, Document, int, Callable[[Any], bool]], ...] = (
    # behaviour, its parameters, the answer's status, what must be true of its JSON
    ("ok", {}, 200, lambda answer: reason(answer) == "STOP" and len(parts(answer)) == 1),
    ("instant", {}, 200, lambda answer: opened(picture_of(answer)).size == (1264, 848)),
    ("slow", {"seconds": 0.1}, 200, lambda answer: opened(picture_of(answer)).size == (1264, 848)),
    ("text_then_picture", {}, 200, lambda answer: "text" in parts(answer)[0] and "inlineData" in parts(answer)[1]),
    (
        "thought_drafts",
        {"drafts": 2},
        200,
        lambda answer: [part.get("thought", False) for part in parts(answer)] == [True, True, True, False],
    ),
    (
        "thought_only",
        {},
        200,
        lambda answer: all(part["thought"] for part in parts(answer)) and len(parts(answer)) == 1,
    ),
    ("text_only", {}, 200, lambda answer: reason(answer) == "STOP" and list(parts(answer)[0]) == ["text"]),
    ("no_image", {}, 200, lambda answer: reason(answer) == "NO_IMAGE" and "finishMessage" in answer["candidates"][0]),
    ("image_safety", {}, 200, lambda answer: reason(answer) == "IMAGE_SAFETY"),
    ("image_other", {}, 200, lambda answer: reason(answer) == "IMAGE_OTHER"),
    ("recitation", {}, 200, lambda answer: reason(answer) == "RECITATION"),
    ("max_tokens", {}, 200, lambda answer: reason(answer) == "MAX_TOKENS" and parts(answer)[0]["thought"]),
    ("finish_reason", {"reason": "SPII"}, 200, lambda answer: reason(answer) == "SPII"),
    (
        "prompt_blocked",
        {},
        200,
        lambda answer: "candidates" not in answer and answer["promptFeedback"]["blockReason"] == "PROHIBITED_CONTENT",
    ),
    ("candidate_without_content", {}, 200, lambda answer: "content" not in answer["candidates"][0]),
    ("content_without_parts", {}, 200, lambda answer: answer["candidates"][0]["content"] == {}),
    ("rate_limited", {}, 429, lambda answer: "details" not in answer["error"]),
    ("rate_limited", {"retry_delay_seconds": 1.5}, 429, lambda answer: retry_delay(answer) == "1.5s"),
    ("quota_per_day", {}, 429, lambda answer: "PerDay" in quota_ids(answer)[0] and retry_delay(answer) == "30s"),
    ("quota_per_day", {"retry_delay_seconds": None}, 429, lambda answer: len(answer["error"]["details"]) == 2),
    ("quota_zero", {}, 429, lambda answer: "limit: 0" in answer["error"]["message"]),
    ("internal", {}, 500, lambda answer: answer["error"]["status"] == "INTERNAL"),
    ("unavailable", {}, 503, lambda answer: answer["error"]["status"] == "UNAVAILABLE"),
    ("deadline_exceeded", {}, 504, lambda answer: answer["error"]["status"] == "DEADLINE_EXCEEDED"),
    ("permission_denied", {}, 403, lambda answer: answer["error"]["status"] == "PERMISSION_DENIED"),
    (
        "key_leaked",
        {},
        403,
        lambda answer: KEY in answer["error"]["message"] and "leaked" in answer["error"]["message"],
    ),
    ("echo_key_error", {}, 500, lambda answer: f"?key={KEY}" in answer["error"]["message"]),
    ("region_not_allowed", {}, 400, lambda answer: answer["error"]["status"] == "FAILED_PRECONDITION"),
    ("model_gone", {}, 404, lambda answer: answer["error"]["status"] == "NOT_FOUND"),
    ("list_wrapped_error", {}, 503, lambda answer: answer[0]["error"]["status"] == "UNAVAILABLE"),
    ("wrong_shape", {}, 200, lambda answer: not isinstance(answer["candidates"], list)),
    ("wrong_shape", {"shape": "list"}, 200, lambda answer: answer == []),
    ("invalid_base64", {}, 200, lambda answer: "*" in data(answer)),
    ("picture_cut", {}, 200, lambda answer: base64.b64decode(data(answer)).startswith(b"\xff\xd8")),
    ("picture_zero_bytes", {}, 200, lambda answer: data(answer) == ""),
    ("picture_wrong_type", {}, 200, lambda answer: base64.b64decode(data(answer)).startswith(b"<!DOCTYPE html>")),
    ("picture_bomb", {}, 200, lambda answer: len(base64.b64decode(data(answer))) < 100),
    ("empty_body", {}, 200, lambda answer: answer is None),
)


@pytest.mark.parametrize(("name", "given", "status", "holds"), ANSWERS)
async def test_each_answer_is_the_one_named(
    simulators: Simulators, name: str, given: Document, status: int, holds: Callable[[Any], bool]
) -> None:
    await simulators.behave(name, **given)
    got, answer = await simulators.ask(asking())
    assert (got, holds(answer)) == (status, True), answer
    assert await simulators.violations() == []
    assert (await simulators.read("requests"))[-1]["behaviour"] == name


async def raw(simulators: Simulators) -> tuple[int, str, bytes]:
    """The answer as it comes, redirects not followed."""
    url = f"{simulators.url}/gemini/v1beta/models/{MODEL}:generateContent"
    headers = {"x-goog-api-key": KEY}
    async with simulators.session.post(url, json=asking(), headers=headers, allow_redirects=False) as response:
        return response.status, response.headers.get("Location", response.content_type), await response.read()


UNREADABLE: tuple[tuple[str, Document, int, str, Callable[[bytes], bool]], ...] = (
    ("html_502", {}, 502, "text/html", lambda body: body.startswith(b"<html>")),
    ("html_200", {}, 200, "text/html", lambda body: body.startswith(b"<!DOCTYPE html>")),
    ("plain_text_error", {}, 503, "text/plain", lambda body: body.startswith(b"upstream")),
    ("truncated_json", {}, 200, "application/json", lambda body: len(body) > 50_000 and not body.endswith(b"}")),
    ("deep_json", {"levels": 1000}, 200, "application/json", lambda body: body.count(b"[") == 1000),
    ("huge_body", {}, 200, "application/json", lambda body: 50 << 20 < len(body) < 51 << 20 and body.endswith(b"]}")),
    ("huge_body", {"megabytes": 2, "compressed": True}, 200, "application/json", lambda body: len(body) > 2 << 20),
    ("redirect", {}, 302, "/gemini/redirected", lambda body: body == b""),
    ("redirect", {"status": 307, "location": "http://10.0.0.1/"}, 307, "http://10.0.0.1/", lambda body: body == b""),
)


@pytest.mark.parametrize(("name", "given", "status", "about", "holds"), UNREADABLE)
async def test_each_unreadable_answer_is_the_one_named(
    simulators: Simulators, name: str, given: Document, status: int, about: str, holds: Callable[[bytes], bool]
) -> None:
    await simulators.behave(name, **given)
    got, said, body = await raw(simulators)
    assert (got, said, holds(body)) == (status, about, True), body[:200]


async def test_who_follows_the_redirect_breaks_the_protocol(simulators: Simulators) -> None:
    await simulators.behave("redirect")
    status, _ = await simulators.ask(asking())
    assert status == 404
    assert len(await simulators.violations()) == 1


@pytest.mark.parametrize(("name", "billed"), [("reset_before", 0), ("reset_after", 1)])
async def test_a_reset_connection_is_reset_and_costs_only_afterwards(
    simulators: Simulators, name: str, billed: int
) -> None:
    await simulators.behave(name)
    with pytest.raises(aiohttp.ClientConnectionError):
        await simulators.ask(asking())
    stats = await simulators.read("gemini/stats")
    assert (stats["billed"], stats["in_flight"]) == (billed, 0)


@pytest.mark.parametrize("name", ["silent", "headers_then_silence", "drip"])
async def test_who_waits_for_nothing_gives_up_and_is_forgotten(simulators: Simulators, name: str) -> None:
    await simulators.behave(name)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await simulators.ask(asking())
    await asyncio.sleep(0.1)
    assert (await simulators.read("gemini/stats"))["in_flight"] == 0
    assert (await simulators.read("requests"))[-1]["status"] is None


async def test_a_dripping_answer_is_whole_in_the_end(simulators: Simulators) -> None:
    await simulators.behave("drip", interval_seconds=0)
    url = f"{simulators.url}/gemini/v1beta/models/{MODEL}:generateContent"
    async with simulators.session.post(url, json=asking(), headers={"x-goog-api-key": KEY}) as response:
        first = await response.content.readany()
    assert first.startswith(b"{")
    assert len(first) < int(response.headers["Content-Length"])


@pytest.mark.parametrize("given", [{"name": "ok", "delay_seconds": 0.3}, {"name": "slow", "seconds": 0.3}])
async def test_a_delay_is_kept_whatever_the_picture_takes(simulators: Simulators, given: Document) -> None:
    await simulators.behave(**given)
    started = time.perf_counter()
    status, _ = await simulators.ask(asking())
    assert status == 200
    assert 0.3 <= time.perf_counter() - started < 0.45


def test_no_behaviour_is_left_untried() -> None:
    tried = {name for name, *_ in (*ANSWERS, *UNREADABLE)}
    tried |= {"reset_before", "reset_after", "silent", "headers_then_silence", "drip"}
    assert tried == set(CATALOGUE)


@pytest.mark.parametrize("kind", ["webp", "png"])
def test_a_bomb_is_a_real_picture_and_small(kind: str) -> None:
    assert opened(bomb(kind, side_px=100)).size == (100, 100)
    assert len(bomb(kind, side_px=16_383)) < 50_000
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(bomb(kind, side_px=16_383)))


def test_a_bomb_of_a_header_has_no_pixels() -> None:
    data = bomb("png_header", side_px=16_383)
    assert struct.unpack(">II", data[16:24]) == (16_383, 16_383)
    assert len(data) < 80


async def test_instant_decodes_nothing_and_still_refuses_a_malformed_envelope(simulators: Simulators) -> None:
    await simulators.behave("instant")
    pictures = [
        picture_of((await simulators.ask(asking(inline(junk), prompt=prompt)))[1])
        for junk, prompt in ((b"junk", "one"), (PHOTO, "two"))
    ]
    assert pictures[0] == pictures[1]
    assert 100_000 < len(pictures[0]) < 200_000
    status, _ = await simulators.ask(asking(imageConfig={"imageSize": "8K"}))
    assert status == 400


# Scenarios


async def statuses(simulators: Simulators, *prompts: str) -> list[int]:
    return [(await simulators.ask(contents({"text": prompt})))[0] for prompt in prompts]


async def test_failures_are_used_up_and_then_it_succeeds(simulators: Simulators) -> None:
    await simulators.behave("unavailable", times=2)
    await simulators.behave("internal", times=1)
    assert await statuses(simulators, "a", "b", "c", "d") == [503, 503, 500, 200]


async def test_a_rule_is_for_what_it_matches(simulators: Simulators) -> None:
    await simulators.behave("unavailable", match={"prompt_contains": "wedding"})
    await simulators.behave("internal", match={"model": "gemini-3-pro-image"})
    assert await statuses(simulators, "a wedding", "a birthday") == [503, 200]
    assert (await simulators.ask(contents({"text": "a"}), model="gemini-3-pro-image"))[0] == 500


async def test_a_rule_can_be_for_the_nth_request_alone(simulators: Simulators) -> None:
    await simulators.behave("unavailable", match={"nth": 3, "prompt_contains": "a"})
    assert await statuses(simulators, "a", "b", "a", "a", "a") == [200, 200, 200, 503, 200]


async def test_of_the_lasting_rules_the_newest_counts_until_all_are_reset(simulators: Simulators) -> None:
    await simulators.behave("unavailable")
    await simulators.behave("internal")
    assert await statuses(simulators, "a", "b") == [500, 500]
    status, _ = await simulators.request("DELETE", "/__emu/gemini/scenario")
    assert status == 204
    assert await statuses(simulators, "a") == [200]


async def test_a_key_that_a_rule_names_is_a_valid_one(simulators: Simulators) -> None:
    await simulators.behave("unavailable", match={"key": "second-key"})
    path = f"/gemini/v1beta/models/{MODEL}:generateContent"
    headers = {"x-goog-api-key": "second-key"}
    status, _ = await simulators.request("POST", path, json=contents({"text": "a"}), headers=headers)
    assert status == 503
    assert await statuses(simulators, "a") == [200]


@pytest.mark.parametrize(
    ("document", "mistake"),
    [
        ([], "the scenario must be a JSON object"),
        ({}, "behaviour is missing"),
        ({"behaviour": {"name": "ok"}, "time": 1}, "'time'"),
        ({"behaviour": {"name": "explode"}}, "'explode' is unknown: one of "),
        ({"behaviour": {"name": "ok", "seconds": 1}}, "ok takes no 'seconds'"),
        ({"behaviour": {"name": "slow", "seconds": -1}}, "behaviour.seconds must be a number of seconds from 0 on"),
        ({"behaviour": {"name": "slow", "seconds": True}}, "behaviour.seconds must be"),
        ({"behaviour": {"name": "ok", "mime": "image/gif"}}, "behaviour.mime must be one of image/jpeg, image/png"),
        ({"behaviour": {"name": "thought_drafts", "drafts": 9}}, "a whole number from 1 to 2"),
        ({"behaviour": {"name": "huge_body", "compressed": 1}}, "true or false"),
        ({"behaviour": {"name": "finish_reason", "reason": ""}}, "a text that is not empty"),
        ({"behaviour": {"name": "ok"}, "times": 0}, "times must be"),
        ({"behaviour": {"name": "ok"}, "match": {"prompt": "a"}}, "match has an unknown field 'prompt'"),
        ({"behaviour": {"name": "ok"}, "match": {"nth": 0}}, "match.nth must be"),
        ({"behaviour": {"name": "ok"}, "match": {"model": 5}}, "match.model must be a text"),
    ],
)
async def test_a_mistaken_scenario_is_refused_by_name(simulators: Simulators, document: Any, mistake: str) -> None:
    status, answer = await simulators.request("POST", "/__emu/gemini/scenario", json=document)
    assert status == 400
    assert mistake in answer["error"]
    assert await statuses(simulators, "a") == [200]


def test_a_mistaken_default_stops_the_start() -> None:
    with pytest.raises(ScenarioMistake, match="delay_seconds"):
        build_app(default={"name": "ok", "delay_seconds": -1})


# What it remembers


async def test_requests_are_recorded_without_keys_and_pictures(simulators: Simulators) -> None:
    await simulators.ask(asking(prompt="Beach", imageConfig={"imageSize": "1K"}))
    await simulators.behave("echo_key_error")
    await simulators.ask(asking())
    first, second = await simulators.read("requests")
    assert first["pictures"] == [
        {
            "mime": "image/jpeg",
            "bytes": len(PHOTO),
            "sha256": hashlib.sha256(PHOTO).hexdigest(),
            "width": 1800,
            "height": 1200,
        }
    ]
    assert (first["prompt"], first["model"], first["status"]) == ("Beach", MODEL, 200)
    assert first["config"] == {"imageConfig": {"imageSize": "1K"}}
    assert (first["billed"], second["billed"], second["status"]) == (True, False, 500)
    written = json.dumps([first, second])
    assert KEY not in written
    assert PHOTO_BASE64[:100] not in written
    status, _ = await simulators.request("DELETE", "/__emu/requests")
    assert status == 204
    assert await simulators.read("requests") == []


async def test_violations_can_be_forgotten(simulators: Simulators) -> None:
    await simulators.ask({})
    (violation,) = await simulators.read("violations")
    assert violation["path"] == f"/gemini/v1beta/models/{MODEL}:generateContent"
    status, _ = await simulators.request("DELETE", "/__emu/violations")
    assert status == 204
    assert await simulators.violations() == []


async def test_requests_in_flight_are_counted(simulators: Simulators) -> None:
    await simulators.behave("instant", delay_seconds=0.4)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(simulators.ask(contents({"text": "a"}))) for _ in range(7)]
        await asyncio.sleep(0.2)
        assert (await simulators.read("gemini/stats"))["in_flight"] == 7
    assert [task.result()[0] for task in tasks] == [200] * 7
    assert await simulators.read("gemini/stats") == {"requests": 7, "in_flight": 0, "max_in_flight": 7, "billed": 7}


# The command


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_command_serves_until_it_is_stopped(session: aiohttp.ClientSession, number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulators", "--port", "0", "--instant", "--delay", "0.2"),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    started = json.loads(await process.stderr.readline())
    simulators = Simulators(started["url"], session)
    before = time.perf_counter()
    assert await statuses(simulators, "a") == [200]
    assert time.perf_counter() - before >= 0.2
    await simulators.behave("silent")
    waiting = asyncio.create_task(simulators.ask(asking()))
    await asyncio.sleep(0.2)
    process.send_signal(number)
    async with asyncio.timeout(5):
        assert await process.wait() == 0
    with pytest.raises(aiohttp.ClientConnectionError):
        await waiting


@pytest.mark.parametrize("arguments", [["--delay", "-1"], ["--host", "203.0.113.1"]])
async def test_the_command_that_cannot_start_says_why(arguments: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulators", "--port", "0", *arguments), stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert b"simulators_not_started" in errors
    assert b"Traceback" not in errors
