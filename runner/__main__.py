"""`photochanger-runner`: one runner process."""

import asyncio
import importlib
import sys
from types import ModuleType

from aiohttp import ClientSession, DummyCookieJar, TCPConnector

from photochanger.db import Database
from photochanger.errors import ConfigurationError
from photochanger.images import Pictures
from photochanger.media import Media
from photochanger.process import stop_on_signals
from photochanger.providers import Providers
from photochanger.settings import Settings
from photochanger.startup import run_process
from runner.loop import Runner
from runner.models import Models
from runner.step import Workshop

IDLE_CONNECTION_SECONDS = 10.0


def main() -> int:
    """The console script."""
    return run_process("runner", lambda *arguments: asyncio.run(_run(*arguments)))


async def _run(settings: Settings, providers: Providers, database_url: str) -> int:
    stopping = stop_on_signals()
    media = Media(settings.media_root)
    media.create_folders()
    async with (
        Database(database_url) as db,
        Pictures() as pictures,
        open_session() as http,
    ):
        await pictures.start()
        workshop = Workshop(
            settings=settings,
            providers=providers,
            drivers=load_drivers(providers),
            db=db,
            media=media,
            pictures=pictures,
            http=http,
            models=Models(),
            stopping=stopping,
        )
        await Runner(workshop, places=settings.runner_concurrency).run()
    return 0


def open_session() -> ClientSession:
    """The session of all of a runner's calls: without cookies, without a limit of its own.

    An idle connection is dropped before the provider drops it: one that dies under a request leaves it open whether the
    request was paid for.
    """
    return ClientSession(
        connector=TCPConnector(limit=0, keepalive_timeout=IDLE_CONNECTION_SECONDS), cookie_jar=DummyCookieJar()
    )


def load_drivers(providers: Providers) -> dict[str, ModuleType]:
    """The driver of each provider, by the provider's name: `runner/drivers/<driver>.py`."""
    try:
        return {
            provider.name: importlib.import_module(f"runner.drivers.{provider.driver}")
            for provider in providers.by_name.values()
        }
    except ModuleNotFoundError as error:
        raise ConfigurationError([f"providers.json names a driver that is not there: {error.name}"]) from error


if __name__ == "__main__":
    sys.exit(main())
