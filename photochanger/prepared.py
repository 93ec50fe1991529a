"""Statements of the hot path: built with SQLAlchemy, compiled once, run on psycopg's own connection as prepared ones.

SQLAlchemy's execution costs two to three times what the database needs for a claim. What it gives elsewhere (rows with
names, types of both sides) is kept here by the compiled statement's own bind and result processors.
"""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import TupleRow
from sqlalchemy import ClauseElement
from sqlalchemy.dialects.postgresql import psycopg as dialect
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.compiler import SQLCompiler

Connection = AsyncConnection | psycopg.AsyncConnection[TupleRow]
"""SQLAlchemy's, from `Database.begin` and `at_once`, or the driver's own, from `Database.direct`."""
DIALECT = dialect.dialect()  # type: ignore[no-untyped-call]


class Prepared:
    """One statement. Its parameters are given by name, all of them, each time."""

    def __init__(self, statement: ClauseElement) -> None:
        compiled = statement.compile(dialect=DIALECT)
        assert isinstance(compiled, SQLCompiler)
        self._sql = str(compiled)
        self._constants = {name: value for name, value in compiled.params.items() if name not in _required(compiled)}
        self._bind: Mapping[str, Any] = compiled._bind_processors  # noqa: SLF001 - no public way
        self._columns = [
            (column.keyname, column.type.result_processor(DIALECT, None))
            for column in compiled._result_columns  # noqa: SLF001
        ]

    async def count(self, conn: Connection, values: Mapping[str, Any]) -> int:
        """Run it; how many rows it wrote."""
        return (await self._run(conn, values)).rowcount

    async def rows(self, conn: Connection, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Run it; its rows by their columns' names."""
        return await self._fetched(await self._run(conn, values))

    async def _fetched(self, cursor: psycopg.AsyncCursor[TupleRow]) -> list[dict[str, Any]]:
        fetched = await cursor.fetchall()
        return [
            {
                name: value if process is None else process(value)
                for (name, process), value in zip(self._columns, row, strict=True)
            }
            for row in fetched
        ]

    async def _run(self, conn: Connection, values: Mapping[str, Any]) -> psycopg.AsyncCursor[TupleRow]:
        given = {**self._constants, **values}
        bind = self._bind
        bound = {
            name: value if value is None or name not in bind else bind[name](value) for name, value in given.items()
        }
        return await (await _driver_of(conn)).execute(self._sql, bound, prepare=True)


async def rows_of_all(conn: Connection, *statements: tuple[Prepared, Mapping[str, Any]]) -> list[list[dict[str, Any]]]:
    """Run them one after the other in one trip to the server; the rows of each. Every one sees what was committed when
    *it* began, as if they had been sent one by one.
    """
    driver = await _driver_of(conn)
    async with driver.pipeline():
        cursors = [await prepared._run(driver, values) for prepared, values in statements]  # noqa: SLF001
        return [
            await prepared._fetched(cursor)  # noqa: SLF001
            for (prepared, _), cursor in zip(statements, cursors, strict=True)
        ]


async def _driver_of(conn: Connection) -> psycopg.AsyncConnection[TupleRow]:
    if isinstance(conn, psycopg.AsyncConnection):
        return conn
    driver: psycopg.AsyncConnection[TupleRow] = (await conn.get_raw_connection()).driver_connection  # type: ignore[assignment]
    return driver


def _required(compiled: SQLCompiler) -> set[str]:
    return {name for bind, name in compiled.bind_names.items() if bind.required}
