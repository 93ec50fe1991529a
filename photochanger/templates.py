"""Template media: pictures that slots put beside the photo, by role. They stay until an administrator deletes them.

A slot's binding and a deletion exclude each other by the template's row: whoever comes second sees what the first one
has done. A template that a slot uses is never deleted, and one that is deleted is never bound.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, literal_column, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.errors import Failure, Refusal
from photochanger.images import CheckedResult
from photochanger.picture_kinds import EXTENSIONS
from photochanger.tables import media_object, slot_template

MEDIA_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class Template:
    """One template. Its picture never changes."""

    media_object_id: str
    title: str | None
    mime: str
    bytes: int
    width: int | None
    height: int | None
    created_at: datetime
    created_by: str | None
    used_by: tuple[str, ...]
    """The slots that have it bound."""

    @property
    def path(self) -> str:
        """Its file, relative to MEDIA_ROOT."""
        return f"templates/{self.media_object_id}.{EXTENSIONS[self.mime]}"

    @property
    def preview_path(self) -> str:
        """Its thumbnail, a WEBP."""
        return f"templates/previews/{self.media_object_id}.webp"


_IS_TEMPLATE = media_object.c.kind == literal_column("'template'")
_USED_BY = (
    select(func.array_agg(slot_template.c.slot_id.distinct()))
    .where(slot_template.c.media_object_id == media_object.c.media_object_id)
    .scalar_subquery()
)
_QUERY = select(
    *(media_object.c[name] for name in Template.__dataclass_fields__ if name in media_object.c),
    _USED_BY.label("used_by"),
).where(_IS_TEMPLATE)


def _this(media_object_id: str) -> ColumnElement[bool]:
    return media_object.c.media_object_id == media_object_id


async def all_templates(conn: AsyncConnection) -> list[Template]:
    """All there are, the newest first."""
    newest_first = _QUERY.order_by(media_object.c.created_at.desc(), media_object.c.media_object_id)
    return [_template(row._mapping) for row in await conn.execute(newest_first)]  # noqa: SLF001


async def get(conn: AsyncConnection, media_object_id: str) -> Template:
    """One of them. Raises `Refusal` (`media_not_found`), also for what cannot be an id."""
    if not MEDIA_ID.fullmatch(media_object_id):
        raise Refusal(Failure.MEDIA_NOT_FOUND)
    row = (await conn.execute(_QUERY.where(_this(media_object_id)))).one_or_none()
    if row is None:
        raise Refusal(Failure.MEDIA_NOT_FOUND)
    return _template(row._mapping)  # noqa: SLF001


async def register(
    conn: AsyncConnection, *, media_object_id: str, title: str | None, picture: CheckedResult, by: str
) -> Template:
    """Make a checked picture a template; another id comes back when it is one already (which keeps a title it has).

    In a transaction its row is locked from here to the commit: the caller puts the files in their place then.
    """
    row = {
        "media_object_id": media_object_id,
        "kind": "template",
        "path": f"templates/{media_object_id}.{EXTENSIONS[picture.mime]}",
        "mime": picture.mime,
        "bytes": picture.size_bytes,
        "sha256": picture.sha256,
        "title": title,
        "width": picture.width,
        "height": picture.height,
        "created_by": by,
    }
    new = insert(media_object).values(row)
    same = new.on_conflict_do_update(
        index_elements=[media_object.c.sha256],
        index_where=_IS_TEMPLATE,
        set_={"title": func.coalesce(media_object.c.title, new.excluded.title)},
    )
    kept: str = (await conn.execute(same.returning(media_object.c.media_object_id))).scalar_one()
    return await get(conn, kept)


async def delete(conn: AsyncConnection, media_object_id: str) -> Template:
    """Delete its row; the caller removes its files once that is committed.

    Raises `Refusal`: `media_not_found`, and `template_in_use` naming the slots.
    """
    await get(conn, media_object_id)
    locked = select(media_object.c.media_object_id).where(_this(media_object_id), _IS_TEMPLATE)
    await conn.execute(locked.with_for_update())
    found = await get(conn, media_object_id)  # once more: somebody may have bound or deleted it while we waited
    if found.used_by:
        raise Refusal(
            Failure.TEMPLATE_IN_USE,
            f"The template is used by {', '.join(found.used_by)}.",
            facts={"conflict": {"slots": list(found.used_by)}},
        )
    await conn.execute(media_object.delete().where(_this(media_object_id)))
    return found


async def titles(conn: AsyncConnection, media_object_ids: Iterable[str]) -> dict[str, str | None]:
    """What administrators call these template pictures."""
    columns = (media_object.c.media_object_id, media_object.c.title)
    wanted = media_object.c.media_object_id.in_(list(media_object_ids))
    return {row.media_object_id: row.title for row in await conn.execute(select(*columns).where(wanted))}


async def unknown(conn: AsyncConnection, template_media: Mapping[str, str] | None) -> dict[str, str]:
    """A sentence by `template_media.<role>` for each that is no template; the others cannot go until the commit.

    A deletion that has come first is waited for; one that comes later waits for us.
    """
    named = template_media or {}
    wanted = [media_id for media_id in named.values() if MEDIA_ID.fullmatch(media_id)]
    there = select(media_object.c.media_object_id).where(media_object.c.media_object_id.in_(wanted), _IS_TEMPLATE)
    in_order = there.order_by(media_object.c.media_object_id)
    locked = await conn.execute(in_order.with_for_update(read=True, key_share=True))
    known = set(locked.scalars())
    return {
        f"template_media.{role}": "There is no such template."
        for role, media_id in named.items()
        if media_id not in known
    }


async def bind(conn: AsyncConnection, slot_id: str, template_media: Mapping[str, str]) -> None:
    """Give a slot these templates by role, instead of those it has; after `unknown`, in the transaction that saves it.

    Which roles there may be is for who knows its operation (`slot_rules.py`).
    """
    await conn.execute(slot_template.delete().where(slot_template.c.slot_id == slot_id))
    if template_media:
        rows = [
            {"slot_id": slot_id, "role": role, "media_object_id": media_id} for role, media_id in template_media.items()
        ]
        await conn.execute(slot_template.insert(), rows)


def _template(row: Mapping[Any, Any]) -> Template:
    return Template(**{**row, "used_by": tuple(sorted(row["used_by"] or ()))})
