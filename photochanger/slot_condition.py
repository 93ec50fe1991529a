"""In one word, how a slot is doing. The first that holds:

off          switched off by an administrator
unconfigured it cannot work: settings outside their schema, a template picture or a provider's key missing
failing      of its photos lately at least two, and a quarter of all, failed; or its provider's circuit is open
late         at least two photos, and a quarter of all, timed out; or one in work has used most of its time
busy         all its places are taken: a further photo is refused until one is free
active       none of these
"""

import enum
from collections.abc import Collection
from dataclasses import dataclass

from photochanger.board import SlotRow
from photochanger.breaker import OpenCircuit
from photochanger.providers import Providers

LEAST = 2
SHARE = 0.25
MOST_OF_ITS_TIME = 0.8


class Condition(enum.StrEnum):
    """How a slot is doing."""

    OFF = "off"
    UNCONFIGURED = "unconfigured"
    FAILING = "failing"
    LATE = "late"
    BUSY = "busy"
    ACTIVE = "active"


PROBLEMS = frozenset({Condition.UNCONFIGURED, Condition.FAILING, Condition.LATE})


class Lack(enum.StrEnum):
    """What a slot cannot work without."""

    SETTINGS = "settings"
    TEMPLATE = "template"
    KEY = "key"


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a slot's condition depends on beside the slot."""

    providers: Providers
    keyed: Collection[str]
    """Providers whose key is there."""
    circuits: Collection[OpenCircuit]
    places: int
    """How many photos a slot may have in work."""
    simulated: bool = False
    """Simulators stand in for all providers, as long as none has a key."""


def lacks(row: SlotRow, around: Surroundings) -> Lack | None:
    """The first thing that is missing; None when the slot can work."""
    if around.providers.mistakes(row.provider, row.operation, row.settings):
        return Lack.SETTINGS
    if row.provider not in around.keyed:
        return Lack.KEY
    _, operation = around.providers.get(row.provider, row.operation)
    return None if set(operation.media_roles) <= row.template_roles else Lack.TEMPLATE


def untouched(row: SlotRow) -> bool:
    """As the migration has made it: nobody has saved it yet, and no photo of it is known. Free for something new."""
    photos = row.in_work + row.waiting + row.done + row.failed + row.timeouts
    return row.version == 1 and not photos and row.last_photo_at is None


def condition(row: SlotRow, around: Surroundings) -> Condition:
    """The first condition that holds."""
    if not row.is_active:
        return Condition.OFF
    if lacks(row, around) is not None:
        return Condition.UNCONFIGURED
    photos = row.done + row.failed + row.timeouts
    model = around.providers.by_name[row.provider].model(row.settings).name
    if _many(row.failed, photos) or any((row.provider, model) == (one.provider, one.model) for one in around.circuits):
        return Condition.FAILING
    if _many(row.timeouts, photos) or row.oldest_share > MOST_OF_ITS_TIME:
        return Condition.LATE
    return Condition.BUSY if row.in_work + row.waiting >= around.places else Condition.ACTIVE


def _many(bad: int, photos: int) -> bool:
    return bad >= LEAST and bad >= SHARE * photos
