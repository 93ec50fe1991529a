"""A slot's document: what an administrator may make of it, and what is wrong with one.

    display_name  provider  operation  settings  is_active  size_limit_mb  sync_response_seconds     product.md 4
    fallback      the plan for the time that is left when the slot's own has failed, or null
    template_media  media object ids by role; from outside a list of {"media_kind", "media_object_id"}

The same document is saved, kept in the history, restored and copied. It is judged whole: every mistake at once.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from photochanger import json_rules
from photochanger.errors import Failure, Refusal
from photochanger.providers import Operation, Providers
from photochanger.slots import Slot

REPEATS = {"retries", "repeat_interrupted"}
"""Settings of the queue: a fallback that differs in them alone is the same plan once more."""

_NAME = {
    "type": "string",
    "minLength": 1,
    "maxLength": 200,
    "pattern": r"^[^\x00-\x1f\x7f]*[^\x00-\x1f\x7f\s][^\x00-\x1f\x7f]*$",
    "description": "one line of text",
}
_PLAN = {
    "provider": {"type": "string", "minLength": 1, "maxLength": 64},
    "operation": {"type": "string", "minLength": 1, "maxLength": 64},
    "settings": {"type": "object"},
}
_FALLBACK = {
    "type": ["object", "null"],
    "required": list(_PLAN),
    "additionalProperties": False,
    "properties": _PLAN,
}
_TEMPLATE = {
    "type": "object",
    "required": ["media_kind", "media_object_id"],
    "additionalProperties": False,
    "properties": {
        "media_kind": {"type": "string", "pattern": "^[a-z_]{1,32}$", "description": "a role: style, face, …"},
        "media_object_id": {"type": "string", "pattern": "^[0-9a-f]{32}$", "description": "32 hexadecimal digits"},
        "title": {},  # given by GET, passed over
    },
}
VERSION = {"type": "integer", "minimum": 1}
PASSWORD = {
    "type": ["string", "null"],
    "minLength": 8,
    "maxLength": 200,
    "pattern": r"^[^\x00-\x1f\x7f]*$",
    "description": "one line without control characters",
}
PROPERTIES: Mapping[str, Any] = {
    "display_name": _NAME,
    **_PLAN,
    "is_active": {"type": "boolean"},
    "size_limit_mb": {"type": "integer", "minimum": 1, "maximum": 20},
    "sync_response_seconds": {"type": ["integer", "null"], "minimum": 10, "maximum": 60},
    "fallback": _FALLBACK,
    "template_media": {"type": "array", "maxItems": 16, "items": _TEMPLATE},
}
OPTIONAL = {"fallback", "template_media"}
"""Left out, they stay as they are: product.md's own document has no fallback."""
READ_ONLY = ("slot_id", "updated_at", "updated_by", "ingest_url", "own_ingest_password", "problems", "recent_results")
"""What GET gives besides. PUT passes it over, so that a program may send back what it got, changed."""
BODY: Mapping[str, Any] = {
    "type": "object",
    "required": [*sorted(set(PROPERTIES) - OPTIONAL), "version"],
    "additionalProperties": False,
    "properties": {
        **PROPERTIES,
        "version": VERSION,
        "ingest_password": PASSWORD,
        **{name: {} for name in READ_ONLY},
    },
}
VERSION_BODY: Mapping[str, Any] = {
    "type": "object",
    "required": ["version"],
    "additionalProperties": False,
    "properties": {"version": VERSION},
}
"""What a restore and a copy are told: the version of the slot that they change."""


def document_of(slot: Slot) -> dict[str, Any]:
    """The slot as its document."""
    return {
        **{name: getattr(slot, name) for name in PROPERTIES},
        "settings": dict(slot.settings),
        "fallback": None if slot.fallback is None else dict(slot.fallback),
        "template_media": dict(slot.template_media),
    }


def read_body(body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The document's fields that a body of `PUT` gives, with templates by role, and the mistakes of their shape.

    A field that is not of its shape is None. Raises `Refusal` for a body in which no field can be told from another.
    """
    wrong = json_rules.mistakes(BODY, body)
    refuse({place: what for place, what in wrong.items() if place == json_rules.WHOLE})
    misshapen = {place.partition(".")[0] for place in wrong}
    given = {name: None if name in misshapen else body.get(name) for name in PROPERTIES if name in {*body, *misshapen}}
    listed = given.get("template_media")
    if listed is not None:
        given["template_media"] = {one["media_kind"]: one["media_object_id"] for one in listed}
        roles = [one["media_kind"] for one in listed]
        wrong |= {f"template_media.{role}": "It is there twice." for role in roles if roles.count(role) > 1}
    return given, wrong


def refuse(wrong: Mapping[str, str]) -> None:
    """Raises `Refusal` (`validation_failed`) when there is any mistake."""
    if wrong:
        told = (
            f"{Failure.VALIDATION_FAILED.sentence[:-1]}: {', '.join(list(wrong)[:5])}{', …' if len(wrong) > 5 else ''}"
        )
        raise Refusal(Failure.VALIDATION_FAILED, told, facts={"fields": dict(wrong)})


def problems(document: Mapping[str, Any], providers: Providers) -> dict[str, str]:
    """What providers.json says against a whole document: a sentence by field. Fields that are None are not judged."""
    wrong = _plan_problems(document, providers)
    fallback = document["fallback"]
    if fallback is not None:
        wrong |= {f"fallback.{place}": what for place, what in _plan_problems(fallback, providers).items()}
        if _same_plan(document, fallback):
            wrong["fallback"] = "It is what the slot does anyway."
    if document["template_media"] is not None:
        for operation in _operations(document, providers):
            for role in operation.media_roles:
                if role not in document["template_media"]:
                    wrong[f"template_media.{role}"] = f"“{operation.title}” needs this picture."
    return wrong


def _plan_problems(plan: Mapping[str, Any], providers: Providers) -> dict[str, str]:
    if any(plan[name] is None for name in _PLAN):
        return {}
    return providers.mistakes(plan["provider"], plan["operation"], plan["settings"])


def _same_plan(plan: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    def what(one: Mapping[str, Any]) -> tuple[Any, ...]:
        return (
            one["provider"],
            one["operation"],
            {name: value for name, value in (one["settings"] or {}).items() if name not in REPEATS},
        )

    return what(plan) == what(other)


def _operations(document: Mapping[str, Any], providers: Providers) -> Iterator[Operation]:
    for plan in (document, document["fallback"]):
        if plan is not None:
            try:
                yield providers.get(plan["provider"], plan["operation"])[1]
            except KeyError:
                continue


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The names of the fields in which two documents differ; settings one by one (`settings.prompt`)."""
    names = sorted(name for name in PROPERTIES if name != "settings" and before.get(name) != after.get(name))
    old, new = before.get("settings", {}), after.get("settings", {})
    return names + sorted(f"settings.{name}" for name in {*old, *new} if old.get(name) != new.get(name))
