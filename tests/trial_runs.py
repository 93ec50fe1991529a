"""Test runs of a slot's form, for the tests of what becomes of them and of what is refused."""

import json
from typing import Any

import httpx
from sqlalchemy import func, insert

from photochanger import provider_media
from photochanger.tables import media_object
from tests.administrators import bearer
from tests.booths import photo_bytes
from tests.serving import Api
from tests.test_contract import check

PHOTO = photo_bytes()
Parts = list[tuple[str, tuple[str | None, bytes]]]


async def tried(
    api: Api,
    http: httpx.AsyncClient,
    form: Any = None,
    *,
    photo: bytes = PHOTO,
    slot_id: str = "slot-001",
    query: str = "",
) -> httpx.Response:
    """A test run of this form; None sends none."""
    parts: Parts = [("test_image", ("photo.jpg", photo))]
    if form is not None:
        payload = form if isinstance(form, bytes) else json.dumps(form).encode()
        parts.append(("slot_payload", (None, payload)))
    return await posted(api, http, parts, slot_id=slot_id, query=query)


async def posted(
    api: Api, http: httpx.AsyncClient, parts: Parts, *, slot_id: str = "slot-001", query: str = ""
) -> httpx.Response:
    url = f"{api.url}/api/slots/{slot_id}/test-run{query}"
    return await http.post(url, files=parts, headers=await bearer(api))


async def accepted(api: Api, http: httpx.AsyncClient, form: Any = None, **given: Any) -> Any:
    answer = await tried(api, http, form, **given)
    assert answer.status_code == 202, answer.text
    check(answer.json(), "JobAccepted")
    return answer.json()


async def template(api: Api, *, kind: str = "template") -> str:
    """A template picture that no slot has."""
    media_id = provider_media.new_media_id()
    path = f"templates/{media_id}.jpg"
    api.media.path_of(path).write_bytes(PHOTO)
    row = {"media_object_id": media_id, "kind": kind, "path": path, "mime": "image/jpeg", "bytes": len(PHOTO)}
    async with api.db.begin() as conn:
        expires = None if kind == "template" else func.now()
        await conn.execute(
            insert(media_object).values(**row, sha256=b"s" * 32, created_at=func.now(), expires_at=expires)
        )
    return media_id
