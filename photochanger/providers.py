"""configs/providers.json, the one place that says which providers, operations and models exist.

    Providers ── Provider ── Operation (settings schema, media roles)
                         └── Model (what it can do, what it costs, how long it takes, what replaces it)

A process reads it once at its start and refuses to start on a mistake, naming all of them. Its shape is
`configs/providers.schema.json`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from photochanger import json_rules, model_rules
from photochanger.errors import ConfigurationError
from photochanger.resources import folder


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model of a provider. `capabilities` is its whole entry: sizes, ratios and the like (model_rules.py)."""

    name: str
    retired: bool
    replacement: str | None
    usual_seconds: float
    """How long a picture usually takes: a repeat starts only if this still fits before the deadline."""
    least_seconds: float
    """The shortest time in which a picture was ever seen: with less than this left nothing is started."""
    capabilities: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One thing a provider can do to a photo."""

    name: str
    title: str
    enabled: bool
    media_roles: tuple[str, ...]
    """Template pictures it needs, by role."""
    requires_public_media: bool
    """The provider fetches its inputs from public links."""
    options: Mapping[str, Any]
    """For the driver alone: what the provider calls it."""
    settings_schema: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class InputLimits:
    """What a provider takes: pictures are brought within this before the driver sees them."""

    mime_types: tuple[str, ...]
    max_bytes: int
    max_side_px: int


@dataclass(frozen=True, kw_only=True)
class CallLimits:
    """What all runners together may ask of a provider. None: as much as they like."""

    in_flight: int | None
    per_minute: int | None
    per_day: int | None
    day_zone: str
    """The time zone in which the provider's day turns."""


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How attempts at a provider are repeated, within what a slot allows and the deadline leaves."""

    first_wait_seconds: float
    """Doubled with each repeat, where the provider gives no hint of its own."""
    most_repeats: Mapping[str, int]
    """By outcome: of what is billed each time and seldom gets better, whatever the slot allows."""


@dataclass(frozen=True, kw_only=True)
class Provider:
    """One provider with all it offers."""

    name: str
    title: str
    driver: str
    base_url: str
    input: InputLimits
    limits: CallLimits
    retry: RetryPolicy
    default_model: str
    models: Mapping[str, Model]
    operations: Mapping[str, Operation]

    def model(self, settings: Mapping[str, Any]) -> Model:
        """The model a slot's settings name (else the default); a retired one gives its replacement."""
        model = self.models[settings.get("model", self.default_model)]
        while model.retired and model.replacement is not None:
            model = self.models[model.replacement]
        return model


@dataclass(frozen=True)
class Providers:
    """All providers by name."""

    by_name: Mapping[str, Provider]

    def get(self, provider: str, operation: str) -> tuple[Provider, Operation]:
        """Both. Raises `KeyError` when providers.json has no such pair."""
        found = self.by_name[provider]
        return found, found.operations[operation]

    def mistakes(self, provider: str, operation: str, settings: Mapping[str, Any]) -> dict[str, str]:
        """What is wrong with a slot's plan: a sentence by `provider`, `operation` or the setting (`settings.size`)."""
        if provider not in self.by_name:
            return {"provider": "There is no such provider."}
        its = self.by_name[provider]
        found = its.operations.get(operation)
        if found is None:
            return {"operation": f"{its.title} has no such operation."}
        if not found.enabled:
            return {"operation": f"{its.title} has this operation switched off."}
        wrong = json_rules.mistakes(found.settings_schema, settings, at=("settings",))
        if isinstance(named := settings.get("model", its.default_model), str) and named in its.models:
            model = its.model(settings)
            for setting, sentence in model_rules.mistakes(model.name, model.capabilities, settings).items():
                wrong.setdefault(f"settings.{setting}", sentence)
        return wrong


def load(path: Path | None = None) -> Providers:
    """Read and check the file. Raises `ConfigurationError` with every mistake in it."""
    path = path or folder("configs") / "providers.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        schema = json.loads((folder("configs") / "providers.schema.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError([f"{path.name}: {error}"]) from error
    errors = Draft202012Validator(schema).iter_errors(document)
    mistakes = sorted(f"{path.name}: {'.'.join(map(str, error.path)) or 'top'}: {error.message}" for error in errors)
    if not mistakes:
        mistakes = [f"{path.name}: {mistake}" for mistake in _loose_ends(document)]
    if mistakes:
        raise ConfigurationError(mistakes)
    return Providers({name: _provider(name, entry) for name, entry in document.items()})


def _loose_ends(document: Mapping[str, Any]) -> list[str]:
    """Names that lead nowhere, schemas that are none: what a JSON Schema cannot see."""
    found = []
    for name, entry in document.items():
        models = entry["models"]
        if entry["default_model"] not in models:
            found.append(f"{name}.default_model: there is no model {entry['default_model']!r}")
        for model, facts in models.items():
            found += [f"{name}.models.{model}: {sentence}" for sentence in _replacement_mistakes(model, facts, models)]
        for operation, facts in entry["operations"].items():
            try:
                Draft202012Validator.check_schema(facts["settings_schema"])
            except Exception as error:
                found.append(f"{name}.operations.{operation}.settings_schema: {error.args[0]}")
    return found


def _replacement_mistakes(model: str, facts: Mapping[str, Any], models: Mapping[str, Any]) -> list[str]:
    seen = [model]
    while (following := models[seen[-1]].get("replacement")) is not None:
        if following not in models:
            return [f"its replacement {following!r} does not exist"]
        if following in seen:
            return ["its replacements go in a circle"]
        seen.append(following)
    if models[seen[-1]].get("retired"):
        return ["is retired and nothing living replaces it"]
    return []


def _provider(name: str, entry: Mapping[str, Any]) -> Provider:
    taken, limits = entry["input"], entry.get("limits", {})
    return Provider(
        name=name,
        title=entry["title"],
        driver=entry["driver"],
        base_url=entry["base_url"].rstrip("/"),
        input=InputLimits(
            mime_types=tuple(taken["mime_types"]), max_bytes=taken["max_bytes"], max_side_px=taken["max_side_px"]
        ),
        limits=CallLimits(
            in_flight=limits.get("in_flight"),
            per_minute=limits.get("per_minute"),
            per_day=limits.get("per_day"),
            day_zone=limits.get("day_zone", "UTC"),
        ),
        retry=RetryPolicy(**entry["retry"]),
        default_model=entry["default_model"],
        models={model: _model(model, facts) for model, facts in entry["models"].items()},
        operations={
            operation: Operation(
                name=operation,
                title=facts["title"],
                enabled=facts.get("enabled", True),
                media_roles=tuple(facts["media_roles"]),
                requires_public_media=facts.get("requires_public_media", False),
                options=facts.get("options", {}),
                settings_schema=facts["settings_schema"],
            )
            for operation, facts in entry["operations"].items()
        },
    )


def _model(name: str, facts: Mapping[str, Any]) -> Model:
    return Model(
        name=name,
        retired="retired" in facts,
        replacement=facts.get("replacement"),
        usual_seconds=facts.get("usual_seconds", 0.0),
        least_seconds=facts.get("least_seconds", 0.0),
        capabilities=facts,
    )
