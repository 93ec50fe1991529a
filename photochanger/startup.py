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


def database_url(settings: Settings) -> str:
    """The configured one, else the embedded server's, which is started when needed."""
    return settings.database_url or embedded.database_url(settings.home)


def known_database_url(settings: Settings) -> str | None:
    """As `database_url`, but None where no database was ever made: a look at things makes none."""
    made = settings.database_url is not None or (settings.home / embedded.FOLDER).exists()
    return database_url(settings) if made else None


def run_process(name: str, main: Callable[[Settings, Providers, str], int]) -> int:
    """Run a long-lived process: `main(settings, providers, database_url)`. Its exit code."""
    logs.configure(name)
    try:
        settings = Settings.from_env()
        known = providers.load()
        url = database_url(settings)
        migrate.check_schema(url)
    except ConfigurationError as error:
        for mistake in error.mistakes:
            sys.stderr.write(f"{name}: {mistake}\n")
        return CONFIGURATION_EXIT
    except psycopg.OperationalError as error:
        sys.stderr.write(f"{name}: the database cannot be reached: {str(error).splitlines()[0]}\n")
        return 1
    try:
        return main(settings, known, url)
    except ConfigurationError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return CONFIGURATION_EXIT
