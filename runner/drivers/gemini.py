"""Google's Gemini image models: `generateContent` of the Developer API. One request, and the picture is its answer.

There is no job to ask for later, nothing to cancel and no idempotency key: a lost answer may have been paid for.
`imageConfig` and `thinkingConfig` hold only what the model's entry in providers.json allows. A setting the model does
not know is left out when it asks for what happens anyway (size 1K, thinking level Medium); otherwise the call is
refused as INVALID_REQUEST before anything is sent: a picture other than the one ordered would be paid for in vain.
"""

import asyncio
import json
from typing import Any
from urllib.parse import quote

from aiohttp import ClientSession

from runner.body import Base64Of, Upload, ask
from runner.driver import Call, Image, Outcome, ProviderFailed, Receipt, usable_key
from runner.drivers import gemini_answer
from runner.reading import parsed, text_of

MAX_REQUEST_BYTES = 20_000_000
"""Of the whole request in base64. Google takes more since January 2026, but not everywhere."""
MIME_TYPES = frozenset({"image/jpeg", "image/png", "image/webp", "image/heic", "image/heif"})
CHECK_SECONDS = 10.0
PHOTO = "<the photo>"


async def submit(call: Call, http: ClientSession) -> Image:
    """Have the photo changed as the slot's prompt says. Raises `ProviderFailed`."""
    upload = _upload(call)
    answer = await ask(
        http,
        "POST",
        f"{_address(call.base_url, call.model.name)}:generateContent",
        headers={**_key_header(call.key), "Content-Type": "application/json"},
        key=call.key,
        deadline=call.deadline,
        upload=upload,
        receipt=Receipt(model=call.model.name),
    )
    if answer.status >= 300:
        raise gemini_answer.failure(answer, model=call.model.name, key=call.key)
    return gemini_answer.image(answer, call)


async def check_key(base_url: str, *, key: str, model: str, http: ClientSession) -> None:
    """Whether the key is good and the model alive, free of charge. Raises `ProviderFailed` when not."""
    deadline = asyncio.get_running_loop().time() + CHECK_SECONDS
    answer = await ask(http, "GET", _address(base_url, model), headers=_key_header(key), key=key, deadline=deadline)
    if answer.status >= 300:
        raise gemini_answer.failure(answer, model=model, key=key)
    if not text_of(gemini_answer.field(parsed(answer.body), "name")):
        raise ProviderFailed(Outcome.BAD_RESPONSE, "the answer is not a model's description")


def _address(base_url: str, model: str) -> str:
    return f"{base_url}/v1beta/models/{quote(model, safe='')}"


def _key_header(key: str | None) -> dict[str, str]:
    return {"x-goog-api-key": usable_key(key)}


def _upload(call: Call) -> Upload:
    """The request's JSON around the photo, which is encoded while it is sent."""
    if call.photo.mime not in MIME_TYPES:
        raise _refused(call, f"{call.photo.mime} pictures are not taken")
    document = {
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"inlineData": {"mimeType": call.photo.mime, "data": PHOTO}},
                    {"text": call.settings["prompt"]},
                ],
            }
        ],
        "generationConfig": _generation_config(call),
    }
    head, _, tail = json.dumps(document).partition(PHOTO)
    upload = Upload(head.encode(), Base64Of(call.photo.path, call.photo.size_bytes), tail.encode())
    if upload.length > MAX_REQUEST_BYTES:
        raise _refused(call, f"the request is longer than {MAX_REQUEST_BYTES // 1_000_000} MB")
    return upload


def _generation_config(call: Call) -> dict[str, Any]:
    image_config = {
        "aspectRatio": _allowed(call, "aspect_ratio", "aspect_ratios"),
        "imageSize": _allowed(call, "size", "sizes", usual=gemini_answer.DEFAULT_SIZE),
    }
    config: dict[str, Any] = {"responseModalities": ["IMAGE"]}
    if given := {name: value for name, value in image_config.items() if value is not None}:
        config["imageConfig"] = given
    if level := _allowed(call, "thinking_level", "thinking_levels", usual="Medium"):
        config["thinkingConfig"] = {"thinkingLevel": level}
    return config


def _allowed(call: Call, setting: str, capability: str, *, usual: str | None = None) -> str | None:
    """The setting, if the model takes it; None when it is not set, or asks for what the model does anyway."""
    wanted: str | None = call.settings.get(setting)
    taken = call.model.capabilities.get(capability, ())
    if wanted is None or wanted in taken:
        return wanted
    if wanted == usual:
        return None
    raise _refused(call, f"{call.model.name} takes no {setting} {wanted}, only: {', '.join(taken) or 'none'}")


def _refused(call: Call, reason: str) -> ProviderFailed:
    """A call that is not made."""
    return ProviderFailed(Outcome.INVALID_REQUEST, reason, receipt=Receipt(model=call.model.name))
