"""A booth's form, for tests that post one by hand."""

import hashlib
import io
from typing import Any

import httpx
from PIL import Image

from photochanger.media import MARKER, Media
from tests.serving import PASSWORD


async def post_photo(
    http: httpx.AsyncClient,
    url: str,
    photo: bytes,
    *,
    slot: str = "slot-001",
    password: bytes = PASSWORD,
    hash_: str | None = None,
    headers: dict[str, str] | None = None,
    fields: dict[str, str] | None = None,
) -> httpx.Response:
    """Post it as DSLR Remote Pro does."""
    form: dict[str, Any] = {
        "password": password.decode("latin-1"),
        "hash": hash_ if hash_ is not None else hashlib.md5(photo, usedforsecurity=False).hexdigest(),
        **(fields or {}),
    }
    files = {"fileToUpload": ("IMG_0001.JPG", photo, "image/jpeg")}
    return await http.post(f"{url}/ingest/{slot}", data=form, files=files, headers=headers)


async def post_patiently(http: httpx.AsyncClient, url: str, photo: bytes, **given: Any) -> httpx.Response:
    """As `post_photo`, and again as long as the database is too busy: for tests that send very many at once."""
    while (answer := await post_photo(http, url, photo, **given)).status_code == 503:
        assert answer.json()["failure_reason"] == "database_unavailable"
    return answer


def photo_bytes(*, width: int = 640, height: int = 480, seed: int = 1) -> bytes:
    """A small JPEG."""
    image = Image.effect_noise((width, height), 40 + seed).convert("RGB")
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return file.getvalue()


def nothing_left(media: Media) -> None:
    """No file lies under MEDIA_ROOT but its marker."""
    assert [path for path in media.root.rglob("*") if path.is_file() and path.name != MARKER] == []


def reason(answer: httpx.Response) -> tuple[int, str]:
    """What it was refused or has failed with: its status and its code."""
    body = answer.json()
    assert body["status"] == ("timeout" if answer.status_code == 504 else "error")
    assert "Traceback" not in answer.text
    return answer.status_code, body["failure_reason"]
