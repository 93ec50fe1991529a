"""What all steps of one runner share."""

import asyncio
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType

from aiohttp import ClientSession, DummyCookieJar, TCPConnector

from photochanger.db import Database
from photochanger.errors import ConfigurationError
from photochanger.images import Pictures
from photochanger.job import Job
from photochanger.media import Media
from photochanger.providers import Model, Operation, Provider, Providers
from photochanger.settings import Settings
from runner.administration import Administration
from runner.driver import Exchange
from runner.models import Models
from runner.spent_budgets import SpentBudgets

IDLE_CONNECTION_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """Opened by the runner's process, used by every step."""

    settings: Settings
    providers: Providers
    drivers: Mapping[str, ModuleType]
    """By the provider's name."""
    db: Database
    media: Media
    pictures: Pictures
    http: ClientSession
    models: Models
    administration: Administration
    stopping: asyncio.Event
    """The runner is to end: what has not begun its call yet is given back."""
    spent_budgets: SpentBudgets = field(default_factory=SpentBudgets)

    def exchange(
        self, job: Job, provider: Provider, operation: Operation, model: Model, *, deadline: float
    ) -> Exchange:
        """What a driver is told of this job, with the key that counts now. `deadline` by the event loop's clock."""
        return Exchange(
            job_id=job.job_id,
            operation=operation.name,
            options=operation.options,
            settings=job.plan["settings"],
            model=model,
            base_url=self.administration.base_url(provider),
            key=self.administration.key(provider.name),
            deadline=deadline,
        )


def open_session() -> ClientSession:
    """The session of all of a runner's calls: without cookies, without a limit of its own.

    An idle connection is dropped before the provider drops it: one that dies under a request leaves it open whether the
    request was paid for.
    """
    return ClientSession(
        connector=TCPConnector(limit=0, keepalive_timeout=IDLE_CONNECTION_SECONDS), cookie_jar=DummyCookieJar()
    )


def load_drivers(providers: Providers) -> dict[str, ModuleType]:
    """Each provider's `runner/drivers/<driver>.py`. Raises `ConfigurationError` for one that is missing."""
    try:
        return {
            provider.name: importlib.import_module(f"runner.drivers.{provider.driver}")
            for provider in providers.by_name.values()
        }
    except ModuleNotFoundError as error:
        raise ConfigurationError([f"providers.json names a driver that is not there: {error.name}"]) from error
