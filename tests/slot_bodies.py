"""Bodies and rows for tests of what administrators do with slots."""

import secrets
from typing import Any

import httpx
from sqlalchemy import func, insert

from photochanger.db import Database
from photochanger.tables import media_object
from tests.serving import Api

Headers = dict[str, str]
STYLE_TRANSFER: dict[str, Any] = {"provider": "openai", "operation": "style_transfer", "settings": {}}


def body(**changes: Any) -> dict[str, Any]:
    """What `PUT /api/slots/{slot_id}` takes, of a slot that nobody has saved yet."""
    return {
        "display_name": "Slot 1 (Gemini)",
        "provider": "gemini",
        "operation": "image_edit",
        "is_active": True,
        "size_limit_mb": 15,
        "sync_response_seconds": 48,
        "settings": {"prompt": "Studio portrait"},
        "template_media": [],
        "version": 1,
        **changes,
    }


def bound(media_object_id: str, role: str = "style") -> list[dict[str, str]]:
    """A `template_media` with one picture."""
    return [{"media_kind": role, "media_object_id": media_object_id}]


async def template(db: Database, *, kind: str = "template", title: str = "Watercolour") -> str:
    """The row of a template picture; its id."""
    media_object_id = secrets.token_hex(16)
    async with db.begin() as conn:
        await conn.execute(
            insert(media_object).values(
                media_object_id=media_object_id,
                kind=kind,
                path=f"templates/{media_object_id}.jpg",
                mime="image/jpeg",
                bytes=1000,
                sha256=secrets.token_bytes(32),
                created_at=func.now(),
                expires_at=None if kind == "template" else func.now(),
                title=title,
            )
        )
    return media_object_id


class Slots:
    """The slots' API as one administrator uses it."""

    def __init__(self, api: Api, http: httpx.AsyncClient, headers: Headers) -> None:
        self.api = api
        self._http = http
        self._headers = headers

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        return await self._http.request(method, f"{self.api.url}{path}", headers=self._headers, **options)

    async def get(self, slot_id: str = "slot-001") -> dict[str, Any]:
        answer = await self.ask("GET", f"/api/slots/{slot_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def put(self, slot_id: str = "slot-001", **changes: Any) -> httpx.Response:
        return await self.ask("PUT", f"/api/slots/{slot_id}", json=body(**changes))

    async def saved(self, slot_id: str = "slot-001", **changes: Any) -> dict[str, Any]:
        answer = await self.put(slot_id, **changes)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def fields(self, slot_id: str = "slot-001", **changes: Any) -> dict[str, str]:
        """The sentences of a body that is refused whole."""
        before = await self.get(slot_id)
        answer = await self.put(slot_id, **changes)
        assert (answer.status_code, answer.json()["failure_reason"]) == (422, "validation_failed"), answer.text
        assert await self.get(slot_id) == before, "half of it was saved"
        found: dict[str, str] = answer.json()["fields"]
        return found
