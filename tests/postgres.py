"""A real PostgreSQL for the tests: TEST_DATABASE_URL, else a container where Docker answers, else the embedded server.

The schema is made once, in a template; every test gets a database of its own as a copy of it (about 70 ms).
"""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from photochanger import embedded, migrate

TEMPLATE = "photochanger_template"


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server on which databases may be made."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
    elif _docker_answers():
        with _container() as url:
            yield url
    else:
        home = Path(tempfile.mkdtemp(prefix="photochanger-tests-", dir=_memory()))
        running = embedded.start(home)
        try:
            _hurry(running.get_uri())
            yield running.get_uri()
        finally:
            embedded.stop(running)
            shutil.rmtree(home, ignore_errors=True)


@contextmanager
def template(url: str) -> Iterator[str]:
    """The name of a migrated database to copy."""
    name = f"{TEMPLATE}_{secrets.token_hex(4)}"
    _run(url, f"CREATE DATABASE {name}")
    try:
        migrate.migrate(with_database(url, name))
        yield name
    finally:
        _run(url, f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def database(url: str, *, template: str | None) -> Iterator[str]:
    """The URL of a new database."""
    name = f"photochanger_test_{secrets.token_hex(6)}"
    _run(url, f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
    try:
        yield with_database(url, name)
    finally:
        _run(url, f"DROP DATABASE {name} WITH (FORCE)")


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _run(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def _hurry(url: str) -> None:
    """The tests' data may die with the machine."""
    for setting in ("fsync = off", "full_page_writes = off"):
        _run(url, f"ALTER SYSTEM SET {setting}")
    _run(url, "SELECT pg_reload_conf()")


def _memory() -> str | None:
    """A folder in memory, where there is one: half the time for a suite that makes a database a test."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _docker_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=5, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


@contextmanager
def _container() -> Iterator[str]:
    from testcontainers.community.postgres import PostgresContainer

    with PostgresContainer("postgres:17-alpine", driver=None) as container:
        yield container.get_connection_url()
