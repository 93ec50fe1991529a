"""The OpenAI driver: what it sends, and what it refuses to send."""

import asyncio
import base64
import io
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from multipart import MultipartParser

from photochanger import providers
from photochanger.images import PreparedPicture
from runner.body import CHUNK_BYTES
from runner.driver import Call, Outcome, ProviderFailed
from runner.drivers import openai
from simulators.server import serving

PROVIDER = providers.load().by_name["openai"]
MODELS = PROVIDER.models
DEFAULT = "gpt-image-2.5-flare"
OLD = "gpt-image-1.5"
KEY = "sk-proj-TestKeyTestKeyTestKeyTestKeyTestKey1234"
PICTURE = bytes(range(256)) * 3
GOOD = {"created": 1, "data": [{"b64_json": base64.b64encode(PICTURE).decode()}]}


@pytest.fixture
async def http(anyio_backend: str) -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(os.urandom(300_000))
    return path


def prepared(path: Path, *, mime: str = "image/jpeg") -> PreparedPicture:
    size = path.stat().st_size if path.exists() else 5
    return PreparedPicture(path=path, mime=mime, size_bytes=size, width=640, height=480)


def call(
    photo: Path,
    url: str,
    *,
    operation: str = "image_edit",
    model: str = DEFAULT,
    seconds: float = 10.0,
    key: str | None = KEY,
    templates: Mapping[str, PreparedPicture] | None = None,
    **settings: Any,
) -> Call:
    return Call(
        job_id="0" * 32,
        operation=operation,
        options=PROVIDER.operations[operation].options,
        settings={"prompt": "Studio portrait", **settings},
        model=MODELS[model],
        photo=prepared(photo),
        templates=templates or {},
        base_url=url,
        key=key,
        deadline=asyncio.get_running_loop().time() + seconds,
    )


@dataclass(frozen=True)
class Listener:
    """Answers every request with GOOD, and keeps what was asked."""

    url: str
    requests: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)

    def parts(self) -> list[tuple[str, str | None, str | None, bytes]]:
        """Name, file name, type and content of each part of the last form."""
        headers, body = self.requests[-1]
        boundary = headers["Content-Type"].partition("boundary=")[2]
        found = MultipartParser(io.BytesIO(body), boundary, len(body), strict=True, spool_limit=len(body)).parts()
        return [(part.name, part.filename, part.headers["Content-Type"], part.raw) for part in found]

    def texts(self) -> dict[str, str]:
        return {name: raw.decode() for name, filename, _, raw in self.parts() if filename is None}


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    requests: list[tuple[Mapping[str, str], bytes]] = []

    async def keep(request: web.Request) -> web.Response:
        requests.append((request.headers, await request.read()))
        return web.json_response(GOOD)

    app = web.Application(client_max_size=100_000_000)
    app.add_routes([web.post("/v1/images/edits", keep)])
    async with serving(app) as served:
        yield Listener(served.url, requests)


# What is sent


@pytest.mark.anyio
@pytest.mark.parametrize("size", [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 2])
async def test_the_photo_is_sent_with_its_exact_length(http: ClientSession, photo: Path, size: int) -> None:
    photo.write_bytes(os.urandom(size))
    async with listening() as listener:
        image = await openai.submit(call(photo, listener.url), http)
    assert image.data == PICTURE
    headers, body = listener.requests[0]
    assert (headers["Authorization"], headers["Content-Length"]) == (f"Bearer {KEY}", str(len(body)))
    assert "Transfer-Encoding" not in headers
    *texts, (name, filename, mime, raw) = listener.parts()
    assert (name, filename, mime) == ("image", "photo.jpg", "image/jpeg")
    assert raw == photo.read_bytes()
    assert {text_name: text for text_name, _, _, text in texts} == {
        "model": DEFAULT.encode(),
        "prompt": b"Studio portrait",
        "n": b"1",
        "output_format": b"jpeg",
    }


@pytest.mark.anyio
async def test_a_style_goes_second_and_the_prompt_says_which_is_which(
    http: ClientSession, photo: Path, tmp_path: Path
) -> None:
    style = tmp_path / "style.webp"
    style.write_bytes(os.urandom(1000))
    templates = {"face": prepared(photo), "style": prepared(style, mime="image/webp")}
    async with listening() as listener:
        await openai.submit(call(photo, listener.url, operation="style_transfer", templates=templates), http)
        told = listener.texts()["prompt"]
        files = [part for part in listener.parts() if part[1] is not None]
    assert [part[:3] for part in files] == [
        ("image[]", "photo.jpg", "image/jpeg"),
        ("image[]", "style.webp", "image/webp"),
    ]
    assert [part[3] for part in files] == [photo.read_bytes(), style.read_bytes()]
    assert told.startswith("The first image is a photo")
    assert told.endswith("\n\nStudio portrait")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("prompt", "arrives"),
    [
        ('--x\r\nContent-Disposition: form-data; name="model"\r\n\r\n', None),
        ("Привет, 🌲\n", None),
        ("half \ud800", "half ?"),
        ("x" * 30_000, None),
    ],
)
async def test_any_prompt_arrives_as_it_is(http: ClientSession, photo: Path, prompt: str, arrives: str | None) -> None:
    async with listening() as listener:
        await openai.submit(call(photo, listener.url, prompt=prompt), http)
        assert listener.texts()["prompt"] == (prompt if arrives is None else arrives)
        assert listener.texts()["model"] == DEFAULT


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("model", "settings", "sent"),
    [
        (DEFAULT, {"size": "1536x1024", "quality": "max"}, {"size": "1536x1024", "quality": "max"}),
        (DEFAULT, {"size": "3840x2160"}, {"size": "3840x2160"}),
        (DEFAULT, {"size": "1280x3840"}, {"size": "1280x3840"}),
        (DEFAULT, {"size": "auto", "quality": "auto", "background": "auto"}, {}),
        (DEFAULT, {"input_fidelity": "high", "background": "opaque"}, {"background": "opaque"}),
        ("gpt-image-1-mini", {"input_fidelity": "high"}, {}),
        (OLD, {"input_fidelity": "high", "size": "1024x1536"}, {"input_fidelity": "high", "size": "1024x1536"}),
        (OLD, {"background": "transparent"}, {"background": "transparent", "output_format": "png"}),
    ],
)
async def test_only_what_the_model_takes_is_sent(
    http: ClientSession, photo: Path, model: str, settings: dict[str, Any], sent: dict[str, str]
) -> None:
    async with listening() as listener:
        await openai.submit(call(photo, listener.url, model=model, retries=2, **settings), http)
        told = listener.texts()
    usual = {"model": model, "prompt": "Studio portrait", "n": "1", "output_format": "jpeg"}
    assert told == usual | sent


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("model", "settings"),
    [
        (OLD, {"size": "1040x1040"}),
        (OLD, {"quality": "xhigh"}),
        ("gpt-image-2", {"quality": "max"}),
        (DEFAULT, {"background": "transparent"}),
        *((DEFAULT, {"size": size}) for size in ("1000x1024", "3856x1600", "3200x1024", "800x800", "3840x2176")),
        *((DEFAULT, {"size": size}) for size in ("big", "1024x1024\n", "01024x1024", "1024", "x", "١٠٢٤x1024", "0x0")),
        (DEFAULT, {"prompt": "x" * 32_001}),
        (DEFAULT, {"operation": "style_transfer"}),
    ],
)
async def test_an_order_the_model_cannot_fill_is_refused_before_it_is_paid(
    http: ClientSession, photo: Path, model: str, settings: dict[str, Any]
) -> None:
    async with listening() as listener:
        with pytest.raises(ProviderFailed) as caught:
            await openai.submit(call(photo, listener.url, model=model, **settings), http)
    error = caught.value
    assert (error.outcome, error.repeatable, error.receipt.model) == (Outcome.INVALID_REQUEST, False, model)
    assert listener.requests == []


@pytest.mark.anyio
async def test_a_picture_of_50_megabytes_or_of_another_kind_is_not_sent(http: ClientSession, photo: Path) -> None:
    heic = call(photo, "http://127.0.0.1:9")
    heic = Call(**{**vars(heic), "photo": prepared(photo, mime="image/heic")})
    os.truncate(photo, 50_000_000)
    for one in (heic, call(photo, "http://127.0.0.1:9")):
        with pytest.raises(ProviderFailed) as caught:
            await openai.submit(one, http)
        assert caught.value.outcome is Outcome.INVALID_REQUEST
        assert "the photo is no JPEG, PNG or WEBP under 50 MB" in caught.value.reason


@pytest.mark.anyio
@pytest.mark.parametrize("key", [None, "", "two\nlines", "ключ", "nul\x00"])
async def test_a_key_that_is_none_is_not_sent(http: ClientSession, photo: Path, key: str | None) -> None:
    async with listening() as listener:
        with pytest.raises(ProviderFailed) as caught:
            await openai.submit(call(photo, listener.url, key=key), http)
    assert (caught.value.outcome, caught.value.repeatable, listener.requests) == (Outcome.AUTH, False, [])


@pytest.mark.anyio
async def test_a_photo_that_cannot_be_read_is_not_the_networks_fault(http: ClientSession, photo: Path) -> None:
    gone = call(photo, "")
    photo.unlink()
    async with listening() as listener:
        with pytest.raises(ProviderFailed) as caught:
            await openai.submit(Call(**{**vars(gone), "base_url": listener.url}), http)
    assert (caught.value.outcome, caught.value.repeatable) == (Outcome.INVALID_REQUEST, False)
    assert "the prepared picture cannot be read" in caught.value.reason
