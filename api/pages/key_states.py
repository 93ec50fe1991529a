"""How it stands with each provider's key, in words that are true: also while simulators stand in for all of them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from api.pages.language import marked
from photochanger import secret_store
from photochanger.errors import Failure
from photochanger.provider_checks import ProviderCheck
from photochanger.provider_orders import ProviderOrders
from photochanger.providers import Provider, Providers
from photochanger.secret_store import StoredSecret
from photochanger.settings import Settings
from photochanger.slots import Slot

PATIENCE = timedelta(seconds=30)
"""A check that nobody has made by then: no runner is at work."""
ADVICE = {
    Failure.PROVIDER_AUTH: marked("Copy the key anew from the provider's account, or make a new one there."),
    Failure.QUOTA: marked("Look at the balance and the limits in the provider's account."),
    Failure.PROVIDER_UNAVAILABLE: marked("The key itself may be good: check it again in a few minutes."),
    Failure.NETWORK: marked("The key itself may be good: look whether the server has internet, and check again."),
    Failure.PROVIDER_4XX: marked("The key may be good, but this account may not use the model."),
    Failure.BAD_RESPONSE: marked("The key itself may be good: check it again in a few minutes."),
}


@dataclass(frozen=True, kw_only=True)
class Pill:
    """The state in a word."""

    kind: str
    icon: str
    word: str


SIMULATED = Pill(kind="info", icon="flask-conical", word=marked("simulator"))
MISSING = Pill(kind="warn", icon="circle-alert", word=marked("no key"))
UNUSED = Pill(kind="idle", icon="circle-dashed", word=marked("no key"))
UNREADABLE = Pill(kind="danger", icon="circle-x", word=marked("unreadable"))
CHECKING = Pill(kind="info", icon="hourglass", word=marked("being checked"))
UNCHECKED = Pill(kind="idle", icon="circle-dashed", word=marked("not checked"))
WORKS = Pill(kind="ok", icon="circle-check", word=marked("works"))
REFUSED = Pill(kind="danger", icon="circle-x", word=marked("refused"))
QUOTA = Pill(kind="danger", icon="circle-x", word=marked("used up"))
UNCLEAR = Pill(kind="warn", icon="circle-alert", word=marked("unclear"))


@dataclass(frozen=True, kw_only=True)
class KeyState:
    """One provider's."""

    provider: Provider
    pill: Pill
    stored: StoredSecret | None
    environment_last_four: str | None
    """Of the key that the server's environment has; None where it has none, empty for a short one."""
    check: ProviderCheck | None
    """Of the key that counts now."""
    forsaken: bool
    """A check was asked for and nobody makes it."""
    slots: int
    """How many slots that are on need it."""

    @property
    def configured(self) -> bool:
        """There is a key of its own."""
        return self.stored is not None or self.environment_last_four is not None


def key_states(
    providers: Providers,
    settings: Settings,
    orders: ProviderOrders,
    *,
    stored: Mapping[str, StoredSecret],
    checks: Mapping[str, ProviderCheck],
    slots: Iterable[Slot],
    now: datetime,
) -> list[KeyState]:
    """Of every provider, in providers.json's order."""
    needed = Counter(
        name
        for slot in slots
        if slot.is_active
        for name in {slot.provider, *([slot.fallback["provider"]] if slot.fallback else [])}
    )
    found = []
    for name, provider in providers.by_name.items():
        kept, given = stored.get(secret_store.provider_key(name)), settings.provider_key(name)
        check = checks.get(name) if name in orders.keys and not orders.simulated else None
        found.append(
            KeyState(
                provider=provider,
                pill=_pill(orders, name, configured=bool(kept or given), check=check, needed=needed[name] > 0),
                stored=kept,
                environment_last_four=None if given is None else secret_store.last_four(given),
                check=check,
                forsaken=check is not None
                and check.waits
                and check.requested_at is not None
                and now - check.requested_at > PATIENCE,
                slots=needed[name],
            )
        )
    return found


def _pill(orders: ProviderOrders, name: str, *, configured: bool, check: ProviderCheck | None, needed: bool) -> Pill:
    if orders.simulated:
        return SIMULATED
    if not configured:
        return MISSING if needed else UNUSED
    if name not in orders.keys:
        return UNREADABLE
    if check is not None and check.waits:
        return CHECKING
    if check is None or check.good is None:
        return UNCHECKED
    if check.good:
        return WORKS
    return {Failure.PROVIDER_AUTH: REFUSED, Failure.QUOTA: QUOTA}.get(check.failure or Failure.NETWORK, UNCLEAR)
