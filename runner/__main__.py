"""`photochanger-runner`: one runner process."""

import asyncio
import importlib
import sys
from types import ModuleType

from aiohttp import ClientSession, TCPConnector

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
        ClientSession(connector=TCPConnector(limit=0), auto_decompress=True) as http,
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
