"""What every process does first: read its settings and its providers, find its database, check the schema.

A mistake is told in sentences on the console and ends the process with code 2: supervisor then does not try again.
"""

import sys
from collections.abc import Callable

import psycopg

from photochanger import embedded, logs, migrate, providers
from photochanger.errors import ConfigurationError
from photochanger.providers import Providers
from photochanger.settings import Settings

CONFIGURATION_EXIT = 2
UNREACHABLE_EXIT = 1
"""Supervisor tries again."""


def database_url(settings: Settings) -> str:
    """The configured one, else the embedded server's, which is started when needed."""
    return settings.database_url or embedded.database_url(settings.home)


def ready_database_url(settings: Settings) -> str:
    """Of a database with this release's schema. Raises `ConfigurationError` for any other, and where there is none."""
    url = known_database_url(settings)
    if url is None:
        raise ConfigurationError([f"there is no database in {settings.home} yet: `photochanger up` makes one"])
    migrate.check_schema(url)
    return url


def known_database_url(settings: Settings) -> str | None:
    """As `database_url`, but None where no database was ever made: a look at things makes none."""
    made = settings.database_url is not None or (settings.home / embedded.FOLDER).exists()
    return database_url(settings) if made else None


def unreachable(error: Exception) -> str:
    """A sentence for one of `UNAVAILABLE`."""
    return f"the database cannot be reached: {' '.join(str(error).split())[:300]}"


def run_process(name: str, main: Callable[[Settings, Providers, str], int]) -> int:
    """Run a long-lived process: `main(settings, providers, database_url)`. Its exit code."""
    logs.configure(name)
    try:
        settings = Settings.from_env()
        known = providers.load()
        url = ready_database_url(settings)
    except ConfigurationError as error:
        for mistake in error.mistakes:
            sys.stderr.write(f"{name}: {mistake}\n")
        return CONFIGURATION_EXIT
    except psycopg.OperationalError as error:
        sys.stderr.write(f"{name}: {unreachable(error)}\n")
        return UNREACHABLE_EXIT
    try:
        return main(settings, known, url)
    except ConfigurationError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return CONFIGURATION_EXIT
