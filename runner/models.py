"""Which model to ask now: the slot's, or the replacement of one that the provider says it no longer has.

Providers switch models off every few months. The first 404 for a model is remembered for a while, so that the photos
after it go straight to the replacement; then the old one is tried again, in case the 404 was a mistake.
"""

import time
from collections.abc import Mapping
from typing import Any

import structlog

from photochanger.providers import Model, Provider

log = structlog.get_logger()

REMEMBERED_SECONDS = 600.0


class Models:
    """What this runner has learnt of models that are gone."""

    def __init__(self) -> None:
        self._gone: dict[tuple[str, str], float] = {}

    def current(self, provider: Provider, settings: Mapping[str, Any]) -> Model:
        """The model to ask: never one that is known to be gone while something replaces it."""
        model = provider.model(settings)
        while self._is_gone(provider, model) and model.replacement is not None:
            model = provider.models[model.replacement]
        return model

    def note_gone(self, provider: Provider, model: Model) -> Model | None:
        """The provider has answered that it has no such model. What replaces it, if anything does."""
        self._gone[provider.name, model.name] = time.monotonic() + REMEMBERED_SECONDS
        log.error("model_retired", provider=provider.name, model=model.name, replacement=model.replacement)
        return provider.models[model.replacement] if model.replacement is not None else None

    def _is_gone(self, provider: Provider, model: Model) -> bool:
        return self._gone.get((provider.name, model.name), 0.0) > time.monotonic()
