"""An outage of the database, for the tests of those who must live through one."""

from urllib.parse import urlsplit

import psycopg


class Outage:
    """A database that lets nobody in."""

    def __init__(self, server_url: str, database_url: str) -> None:
        self._server_url = server_url
        self._name = urlsplit(database_url).path.removeprefix("/")

    async def begin(self) -> None:
        async with await psycopg.AsyncConnection.connect(self._server_url, autocommit=True) as conn:
            await conn.execute(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS false")
        await self.cut()

    async def cut(self) -> None:
        """End every connection there is."""
        async with await psycopg.AsyncConnection.connect(self._server_url, autocommit=True) as conn:
            await conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
                [self._name],
            )

    async def end(self) -> None:
        async with await psycopg.AsyncConnection.connect(self._server_url, autocommit=True) as conn:
            await conn.execute(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS true")
