"""The one connection pool of a process.

psycopg's pool holds the connections and SQLAlchemy borrows them: the documented way to have one pool only. Nobody
holds a connection over an upload, a wait or a provider's call: the server ends a transaction that idles.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

import psycopg
import psycopg_pool
import structlog
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import func, select
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

log = structlog.get_logger()

UNAVAILABLE: tuple[type[Exception], ...] = (
    psycopg_pool.PoolTimeout,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    OperationalError,
    InterfaceError,
)
"""What a call may raise while the database is away, restarting or has no connection left. Retry, or answer 503."""

BORROW_SECONDS = 1.5
SESSION = {
    "application_name": "photochanger",
    "connect_timeout": "2",
    # The queue's rows are in memory: at the default cost of a random page the planner sorts all of the queue instead of
    # walking its index. No statement of ours runs for as long as compiling it would take (0.7 s for a claim).
    "options": "-c statement_timeout=5s -c lock_timeout=2s -c idle_in_transaction_session_timeout=10s"
    " -c random_page_cost=1.1 -c jit=off",
    # A host that vanishes without a word is noticed within seconds, not after two hours.
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "5000",
}

IN_INDEX_ORDER = "-c enable_sort=off -c enable_bitmapscan=off"
"""For a runner's connections: the claim walks its index in the index's own order and stops when it has enough. Beside a
million finished jobs the planner takes the few that can still be started for even fewer, and would read and sort the
whole queue for each claim, at half the rate.
"""


async def moment_now(conn: AsyncConnection) -> datetime:
    """The moment by the database's clock, the only one."""
    now: datetime = (await conn.execute(select(func.now()))).scalar_one()
    return now


@dataclass(frozen=True, kw_only=True)
class PoolFigures:
    """How a pool is used at the moment: its connections, those nobody has borrowed, and who waits for one."""

    size: int
    idle: int
    waiting: int


class _Borrowed(psycopg.AsyncConnection):
    """A connection of the pool: to close it is to give it back, also when it is lost.

    psycopg's own way (`close_returns`) does nothing for a lost one: the pool would count it as borrowed for good, and
    have none left after as many losses as it has connections.
    """

    async def close(self) -> None:
        """Give it back; close it, when the pool itself says so."""
        pool = getattr(self, "_pool", None)
        if pool is None:
            await super().close()
            return
        lost = self.closed
        await pool.putconn(self)
        if lost:
            self._pool = None  # a second time it would be replaced once more


class Database:
    """A pool and an engine over it; `async with Database(url) as db:` opens and closes both."""

    def __init__(self, url: str, *, connections: int = 8, planning: str = "") -> None:
        """`planning`: further options of its sessions."""
        self._pool = AsyncConnectionPool(
            url,
            connection_class=_Borrowed,
            kwargs={**SESSION, "options": f"{SESSION['options']} {planning}"},
            min_size=1,
            max_size=connections,
            timeout=BORROW_SECONDS,
            reconnect_timeout=0.0,
            open=False,
        )
        self._engine: AsyncEngine = create_async_engine(
            "postgresql+psycopg://", async_creator=self._pool.getconn, poolclass=NullPool, hide_parameters=True
        )
        self._mending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._pool.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._mending is not None:
            self._mending.cancel()
            with suppress(asyncio.CancelledError):
                await self._mending
        await self._engine.dispose()
        await self._pool.close()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed at the end, rolled back on an error. Raises one of `UNAVAILABLE`."""
        with self._mended_after_loss():
            async with self._engine.begin() as conn:
                yield conn

    @asynccontextmanager
    async def at_once(self) -> AsyncIterator[AsyncConnection]:
        """A connection on which every statement counts at once, for what is one statement by itself."""
        with self._mended_after_loss():
            async with self._engine.connect() as conn:
                yield await conn.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def direct(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """The driver's own connection, every statement at once: for `Prepared` ones, for a third of the price."""
        with self._mended_after_loss():
            async with self._pool.connection() as conn:
                await conn.set_autocommit(True)
                try:
                    yield conn
                finally:
                    if not conn.closed:
                        await conn.set_autocommit(False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """As `begin`, on the driver's own connection: for `Prepared` statements only."""
        with self._mended_after_loss():
            async with self._pool.connection() as conn:
                yield conn

    @contextmanager
    def _mended_after_loss(self) -> Iterator[None]:
        """When a connection turns out to be lost, the others probably are as well: have the pool look at once.

        One that the server has ended because its transaction idled, in a process that was frozen, is lost too, though
        psycopg calls that an internal error.
        """
        try:
            yield
        except UNAVAILABLE:
            self._mend()
            raise
        except (InternalError, psycopg.InternalError) as error:
            if not isinstance(getattr(error, "orig", error), psycopg.errors.IdleInTransactionSessionTimeout):
                raise
            self._mend()
            raise psycopg.OperationalError("the server has ended a transaction that idled") from error

    def _mend(self) -> None:
        if self._mending is None or self._mending.done():
            self._mending = asyncio.create_task(self._pool.check())

    def pool_figures(self) -> PoolFigures:
        """How busy the pool is."""
        told = self._pool.get_stats()
        idle, waiting = told.get("pool_available", 0), told.get("requests_waiting", 0)
        return PoolFigures(size=told.get("pool_size", 0), idle=idle, waiting=waiting)

    async def wait_until_reachable(self, *, seconds: float) -> None:
        """For a process that starts beside its database. Raises one of `UNAVAILABLE` after that long."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            try:
                async with self.begin():
                    return
            except UNAVAILABLE as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                log.warning("database_awaited", error=type(error).__name__)
                await asyncio.sleep(0.5)
