"""What administrators have set, as this runner knows it: provider keys and limits of calls, read anew every second.

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
from photochanger.providers import CallLimits, Providers
from photochanger.settings import Settings

log = structlog.get_logger()

LOOK_SECONDS = 1.0


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
        """The provider's key now."""
        return self.keys.get(provider)

    def base_url(self, provider: str) -> str:
        """Where the provider is to be found now."""
        return self._providers.by_name[provider].base_url if self._orders is None else self._orders.base_urls[provider]

    @property
    def links_base_url(self) -> str | None:
        """What links for providers that fetch start with. Simulators are on this machine and find it without help."""
        if self._settings.public_base_url is None and self._orders is not None and self._orders.simulated:
            return self._settings.own_url
        return self._settings.public_base_url

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
