"""The Gemini simulator takes what Gemini takes and refuses what Gemini refuses."""

import base64
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from simulators.broken_pictures import bomb
from simulators.gemini import KEY
from tests.simulated import (
    MODEL,
    PHOTO,
    Simulators,
    asking,
    contents,
    inline,
    photo_bytes,
    picture_of,
    simulated,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def simulators(anyio_backend: str) -> AsyncIterator[Simulators]:
    async with simulated() as simulators:
        yield simulators


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
async def test_a_body_over_the_limit_is_refused(surplus_bytes: int) -> None:
    document = json.dumps(contents({"text": "a"})).encode()
    async with simulated(body_limit_bytes=len(document)) as simulators:
        headers = {"x-goog-api-key": KEY, "Content-Type": "application/json"}
        path = f"/gemini/v1beta/models/{MODEL}:generateContent"
        status, _ = await simulators.request("POST", path, data=document, headers=headers)
        assert status == 200
        status, answer = await simulators.request(
            "POST", path, data=io.BytesIO(document + b" " * surplus_bytes), headers=headers
        )
        assert status == 400
        assert answer["error"]["message"] == f"Request payload size exceeds the limit: {len(document)} bytes."
