"""Running simulators and edits as OpenAI takes them, for the tests of its simulator and of its driver."""

import base64
import io
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from PIL import Image

from simulators.openai import KEY
from simulators.sample import SAMPLE
from simulators.server import build_app, serving

MODEL = "gpt-image-2.5-flare"
PHOTO = SAMPLE.read_bytes()
Document = dict[str, Any]
Part = tuple[str, bytes | str, str | None, str | None]
"""Field, content, file name, type."""


def text(name: str, value: str) -> Part:
    return (name, value, None, None)


def image(data: bytes = PHOTO, *, field: str = "image", name: str | None = "photo.jpg", mime: str | None = "") -> Part:
    """A picture's part; its type follows from its name unless it is given."""
    kinds = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
    return (field, data, name, kinds.get((name or "").lower().rpartition(".")[2]) if mime == "" else mime)


def edit(*parts: Part, prompt: str = "Studio portrait", model: str = MODEL, **settings: str) -> list[Part]:
    """A form as the driver makes it; without parts it has the sample photo."""
    texts = [text(name, value) for name, value in {"model": model, "prompt": prompt, **settings}.items()]
    return [*texts, *(parts or [image()])]


def encoded(parts: list[Part], *, boundary: str) -> bytes:
    lines = []
    for name, content, filename, mime in parts:
        told = f'form-data; name="{name}"' + ("" if filename is None else f'; filename="{filename}"')
        head = f"--{boundary}\r\nContent-Disposition: {told}\r\n"
        head += "" if mime is None else f"Content-Type: {mime}\r\n"
        data = content.encode() if isinstance(content, str) else content
        lines.append(head.encode() + b"\r\n" + data + b"\r\n")
    return b"".join(lines) + f"--{boundary}--\r\n".encode()


class OpenAISimulator:
    """The running simulator, as a driver and as whoever directs the play sees it."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session

    async def ask(self, parts: list[Part], **headers: str) -> tuple[int, Any]:
        """The status and the JSON of the answer to a form."""
        boundary = uuid.uuid4().hex
        told = {
            "Authorization": f"Bearer {KEY}",
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        body = io.BytesIO(encoded(parts, boundary=boundary))
        return await self.request("POST", "/openai/v1/images/edits", data=body, headers=told)

    async def request(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with self.session.request(method, self.url + path, allow_redirects=False, **options) as response:
            body = await response.read()
            is_json = body and response.content_type == "application/json"
            return response.status, json.loads(body) if is_json else body

    async def behave(self, name: str, *, times: int | None = None, match: Document | None = None, **given: Any) -> None:
        """Add a scenario."""
        document = {"match": match or {}, "behaviour": {"name": name, **given}, "times": times}
        status, answer = await self.request("POST", "/__emu/openai/scenario", json=document)
        assert status == 201, answer

    async def read(self, what: str) -> Any:
        """`requests`, `violations` or `openai/stats`."""
        status, answer = await self.request("GET", f"/__emu/{what}")
        assert status == 200
        return answer

    async def violations(self) -> list[str]:
        return [violation["message"] for violation in await self.read("violations")]


@asynccontextmanager
async def simulated(**options: Any) -> AsyncIterator[OpenAISimulator]:
    """Simulators of our own with these options of `build_app`."""
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout) as session, serving(build_app(**options)) as served:
        yield OpenAISimulator(served.url, session)


def pictures_of(answer: Document) -> list[bytes]:
    return [base64.b64decode(one["b64_json"], validate=True) for one in answer["data"]]


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def picture_bytes(width: int, height: int, *, kind: str = "JPEG", mode: str = "RGB") -> bytes:
    """A picture of any size with something to see."""
    picture = Image.linear_gradient("L").resize((width, height)).convert(mode)
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


def mask_bytes(width: int, height: int, *, editable: tuple[int, int, int, int]) -> bytes:
    """A mask that is transparent within the box."""
    picture = Image.new("RGBA", (width, height), (0, 0, 0, 255))
    picture.paste((0, 0, 0, 0), editable)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


PATH = "/openai/v1/images/edits"
BEARER = {"Authorization": f"Bearer {KEY}"}
OLD = "gpt-image-1.5"
