"""The settings that are plain values, as texts in forms and back, so that nobody's work is overwritten unseen.

A form has each of its fields twice: as it is typed, and as it was shown (`was.…`). Only what somebody has changed is
saved. Where a colleague has changed the same field meanwhile nothing of the form is, and that field says who it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.pages.fields import value_of
from photochanger import app_settings, budgets
from photochanger.app_settings import AppSettings
from photochanger.providers import Providers
from photochanger.setting_rules import LIMITS, PLAIN

WAS = "was."
USD, STOP = "usd_per_month", "stop"
SINGLE = {name: plain for name, plain in PLAIN.items() if name != budgets.NAME}


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What a form asks for, beside what stands."""

    changed: Mapping[str, str]
    """The texts that differ from what was shown, by field."""
    body: Mapping[str, Any]
    """As for `PUT /api/settings`; what is wrong in it stays wrong, to be told."""
    conflicts: tuple[str, ...]
    """Fields that a colleague has set to something else meanwhile."""


def limit_field(provider: str, limit: str) -> str:
    """The field of one of a provider's limits."""
    return f"provider_limits.{provider}.{limit}"


def budget_field(provider: str, part: str) -> str:
    """The field of a provider's budget."""
    return f"{budgets.NAME}.{provider}.{part}"


def texts(now: AppSettings, providers: Providers) -> dict[str, str]:
    """Every field as a form shows it. Empty: not set."""
    shown = {name: str(getattr(now, plain.attribute)) for name, plain in SINGLE.items()}
    for provider in providers.by_name:
        limits, budget = now.provider_limits.get(provider, {}), now.provider_budgets.get(provider, {})
        shown |= {limit_field(provider, limit): str(limits.get(limit, "")) for limit in LIMITS}
        usd = budget.get(USD)
        shown[budget_field(provider, USD)] = "" if usd is None else str(int(usd) if usd == int(usd) else usd)
        shown[budget_field(provider, STOP)] = "1" if budget.get(STOP) else ""
    return shown


def edit(given: Mapping[str, str], now: AppSettings, providers: Providers) -> Edit:
    """What this form changes. What is no field of ours is passed over; a switch that is off sends nothing."""
    stands = texts(now, providers)
    typed = {name: given.get(name, "").strip() for name in stands if f"{WAS}{name}" in given}
    changed = {name: text for name, text in typed.items() if text != given[f"{WAS}{name}"]}
    return Edit(
        changed=changed,
        body=_body(changed, now, stands, providers),
        conflicts=tuple(name for name, text in changed.items() if stands[name] not in {text, given[f"{WAS}{name}"]}),
    )


def row_of(field: str) -> str:
    """The row in `app_settings` that has the field's value."""
    if field in SINGLE:
        return SINGLE[field].row
    _, provider, limit = field.rsplit(".", 2)
    return budgets.NAME if field.startswith(f"{budgets.NAME}.") else app_settings.provider_limit(provider, limit)


def _body(
    changed: Mapping[str, str], now: AppSettings, stands: Mapping[str, str], providers: Providers
) -> dict[str, Any]:
    body: dict[str, Any] = {name: value_of(changed[name], SINGLE[name].schema) for name in SINGLE if name in changed}
    limits: dict[str, dict[str, Any]] = {}
    costs = {name: budget for name, budget in now.provider_budgets.items() if name in providers.by_name}
    for provider in providers.by_name:
        for limit in LIMITS:
            text = changed.get(limit_field(provider, limit))
            if text is not None:
                limits.setdefault(provider, {})[limit] = value_of(text, {"type": "integer"}) if text else None
        if any(budget_field(provider, part) in changed for part in (USD, STOP)):
            usd, stop = (
                changed.get(budget_field(provider, part), stands[budget_field(provider, part)]) for part in (USD, STOP)
            )
            costs.pop(provider, None)
            if usd or stop:
                amount = {USD: value_of(usd, {"type": "number"})} if usd else {}
                costs[provider] = {**amount, STOP: stop == "1"}
            body[budgets.NAME] = costs
    return {**body, **({"provider_limits": limits} if limits else {})}
