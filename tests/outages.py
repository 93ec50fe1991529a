"""Outages of the database, for the tests of those who must live through one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tests.loopback import serving


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


class LossyWay:
    """A way to the database on which the answer to one COMMIT is lost, or the COMMIT itself."""

    def __init__(self, database_url: str, *, after: bytes, arrives: bool) -> None:
        """`after`: what that transaction's connection has sent before. `arrives`: the COMMIT, but not its answer."""
        self._server = {name: str(value) for name, value in conninfo_to_dict(database_url).items()}
        self._after = after
        self._arrives = arrives
        self.has_lost = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Its URL."""
        user, password = (quote(self._server.get(name, ""), safe="") for name in ("user", "password"))
        async with serving(self._carry) as port:
            place = f"{user}:{password}@127.0.0.1:{port}/{self._server['dbname']}"
            yield f"postgresql://{place}?sslmode=disable&gssencmode=disable"

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self._server["host"], int(self._server.get("port", "5432"))
        if host.startswith("/"):
            answers, there = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        else:
            answers, there = await asyncio.open_connection(host, port)
        back = asyncio.create_task(_copy(answers, writer))
        try:
            is_near = False
            while sent := await reader.read(1 << 16):
                is_near = is_near or self._after in sent
                if is_near and b"COMMIT" in sent and not self.has_lost:
                    back.cancel()
                    await asyncio.wait({back})
                    if self._arrives:
                        there.write(sent)
                        assert await answers.read(1)  # the server has committed
                    self.has_lost = True
                    return
                there.write(sent)
                await there.drain()
        finally:
            back.cancel()
            there.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while sent := await reader.read(1 << 16):
        writer.write(sent)
        await writer.drain()
    writer.close()
