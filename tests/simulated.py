"""Running simulators and requests to Gemini, for the simulators' own tests."""

import base64
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from PIL import Image

from simulators.gemini import KEY
from simulators.sample import SAMPLE
from simulators.server import build_app, serving

MODEL = "gemini-nano-banana-2.1"
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

    async def statuses(self, *prompts: str) -> list[int]:
        """One request a prompt, one after the other."""
        return [(await self.ask(contents({"text": prompt})))[0] for prompt in prompts]


@asynccontextmanager
async def simulated(url: str | None = None, **options: Any) -> AsyncIterator[Simulators]:
    """Simulators of our own with these options of `build_app`, or those already at the url."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        if url is not None:
            yield Simulators(url, session)
            return
        async with serving(build_app(**options)) as served:
            yield Simulators(served.url, session)


def contents(*parts: Any, **more: Any) -> Document:
    return {"contents": [{"role": "user", "parts": list(parts)}], **more}


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
