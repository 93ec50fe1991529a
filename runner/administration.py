"""What administrators have set, as this runner knows it: provider keys and limits of calls, read anew every second.
With it goes where providers are found: simulators stand in for them as long as none has a key.

A call takes the key that is known when it begins, a claim the limits that are known when it is made: a change is obeyed
within two seconds, without a restart. While the database is away nothing is claimed, and what was known stays.
"""

import asyncio
from collections.abc import Mapping

import structlog
from cryptography.fernet import MultiFernet

from photochanger import provider_orders
from photochanger.db import UNAVAILABLE, Database
from photochanger.provider_orders import ProviderOrders
from photochanger.providers import CallLimits, Provider, Providers
from photochanger.settings import Settings

log = structlog.get_logger()

LOOK_SECONDS = 1.0
SIMULATOR_KEY = "simulator-key"
"""What the simulators take; no secret."""


class Administration:
    """One runner's view. Nothing is claimed before the first look."""

    def __init__(self, db: Database, settings: Settings, providers: Providers, *, box: MultiFernet | None) -> None:
        self._db = db
        self._settings = settings
        self._providers = providers
        self._box = box
        self._orders: ProviderOrders | None = None

    @property
    def known(self) -> bool:
        """Whether anything has been read yet."""
        return self._orders is not None

    @property
    def keys(self) -> Mapping[str, str]:
        """By provider, without those that have none."""
        return {} if self._orders is None else self._orders.keys

    def key(self, provider: str) -> str | None:
        """What a call has to bring now: the provider's key, or the simulators'."""
        return SIMULATOR_KEY if self._simulators_url is not None else self.keys.get(provider)

    def base_url(self, provider: Provider) -> str:
        """Where the provider is found now, or whoever stands in for it."""
        if self._simulators_url is not None:
            return f"{self._simulators_url}/{provider.name}"
        return self._settings.provider_base_url(provider.name) or provider.base_url

    @property
    def links_base_url(self) -> str | None:
        """What links start with by which a provider fetches pictures. Simulators run here, and fetch from here."""
        here = None if self._simulators_url is None else self._settings.own_url
        return self._settings.public_base_url or here

    @property
    def _simulators_url(self) -> str | None:
        return self._settings.simulators_url if self._orders is not None and self._orders.simulated else None

    def limits(self, provider: str) -> CallLimits:
        """What all runners together may ask of it now."""
        return self._providers.by_name[provider].limits if self._orders is None else self._orders.limits[provider]

    @property
    def in_flight(self) -> dict[str, int | None]:
        """How many jobs of each provider may be in work at once; None: any number."""
        return {provider: self.limits(provider).in_flight for provider in self._providers.by_name}

    async def look(self) -> None:
        """Read all of it now. Raises one of `UNAVAILABLE`."""
        async with self._db.direct() as conn:
            found = await provider_orders.load(conn, self._settings, self._providers, box=self._box)
        if found != self._orders:
            self._tell(found)
        self._orders = found

    def _tell(self, found: ProviderOrders) -> None:
        before = self._orders
        if before is not None:
            log.info(
                "provider_orders_changed",
                keys=sorted(
                    name for name in {*before.keys, *found.keys} if before.keys.get(name) != found.keys.get(name)
                ),
                limits=sorted(name for name, limits in found.limits.items() if limits != before.limits[name]),
                simulated=found.simulated,
            )
        for told in found.unreadable:
            log.error("provider_key_unreadable", details=told)

    async def keep_looking(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look()
            except UNAVAILABLE as error:
                log.warning("look_failed", error=type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)
