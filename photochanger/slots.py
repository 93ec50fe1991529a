"""The 15 slots: which provider changes a photo, and how. A photo in work has a snapshot: no edit disturbs it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Text, bindparam, cast, delete, func, insert, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.prepared import Connection, Prepared
from photochanger.tables import media_object, slot, slot_template

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


async def template_titles(conn: AsyncConnection, media_object_ids: Iterable[str]) -> dict[str, str | None]:
    """What administrators call these template pictures."""
    columns = (media_object.c.media_object_id, media_object.c.title)
    wanted = media_object.c.media_object_id.in_(list(media_object_ids))
    return {row.media_object_id: row.title for row in await conn.execute(select(*columns).where(wanted))}


async def unknown_templates(conn: AsyncConnection, template_media: Mapping[str, str] | None) -> dict[str, str]:
    """A sentence by `template_media.<role>` for each that is no template; the others cannot go until the commit.

    Whoever deletes one locks its row first: it waits for us, or we for it, and then it is unknown.
    """
    if not template_media:
        return {}
    known = (
        select(media_object.c.media_object_id)
        .where(
            media_object.c.media_object_id.in_(list(template_media.values())),
            media_object.c.kind == "template",
            media_object.c.path.is_not(None),
        )
        .order_by(media_object.c.media_object_id)
        .with_for_update(read=True)
    )
    there = set((await conn.execute(known)).scalars())
    return {
        f"template_media.{role}": "There is no such template."
        for role, media_object_id in template_media.items()
        if media_object_id not in there
    }


async def bind(conn: AsyncConnection, slot_id: str, template_media: Mapping[str, str]) -> None:
    """Give the slot these templates by role, instead of those it has; after `unknown_templates`, in its transaction."""
    await conn.execute(delete(slot_template).where(slot_template.c.slot_id == slot_id))
    if template_media:
        rows = [
            {"slot_id": slot_id, "role": role, "media_object_id": media_object_id}
            for role, media_object_id in template_media.items()
        ]
        await conn.execute(insert(slot_template), rows)
