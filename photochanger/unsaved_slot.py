"""A slot's form that was not saved, for a test run: checked against providers.json as a saved one would be."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import provider_media
from photochanger.errors import Failure, Refusal
from photochanger.providers import Operation, Providers
from photochanger.slots import Slot

LONGEST_SENTENCE = 200
_PLAN = {
    "provider": {"type": "string", "maxLength": 64},
    "operation": {"type": "string", "maxLength": 64},
    "settings": {"type": "object"},
}
FORM_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        **_PLAN,
        "display_name": {"type": "string", "minLength": 1, "maxLength": 200},
        "is_active": {"type": "boolean"},
        "version": {"type": "integer"},
        "size_limit_mb": {"type": "integer", "minimum": 1, "maximum": 20},
        "sync_response_seconds": {"type": ["integer", "null"], "minimum": 10, "maximum": 60},
        "fallback": {
            "type": ["object", "null"],
            "required": ["provider", "operation", "settings"],
            "additionalProperties": False,
            "properties": _PLAN,
        },
        "template_media": {
            "type": "array",
            "maxItems": 16,
            "items": {
                "type": "object",
                "required": ["media_kind", "media_object_id"],
                "additionalProperties": False,
                "properties": {
                    "media_kind": {"type": "string", "pattern": "^[a-z_]{1,32}$"},
                    "media_object_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
                },
            },
        },
    },
}
"""That of `PUT /api/slots/{slot_id}`. What is left out stays as it is saved."""


async def with_form(conn: AsyncConnection, providers: Providers, slot: Slot, form: Mapping[str, Any]) -> Slot:
    """The slot as it would be with this form; an empty one checks it as it is saved.

    Raises `Refusal` (`validation_failed`), with a sentence for each field that cannot be taken.
    """
    _refuse(dict(_mistakes(FORM_SCHEMA, form)))
    given = {name: value for name, value in form.items() if name in Slot.__dataclass_fields__}
    if "template_media" in form:
        given["template_media"] = {one["media_kind"]: one["media_object_id"] for one in form["template_media"]}
    changed = replace(slot, **given)
    plan = {"provider": changed.provider, "operation": changed.operation, "settings": changed.settings}
    mistakes = dict(plan_mistakes(providers, plan))
    if changed.fallback is not None:
        mistakes |= {f"fallback.{name}": what for name, what in plan_mistakes(providers, changed.fallback)}
    _refuse(mistakes)
    _refuse(await _template_mistakes(conn, providers, changed))
    return changed


def plan_mistakes(providers: Providers, plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What providers.json says against this provider, operation and settings: a field and a sentence each."""
    provider = providers.by_name.get(plan["provider"])
    operation = None if provider is None else provider.operations.get(plan["operation"])
    if provider is None:
        yield "provider", "There is no such provider."
    elif operation is None:
        yield "operation", "The provider has no such operation."
    elif not operation.enabled:
        yield "operation", "The operation is switched off."
    else:
        yield from _mistakes(operation.settings_schema, plan["settings"], "settings")
        for name, value in plan["settings"].items():
            if isinstance(value, str) and not _storable(value):
                yield f"settings.{name}", "It has characters that are no text."


async def _template_mistakes(conn: AsyncConnection, providers: Providers, slot: Slot) -> dict[str, str]:
    operation: Operation = providers.get(slot.provider, slot.operation)[1]
    bound = slot.template_media
    missing = {f"template_media.{role}": "It is needed." for role in operation.media_roles if role not in bound}
    known = await provider_media.templates(conn, list(bound.values()))
    there = {media_id for media_id, template in known.items() if template.path is not None}
    unknown = {f"template_media.{role}": "There is no such template." for role in bound if bound[role] not in there}
    return missing | unknown


def _mistakes(schema: Mapping[str, Any], value: Any, *path: str) -> Iterator[tuple[str, str]]:
    for error in Draft202012Validator(schema).iter_errors(value):
        place = [*path, *map(str, error.absolute_path)]
        if error.validator == "required":
            for name in error.validator_value:
                if name not in error.instance:
                    yield ".".join([*place, name]), "It is needed."
        elif error.validator == "additionalProperties":
            for name in set(error.instance) - set(error.schema["properties"]):
                yield ".".join([*place, name])[:LONGEST_SENTENCE], "There is no such field."
        else:
            yield ".".join(place), _sentence(error)


def _sentence(error: ValidationError) -> str:
    """What the schema says, without a value that is too long to be read."""
    if len(error.message) <= LONGEST_SENTENCE:
        return error.message
    return f"It must keep to {error.validator} {error.validator_value}."[:LONGEST_SENTENCE]


def _storable(value: str) -> bool:
    """PostgreSQL keeps no NUL, and nothing that is not Unicode."""
    try:
        return "\0" not in value and bool(value.encode() or True)
    except UnicodeEncodeError:
        return False


def _refuse(mistakes: Mapping[str, str]) -> None:
    if mistakes:
        raise Refusal(Failure.VALIDATION_FAILED, facts={"fields": mistakes})
