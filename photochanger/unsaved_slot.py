"""A slot's form that was not saved, for a test run: judged as a saved one is (slot_rules.py)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import slot_rules, templates
from photochanger.providers import Providers
from photochanger.slots import Slot


async def with_form(conn: AsyncConnection, providers: Providers, slot: Slot, form: Mapping[str, Any]) -> Slot:
    """The slot as it would be with this body of `PUT`; what is left out is as it is saved.

    In a transaction. Raises `Refusal` (`validation_failed`), with a sentence for each field that cannot be taken.
    """
    given, wrong = slot_rules.read_body({**_body(slot), **form})
    document = {**slot_rules.document_of(slot), **given}
    found = slot_rules.problems(document, providers) | await templates.unknown(conn, document["template_media"])
    slot_rules.refuse({**found, **wrong})
    return replace(slot, **document)


def _body(slot: Slot) -> dict[str, Any]:
    """The slot as `PUT` would be told of it."""
    bound = [{"media_kind": role, "media_object_id": media_id} for role, media_id in slot.template_media.items()]
    return {**slot_rules.document_of(slot), "template_media": bound, "version": slot.version}
