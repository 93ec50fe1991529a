"""The benchmarks' own PostgreSQL: as durable as a real one (fsync on), and what it spends."""

import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg

from photochanger import embedded, migrate


@dataclass(frozen=True)
class Server:
    """A running server of our own, with the migrated schema as a template."""

    url: str
    pid: int
    template: str = "bench_template"

    @contextmanager
    def database(self, *, migrated: bool = True) -> Iterator[str]:
        """The URL of a new database."""
        name = f"bench_{secrets.token_hex(4)}"
        execute(self.url, f"CREATE DATABASE {name}" + (f" TEMPLATE {self.template}" if migrated else ""))
        try:
            yield with_database(self.url, name)
        finally:
            execute(self.url, f"DROP DATABASE {name} WITH (FORCE)")

    def cpu_seconds(self) -> float:
        """Of all its processes so far, also those that have ended."""
        postmaster = psutil.Process(self.pid)
        times = postmaster.cpu_times()
        total: float = times.user + times.system + times.children_user + times.children_system
        for child in postmaster.children():
            try:
                spent = child.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += spent.user + spent.system
        return total

    def wal_bytes(self) -> float:
        """Written so far, without full pages: those depend on when the last checkpoint was, not on the work."""
        time.sleep(0.3)  # a backend tells what it wrote when it ends
        size, full_pages_bytes = rows(self.url, WAL_QUERY)[0]
        return float(size) - float(full_pages_bytes)


WAL_QUERY = """
    SELECT wal_bytes,
           coalesce((to_jsonb(w) ->> 'wal_fpi_bytes')::numeric, wal_fpi * current_setting('block_size')::numeric)
    FROM pg_stat_wal AS w
"""


@contextmanager
def server() -> Iterator[Server]:
    """Started in a folder of its own and removed with it."""
    home = Path(tempfile.mkdtemp(prefix="photochanger-bench-"))
    running = embedded.start(home)
    try:
        url = running.get_uri()
        for setting in ("max_wal_size = '4GB'", "checkpoint_timeout = '30min'"):  # no checkpoint in one round only
            execute(url, f"ALTER SYSTEM SET {setting}")
        execute(url, "SELECT pg_reload_conf()")
        pid = int((home / embedded.FOLDER / "postmaster.pid").read_text().splitlines()[0])
        found = Server(url, pid)
        execute(url, f"CREATE DATABASE {found.template}")
        migrate.migrate(with_database(url, found.template))
        yield found
    finally:
        embedded.stop(running)
        shutil.rmtree(home, ignore_errors=True)


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def execute(url: str, statement: str, **values: Any) -> None:
    """One statement on a connection of its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement, values or None)


def rows(url: str, statement: str) -> list[Any]:
    """What one query gives."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement).fetchall()
