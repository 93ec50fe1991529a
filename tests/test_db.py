"""The pool: whatever becomes of a connection that is borrowed, its place comes back."""

import asyncio

import pytest
from sqlalchemy import text

from photochanger.db import IN_INDEX_ORDER, UNAVAILABLE, Database
from photochanger.process import within
from tests.queue_rows import until
from tests.relay import relayed

pytestmark = pytest.mark.anyio


async def works(db: Database) -> bool:
    async with db.begin() as conn:
        return bool((await conn.execute(text("SELECT true"))).scalar_one())


async def lose(db: Database, way: str, *, by: Database) -> None:
    """Borrow a connection, have the server end it, and find out. Raises one of `UNAVAILABLE`."""
    async with getattr(db, way)() as conn:
        if way == "direct":
            (pid,) = await (await conn.execute("SELECT pg_backend_pid()")).fetchone()
        else:
            pid = (await conn.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        async with by.at_once() as other:
            await other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        await conn.execute("SELECT 1" if way == "direct" else text("SELECT 1"))


@pytest.mark.parametrize("way", ["begin", "at_once", "direct"])
async def test_connections_that_are_lost_while_they_are_borrowed_cost_the_pool_nothing(
    db: Database, database_url: str, way: str
) -> None:
    async with Database(database_url, connections=2) as losing:
        for _ in range(6):
            with pytest.raises(UNAVAILABLE):
                await lose(losing, way, by=db)
        assert await works(losing)

        async def all_are_back() -> bool:
            figures = losing.pool_figures()
            assert figures.size <= 2
            return (figures.idle, figures.waiting) == (figures.size, 0)

        await until(all_are_back)


async def test_a_statement_that_is_cut_off_costs_the_pool_nothing(db: Database, database_url: str) -> None:
    del db
    async with Database(database_url, connections=1) as cutting:

        async def sleep() -> None:
            async with cutting.at_once() as conn:
                await conn.execute(text("SELECT pg_sleep(4)"))

        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await sleep()
        assert await works(cutting)


@pytest.mark.parametrize("planning", ["", IN_INDEX_ORDER])
async def test_no_statement_is_compiled_before_it_runs(database_url: str, planning: str) -> None:
    """On a server with LLVM, as distributions build it, that costs a claim a hundred times what it takes."""
    async with Database(database_url, connections=1, planning=planning) as db, db.at_once() as conn:
        assert (await conn.execute(text("SHOW jit"))).scalar_one() == "off"


async def idle(db: Database, way: str, *, statements_after: int) -> None:
    """A transaction of a process that was frozen in it: the server has ended it by the time it goes on."""
    async with getattr(db, way)() as conn:
        for statement in ("SET idle_in_transaction_session_timeout = '20ms'", *["SELECT 1"] * statements_after):
            await conn.execute(statement if way == "transaction" else text(statement))
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("way", ["begin", "transaction"])
@pytest.mark.parametrize("statements_after", [0, 1])
async def test_a_transaction_that_the_server_has_ended_is_a_lost_connection(
    db: Database, database_url: str, way: str, statements_after: int
) -> None:
    del db
    async with Database(database_url, connections=1) as idling:
        for _ in range(3):
            with pytest.raises(UNAVAILABLE):
                await idle(idling, way, statements_after=statements_after)
        assert await works(idling)


async def test_a_server_that_hangs_is_left_alone_at_once_and_costs_the_pool_nothing(database_url: str) -> None:
    async with relayed(database_url) as (relay, url), Database(url, connections=1) as hanging:
        assert await works(hanging)
        relay.flowing.clear()
        loop = asyncio.get_running_loop()
        for _ in range(3):
            began = loop.time()
            with pytest.raises((TimeoutError, *UNAVAILABLE)):
                await within(0.2, works(hanging))
            assert loop.time() - began < 1.0
        relay.flowing.set()
        give_up = loop.time() + 20.0  # the statement that hung is given up after ten
        while True:
            try:
                assert await works(hanging)
                break
            except UNAVAILABLE:
                assert loop.time() < give_up
                await asyncio.sleep(0.1)
