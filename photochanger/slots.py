"""The 15 slots: which provider changes a photo, and how. A photo in work has a snapshot: no edit disturbs it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Text, bindparam, cast, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.prepared import Connection, Prepared
from photochanger.tables import slot, slot_template

SLOT_ID = re.compile(r"slot-0(0[1-9]|1[0-5])")


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One slot as it is now."""

    slot_id: str
    display_name: str
    provider: str
    operation: str
    settings: Mapping[str, Any]
    is_active: bool
    size_limit_mb: int
    sync_response_seconds: int | None
    """None: the global one."""
    ingest_password_hash: str | None
    """None: the global one."""
    fallback: Mapping[str, Any] | None
    """Provider, operation and settings for the time that is left when the slot's own provider fails."""
    version: int
    updated_at: datetime
    updated_by: str
    template_media: Mapping[str, str]
    """Media object ids by role."""

    @property
    def size_limit_bytes(self) -> int:
        """The largest photo it takes."""
        return self.size_limit_mb * 1024 * 1024

    def snapshot(self) -> dict[str, Any]:
        """What a job keeps of it, so that later edits do not matter."""
        return {
            "slot_id": self.slot_id,
            "slot_version": self.version,
            "provider": self.provider,
            "operation": self.operation,
            "settings": dict(self.settings),
            "fallback": self.fallback,
            "template_media": dict(self.template_media),
        }


_TEMPLATES = (
    select(
        func.jsonb_object_agg(slot_template.c.role, func.encode(func.uuid_send(slot_template.c.media_object_id), "hex"))
    )
    .where(slot_template.c.slot_id == slot.c.slot_id)
    .scalar_subquery()
)
COLUMNS = [
    *(slot.c[name] for name in Slot.__dataclass_fields__ if name in slot.c),
    func.coalesce(_TEMPLATES, cast({}, JSONB)).label("template_media"),
]


_GET = Prepared(select(*COLUMNS).where(slot.c.slot_id == bindparam("wanted", type_=Text)))


async def get(conn: Connection, slot_id: str) -> Slot | None:
    """The slot, or None when there is none with this id."""
    if not SLOT_ID.fullmatch(slot_id):
        return None
    rows = await _GET.rows(conn, {"wanted": slot_id})
    return Slot(**rows[0]) if rows else None


async def all_slots(conn: AsyncConnection) -> list[Slot]:
    """All 15, in their order."""
    return [Slot(**row._mapping) for row in await conn.execute(select(*COLUMNS).order_by(slot.c.slot_id))]  # noqa: SLF001
