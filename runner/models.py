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
        """The model to ask: never one that is retired or known to be gone while something living replaces it."""
        wanted = provider.model(settings)
        return self._living(provider, wanted) or wanted

    def note_gone(self, provider: Provider, model: Model) -> Model | None:
        """The provider has answered that it has no such model. What living one replaces it, if any does."""
        self._gone[provider.name, model.name] = time.monotonic() + REMEMBERED_SECONDS
        living = self._living(provider, model)
        log.error("model_retired", provider=provider.name, model=model.name, replacement=living and living.name)
        return living

    def _living(self, provider: Provider, model: Model) -> Model | None:
        while model.retired or self._is_gone(provider, model):
            if model.replacement is None:
                return None
            model = provider.models[model.replacement]
        return model

    def _is_gone(self, provider: Provider, model: Model) -> bool:
        return self._gone.get((provider.name, model.name), 0.0) > time.monotonic()
