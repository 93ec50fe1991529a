"""The slot page for tests: its form sent as a browser sends it, and the slot as it then stands."""

import httpx

from photochanger import slots
from photochanger.slots import Slot
from tests.administrators import browser
from tests.serving import Api

HTMX = {"HX-Request": "true", "Accept": "*/*", "Accept-Language": "ru"}
FORM = {
    "version": "1",
    "display_name": "Свадьба",
    "is_active": "1",
    "provider": "gemini",
    "operation": "image_edit",
    "settings.prompt": "Акварель.\r\nЛица не менять.",
    "settings.size": "2K",
    "settings.retries": "2",
    "settings.aspect_ratio": "",
    "size_limit_mb": "12",
    "sync_response_seconds": "",
}


async def send(http: httpx.AsyncClient, api: Api, path: str, form: dict[str, str], **headers: str) -> httpx.Response:
    """A form of slot 1, as htmx sends it."""
    return await http.post(
        f"{api.url}/slots/slot-001{path}", data=form, headers={**HTMX, **await browser(api), **headers}
    )


async def saved(api: Api, slot_id: str = "slot-001") -> Slot:
    """The slot as it stands."""
    async with api.db.at_once() as conn:
        found = await slots.get(conn, slot_id)
    assert found is not None
    return found
