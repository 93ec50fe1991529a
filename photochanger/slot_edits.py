"""Saving a slot: one conditional UPDATE on its version, with its templates, its history and its audit line.

Of two who edit the same version exactly one gets through; the other is told who was first. A photo in work does not
notice: it has its snapshot.
"""

import enum
from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, null, update
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import audit, moments, slot_history, slot_rules, slots, templates
from photochanger.errors import Failure, Refusal
from photochanger.providers import Providers
from photochanger.slot_history import SlotVersion
from photochanger.slots import Slot
from photochanger.tables import slot

COPIED = ("provider", "operation", "settings", "fallback", "template_media")
"""What makes a slot's pictures. Its name, its limits and whether it is on stay its own."""


class Keep(enum.Enum):
    """The slot's own password stays as it is."""

    KEEP = "keep"


async def save(
    conn: AsyncConnection,
    slot_id: str,
    given: Mapping[str, Any],
    *,
    version: int,
    providers: Providers,
    by: str,
    event: str = "slot_saved",
    wrong: Mapping[str, str] | None = None,
    password_hash: str | Keep | None = Keep.KEEP,
    **told: Any,
) -> Slot:
    """Change these fields of the document (slot_rules.py) of a slot that has this version; the slot as it is then.

    In a transaction. `wrong` are mistakes found already, in fields that are None then: all are told together. `told`
    goes into the audit line.
    Raises `Refusal`: `slot_not_found`, `validation_failed`, `version_conflict`.
    """
    before = await _found(conn, slot_id)
    document = {**slot_rules.document_of(before), **given}
    found = slot_rules.problems(document, providers) | await templates.unknown(conn, document["template_media"])
    slot_rules.refuse({**found, **(wrong or {})})
    return await _keep(conn, before, document, version=version, by=by, event=event, password_hash=password_hash, **told)


async def switch(conn: AsyncConnection, slot_id: str, *, on: bool, version: int, providers: Providers, by: str) -> Slot:
    """Switch a slot on or off. Raises as `save`; but off goes a slot whatever has become wrong with its settings."""
    if on:
        return await save(conn, slot_id, {"is_active": True}, version=version, providers=providers, by=by)
    before = await _found(conn, slot_id)
    document = {**slot_rules.document_of(before), "is_active": False}
    return await _keep(conn, before, document, version=version, by=by)


async def restore(
    conn: AsyncConnection, slot_id: str, *, wanted: int, version: int, providers: Providers, by: str
) -> Slot:
    """Make an earlier version's document the slot's again, as a new version. Raises as `save`, and `not_found`."""
    await _found(conn, slot_id)
    kept = {one.version: one for one in await slot_history.versions(conn, slot_id)}
    if wanted not in kept:
        raise Refusal(Failure.NOT_FOUND, "This version of the slot is not kept.")
    event, document = "slot_restored", kept[wanted].document
    return await save(
        conn, slot_id, document, version=version, providers=providers, by=by, event=event, restored=wanted
    )


async def copy(conn: AsyncConnection, slot_id: str, *, to: str, version: int, providers: Providers, by: str) -> Slot:
    """Give another slot, which has this version, what makes this one's pictures. Raises as `save`."""
    source = slot_rules.document_of(await _found(conn, slot_id))
    if slot_id == to:
        slot_rules.refuse({"other": "It is the same slot."})
    given = {name: source[name] for name in COPIED}
    event = "slot_copied"
    return await save(conn, to, given, version=version, providers=providers, by=by, event=event, copied_from=slot_id)


async def _keep(
    conn: AsyncConnection,
    before: Slot,
    document: Mapping[str, Any],
    *,
    version: int,
    by: str,
    event: str = "slot_saved",
    password_hash: str | Keep | None = Keep.KEEP,
    **told: Any,
) -> Slot:
    """Write the document, which is right, if the slot still has this version."""
    slot_id = before.slot_id
    if not await _update(conn, before, document, version=version, by=by, password_hash=password_hash):
        await _refuse_conflict(conn, slot_id)
    await templates.bind(conn, slot_id, document["template_media"])
    after = await _found(conn, slot_id)
    await slot_history.keep(conn, slot_id, _version_of(before), _version_of(after))
    changed = slot_rules.changed(slot_rules.document_of(before), document)
    if password_hash is not Keep.KEEP:
        changed.append("ingest_password")
    await audit.record(conn, event, actor=by, slot=slot_id, version=after.version, changed=changed, **told)
    return after


async def _found(conn: AsyncConnection, slot_id: str) -> Slot:
    found = await slots.get(conn, slot_id)
    if found is None:
        raise Refusal(Failure.SLOT_NOT_FOUND)
    return found


async def _update(
    conn: AsyncConnection,
    before: Slot,
    document: Mapping[str, Any],
    *,
    version: int,
    by: str,
    password_hash: str | Keep | None,
) -> bool:
    """False when the slot has another version, or gets one before this statement.

    Every change of a slot gives it a new version, so what was read before is what stood until now.
    """
    if before.version != version:
        return False
    values = {name: value for name, value in document.items() if name in slot.c}
    values["fallback"] = null() if document["fallback"] is None else document["fallback"]
    if password_hash is not Keep.KEEP:
        values["ingest_password_hash"] = password_hash
    values |= {"version": slot.c.version + 1, "updated_at": func.now(), "updated_by": by}
    this = (slot.c.slot_id == before.slot_id, slot.c.version == version)
    return (await conn.execute(update(slot).where(*this).values(values))).rowcount == 1


async def _refuse_conflict(conn: AsyncConnection, slot_id: str) -> None:
    now = await _found(conn, slot_id)
    written = moments.written(now.updated_at)
    raise Refusal(
        Failure.VERSION_CONFLICT,
        f"{now.updated_by} has saved version {now.version} of it meanwhile.",
        facts={"conflict": {"version": now.version, "updated_by": now.updated_by, "updated_at": written}},
    )


def _version_of(saved: Slot) -> SlotVersion:
    return SlotVersion(
        version=saved.version,
        saved_at=saved.updated_at,
        saved_by=saved.updated_by,
        document=slot_rules.document_of(saved),
    )
