"""A PostgreSQL of a test's own, that may be stopped, killed and started again."""

import asyncio
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from photochanger import embedded, migrate

FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT
"""How a postmaster is told to stop."""


@dataclass(frozen=True)
class Postgres:
    """A server of this test's own, that may be stopped."""

    home: Path
    url: str

    def pid(self) -> int:
        return int((self.home / embedded.FOLDER / "postmaster.pid").read_text().splitlines()[0])

    async def stop(self, how: signal.Signals) -> None:
        postmaster = psutil.Process(self.pid())
        postmaster.send_signal(how)
        await asyncio.to_thread(postmaster.wait, 20)

    async def start(self) -> None:
        def again() -> None:
            embedded.start(self.home).start()  # it may have this one for a running server still

        await asyncio.to_thread(again)

    def backends(self) -> list[int]:
        """The server's processes that serve PhotoChanger."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'photochanger'"
            return [row[0] for row in connection.execute(query)]


@contextmanager
def stoppable() -> Iterator[Postgres]:
    """A server of its own with the schema in it."""
    home = Path(tempfile.mkdtemp(prefix="photochanger-faults-"))
    server = embedded.start(home)
    try:
        url = str(server.get_uri())
        migrate.migrate(url)
        yield Postgres(home, url)
    finally:
        embedded.stop(server)
        shutil.rmtree(home, ignore_errors=True)
