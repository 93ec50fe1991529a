"""What an administrator may set, and what is wrong with a body of `PUT /api/settings`.

The body is partial: what is left out stays as it is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from photochanger import budgets, json_rules
from photochanger.app_settings import ATTRIBUTES
from photochanger.providers import Providers

LIMITS = ("in_flight", "per_minute", "per_day")


@dataclass(frozen=True, kw_only=True)
class Plain:
    """A setting that is one value: its row in `app_settings`, and its schema."""

    row: str
    schema: Mapping[str, Any]

    @property
    def attribute(self) -> str:
        """Of `AppSettings`."""
        return ATTRIBUTES[self.row]


def _whole(least: int, most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


PLAIN: Mapping[str, Plain] = {
    "sync_response_seconds": Plain(row="sync_response_seconds", schema=_whole(10, 60)),
    "result_ttl_hours": Plain(row="result_ttl_hours", schema=_whole(1, 8760)),
    "ingest.hash_check": Plain(row="ingest.hash_check", schema={"type": "string", "enum": ["reject", "warn", "off"]}),
    "photos_in_work_per_slot": Plain(row="ingest.photos_in_work_per_slot", schema=_whole(1, 1000)),
    "gallery_size": Plain(row="gallery_size", schema=_whole(1, 50)),
    "ingest_password_grace_minutes": Plain(row="ingest.password_grace_minutes", schema=_whole(0, 1440)),
    budgets.NAME: Plain(row=budgets.NAME, schema={"type": "object"}),
}
"""By its name in the API."""

_PASSWORD = {
    "type": ["string", "object"],
    "minLength": 8,
    "maxLength": 200,
    "pattern": r"^[^\x00-\x1f\x7f]*$",
    "description": "one line without control characters",
    "required": ["generate"],
    "additionalProperties": False,
    "properties": {"generate": {"type": "boolean", "enum": [True]}},
}
_KEY = {
    "type": ["string", "null"],
    "minLength": 8,
    "maxLength": 500,
    "pattern": "^[!-~]*$",
    "description": "one line of plain characters without spaces",
}
_BUDGET = {
    "type": "object",
    "required": ["usd_per_month"],
    "additionalProperties": False,
    "properties": {
        "usd_per_month": {"type": "number", "exclusiveMinimum": 0, "maximum": budgets.MOST_USD},
        "stop": {"type": "boolean"},
    },
}
_LIMIT = {"type": ["integer", "null"], "minimum": 1, "maximum": 1_000_000}


def schema(providers: Iterable[str]) -> dict[str, Any]:
    """Of the body, for these providers."""
    limits = {"type": "object", "additionalProperties": False, "properties": dict.fromkeys(LIMITS, _LIMIT)}
    names = list(providers)

    def of_each(one: Mapping[str, Any]) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": False, "properties": dict.fromkeys(names, one)}

    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **{name: plain.schema for name, plain in PLAIN.items()},
            budgets.NAME: of_each(_BUDGET),
            "ingest_password": _PASSWORD,
            "provider_keys": of_each(_KEY),
            "provider_limits": of_each(limits),
        },
    }


def mistakes(body: Mapping[str, Any], providers: Providers) -> dict[str, str]:
    """A sentence by field; none repeats what was given."""
    found = json_rules.mistakes(schema(providers.by_name), body)
    if budgets.NAME in body and not any(place.startswith(budgets.NAME) for place in found):
        found |= budgets.mistakes(body[budgets.NAME], providers)
    return found
