"""A slot's form: its document (photochanger/slot_rules.py) as fields, and the fields as a document again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from api.pages.fields import LABELS, FormField, fields_of, settings_from, value_of
from api.pages.language import marked
from photochanger import slot_rules
from photochanger.providers import Operation, Provider, Providers

SETTINGS, FALLBACK_SETTINGS, TEMPLATE = "settings.", "fallback.settings.", "template_media."

NAMES = {
    "display_name": marked("Title"),
    "provider": marked("Provider"),
    "operation": marked("What it does"),
    "is_active": marked("On or off"),
    "size_limit_mb": marked("Largest photo, MB"),
    "sync_response_seconds": marked("Answer within, seconds"),
    "fallback": marked("When the provider fails"),
    "template_media": marked("Second picture"),
}
"""Fields of the document in words; those of its settings are in api/pages/fields.py."""


@dataclass(frozen=True, kw_only=True)
class PlanForm:
    """Provider, operation and the fields of its settings. Prefix: of the fields' names."""

    prefix: str
    provider: Provider
    operation: Operation
    operations: tuple[Operation, ...]
    fields: list[FormField]
    settings: Mapping[str, Any]

    @property
    def other_by_picture(self) -> str | None:
        """The first operation that takes a second picture where this one takes none, or the other way round."""
        wanted = not self.operation.media_roles
        return next((one.name for one in self.operations if bool(one.media_roles) == wanted), None)


def plan_form(providers: Providers, plan: Mapping[str, Any], *, prefix: str) -> PlanForm:
    """For this plan; where it names what there is not, the nearest that there is."""
    provider = providers.by_name.get(plan["provider"] or "") or next(iter(providers.by_name.values()))
    offered = tuple(one for one in provider.operations.values() if one.enabled or one.name == plan["operation"])
    operation = _nearest(provider, plan["operation"])
    return PlanForm(
        prefix=prefix,
        provider=provider,
        operation=operation,
        operations=offered,
        fields=fields_of(provider, operation, plan["settings"]),
        settings=plan["settings"],
    )


def _nearest(provider: Provider, wanted: str | None) -> Operation:
    """This operation of the provider, or its first that is switched on."""
    enabled = next(one for one in provider.operations.values() if one.enabled)
    return provider.operations.get(wanted or "", enabled)


def with_own_operations(providers: Providers, given: Mapping[str, str], *, changed: str | None) -> dict[str, str]:
    """The form of one who has just changed this field: a provider, while the operation is still one of the other.

    That a call may be paid for twice was agreed to for the other provider alone, and is asked for anew.
    """
    fitted = dict(given)
    for prefix in ("", "fallback."):
        provider = providers.by_name.get(given.get(f"{prefix}provider", ""))
        if provider is not None:
            fitted[f"{prefix}operation"] = _nearest(provider, given.get(f"{prefix}operation")).name
        if changed == f"{prefix}provider":
            fitted.pop(f"{prefix}{SETTINGS}repeat_interrupted", None)
    return fitted


def first_plan(providers: Providers, *, other_than: str) -> dict[str, Any]:
    """What a fallback begins with: another provider's first operation."""
    names = [name for name in providers.by_name if name != other_than] or list(providers.by_name)
    provider = providers.by_name[names[0]]
    return {"provider": provider.name, "operation": _nearest(provider, None).name, "settings": {}}


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


def carried(given: Mapping[str, str], *shown: PlanForm) -> dict[str, str]:
    """What was typed into settings that these plans do not have: it is there again when one comes back to them."""
    fields = {f"{plan.prefix}{SETTINGS}{one.name}" for plan in shown for one in plan.fields}
    return {
        name: text
        for name, text in given.items()
        if name.startswith((SETTINGS, FALLBACK_SETTINGS)) and text and name not in fields
    }


def in_words(changed: Iterable[str]) -> list[str]:
    """Names of fields (`display_name`, `settings.prompt`) as the form calls them, to be translated."""
    found = (name.removeprefix(SETTINGS) for name in changed)
    return [NAMES[name] if name in NAMES else LABELS[name].word if name in LABELS else name for name in found]


def _plan(providers: Providers, given: Mapping[str, str], *, prefix: str) -> dict[str, Any]:
    name, wanted = given.get(f"{prefix}provider", ""), given.get(f"{prefix}operation", "")
    provider = providers.by_name.get(name)
    operation = provider.operations.get(wanted) if provider else None
    settings = settings_from(operation, given, prefix=f"{prefix}{SETTINGS}") if operation else {}
    return {"provider": name, "operation": wanted, "settings": settings}
