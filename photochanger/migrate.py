"""The schema: yoyo applies `migrations/`, and every process refuses to start on another version of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from yoyo import get_backend, read_migrations
from yoyo.backends.base import DatabaseBackend

from photochanger.errors import ConfigurationError
from photochanger.resources import folder

LOCK = 41_004
CONNECT_SECONDS = 5


def migration_files() -> list[Path]:
    """The migrations in their order, without the rollbacks."""
    return sorted(path for path in folder("migrations").glob("[0-9]*.sql") if ".rollback" not in path.name)


def migrate(url: str) -> list[str]:
    """Bring the database to this release's schema; the ids that were applied. Processes wait for each other.

    Raises `ConfigurationError` for a database of a newer release, and changes nothing there.
    """
    with _locked(url) as backend:
        with psycopg.connect(url) as connection:
            _refuse_newer(_applied(connection))
        missing = backend.to_apply(read_migrations(str(folder("migrations"))))
        names = [migration.id for migration in missing]
        backend.apply_migrations(missing)
        return names


def rollback_all(url: str) -> None:
    """Take every migration back, the newest first. All rows go."""
    with _locked(url) as backend:
        backend.rollback_migrations(backend.to_rollback(read_migrations(str(folder("migrations")))))


def check_schema(url: str) -> None:
    """Raises `ConfigurationError` when the database's schema is not exactly this release's."""
    with psycopg.connect(url, connect_timeout=CONNECT_SECONDS) as connection:
        applied = _applied(connection)
    if missing := sorted(_wanted() - applied):
        raise ConfigurationError([f"the database lacks {', '.join(missing)}: run `photochanger migrate` first"])
    _refuse_newer(applied)


def _wanted() -> set[str]:
    return {path.stem for path in migration_files()}


def _applied(connection: psycopg.Connection) -> set[str]:
    try:
        return {row[0] for row in connection.execute("SELECT migration_id FROM _yoyo_migration")}
    except psycopg.errors.UndefinedTable:
        return set()
    except psycopg.errors.InsufficientPrivilege as error:
        sentence = "the database's user may not read its schema: run as the user that `photochanger migrate` ran as"
        raise ConfigurationError([sentence]) from error


def _refuse_newer(applied: set[str]) -> None:
    if unknown := sorted(applied - _wanted()):
        sentence = f"the database is newer than this release (it has {', '.join(unknown)}): install that release"
        raise ConfigurationError([sentence])


@contextmanager
def _locked(url: str) -> Iterator[DatabaseBackend]:
    """yoyo, alone. Its own lock is a row that a killed migration leaves behind; ours ends with its connection."""
    with psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_SECONDS) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        backend = get_backend(f"postgresql+psycopg://{url.partition('://')[2]}")
        try:
            yield backend
        finally:
            backend.connection.close()
