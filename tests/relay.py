"""A relay before a real PostgreSQL that can stop to pass anything on: a server, or a network, that hangs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

from psycopg.conninfo import conninfo_to_dict


class Relay:
    """Passes on what either side says, while it flows."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self.flowing = asyncio.Event()
        self.flowing.set()
        self._ways: set[asyncio.Task[None]] = set()

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the server, which may listen in a folder."""
        told = conninfo_to_dict(self._server_url)
        host, port = str(told.get("host") or "127.0.0.1"), int(told.get("port") or 5432)
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        try:
            server_reader, server_writer = await self.open()
        except OSError:
            writer.close()
            return
        for source, target in ((reader, server_writer), (server_reader, writer)):
            way = asyncio.create_task(self._pass_on(source, target))
            self._ways.add(way)
            way.add_done_callback(self._ways.discard)

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while piece := await source.read(65536):
                await self.flowing.wait()
                target.write(piece)
        except OSError:
            pass  # the other side is gone
        finally:
            target.close()
            with suppress(OSError):
                await target.wait_closed()

    async def end(self) -> None:
        """Of all connections."""
        ways = list(self._ways)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


@asynccontextmanager
async def relayed(database_url: str) -> AsyncIterator[tuple[Relay, str]]:
    """A relay, and the URL of the same database by way of it."""
    relay = Relay(database_url)
    server = await asyncio.start_server(relay.accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    parts = urlsplit(database_url)
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    try:
        yield relay, urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{port}", query=""))
    finally:
        server.close()
        await relay.end()
