"""A slot's form: its document (photochanger/slot_rules.py) as fields, and the fields as a document again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.pages.fields import FormField, fields_of, settings_from, value_of
from photochanger import slot_rules
from photochanger.providers import Operation, Provider, Providers

SETTINGS, FALLBACK_SETTINGS, TEMPLATE = "settings.", "fallback.settings.", "template_media."


@dataclass(frozen=True, kw_only=True)
class PlanForm:
    """Provider, operation and the fields of its settings. Prefix: of the fields' names."""

    prefix: str
    provider: Provider
    operation: Operation
    operations: tuple[Operation, ...]
    fields: list[FormField]
    settings: Mapping[str, Any]


def plan_form(providers: Providers, plan: Mapping[str, Any], *, prefix: str) -> PlanForm:
    """For this plan; where it names what there is not, the nearest that there is."""
    provider = providers.by_name.get(plan["provider"] or "") or next(iter(providers.by_name.values()))
    offered = tuple(one for one in provider.operations.values() if one.enabled or one.name == plan["operation"])
    operation = provider.operations.get(plan["operation"] or "") or offered[0]
    return PlanForm(
        prefix=prefix,
        provider=provider,
        operation=operation,
        operations=offered,
        fields=fields_of(provider, operation, plan["settings"]),
        settings=plan["settings"],
    )


def first_plan(providers: Providers, *, other_than: str) -> dict[str, Any]:
    """What a fallback begins with: another provider's first operation."""
    names = [name for name in providers.by_name if name != other_than] or list(providers.by_name)
    provider = providers.by_name[names[0]]
    operation = next(one for one in provider.operations.values() if one.enabled)
    return {"provider": provider.name, "operation": operation.name, "settings": {}}


def roles_of(providers: Providers, document: Mapping[str, Any]) -> list[str]:
    """The template pictures that the document's plans ask for."""
    found: list[str] = []
    for plan in (document, document["fallback"]):
        if plan is not None:
            provider = providers.by_name.get(plan["provider"])
            operation = provider.operations.get(plan["operation"]) if provider else None
            found += [role for role in operation.media_roles if role not in found] if operation else []
    return found


def body_of(providers: Providers, given: Mapping[str, str]) -> dict[str, Any]:
    """The form as a body of `PUT /api/slots/{slot_id}`; what is wrong in it stays wrong, to be told."""
    plan = _plan(providers, given, prefix="")
    fallback = _plan(providers, given, prefix="fallback.") if given.get("fallback.on") == "1" else None
    document = {**plan, "fallback": fallback}
    seconds = given.get("sync_response_seconds", "").strip()
    properties = slot_rules.PROPERTIES
    body = {
        **document,
        "display_name": given.get("display_name", "").strip(),
        "is_active": given.get("is_active") == "1",
        "size_limit_mb": value_of(given.get("size_limit_mb", ""), properties["size_limit_mb"]),
        "sync_response_seconds": value_of(seconds, {"type": "integer"}) if seconds else None,
        "template_media": [
            {"media_kind": role, "media_object_id": given[f"{TEMPLATE}{role}"]}
            for role in roles_of(providers, document)
            if given.get(f"{TEMPLATE}{role}")
        ],
        "version": value_of(given.get("version", ""), slot_rules.VERSION),
    }
    if given.get("ingest_password"):
        body["ingest_password"] = given["ingest_password"]
    elif given.get("ingest_password_off") == "1":
        body["ingest_password"] = None
    return body


def shown_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """A body as the document that the form shows, right or wrong."""
    templates = {one["media_kind"]: one["media_object_id"] for one in body["template_media"]}
    return {**body, "template_media": templates}


def _plan(providers: Providers, given: Mapping[str, str], *, prefix: str) -> dict[str, Any]:
    name, wanted = given.get(f"{prefix}provider", ""), given.get(f"{prefix}operation", "")
    provider = providers.by_name.get(name)
    operation = provider.operations.get(wanted) if provider else None
    settings = settings_from(operation, given, prefix=f"{prefix}{SETTINGS}") if operation else {}
    return {"provider": name, "operation": wanted, "settings": settings}
