"""What a deadline means for the slots that obey the common one: which of their models usually take longer."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.providers import Model, Providers
from photochanger.slots import Slot
from photochanger.usual_time import usual_seconds


@dataclass(frozen=True, kw_only=True)
class ModelTime:
    """A model in use. `seconds`: what it usually takes."""

    provider: str
    model: str
    seconds: int
    slots: int


async def model_times(conn: AsyncConnection, slots: Iterable[Slot], providers: Providers) -> list[ModelTime]:
    """The models of the slots that are on and have no deadline of their own, the slowest first."""
    used = Counter(
        (slot.provider, model.name)
        for slot in slots
        if slot.is_active and slot.sync_response_seconds is None
        if (model := _model_of(slot, providers)) is not None
    )
    found = [
        ModelTime(
            provider=providers.by_name[provider].title,
            model=model,
            seconds=math.ceil(await usual_seconds(conn, provider, providers.by_name[provider].models[model])),
            slots=count,
        )
        for (provider, model), count in used.items()
    ]
    return sorted(found, key=lambda one: (-one.seconds, one.provider, one.model))


def _model_of(slot: Slot, providers: Providers) -> Model | None:
    """None where the slot names what is not in providers.json any more."""
    provider = providers.by_name.get(slot.provider)
    known = provider is not None and slot.settings.get("model", provider.default_model) in provider.models
    return provider.model(slot.settings) if provider is not None and known else None
