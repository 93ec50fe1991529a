"""tables.py and the migrated database say the same of every column, and rows that contradict themselves are refused."""

from typing import Any

import psycopg
import pytest
from sqlalchemy import Column, inspect, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateColumn

from photochanger.db import Database
from photochanger.jobs import Status
from photochanger.tables import HexId, job, metadata
from tests.queue_rows import job_in, queue

pytestmark = pytest.mark.anyio

DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


def _told(column: Column[Any]) -> tuple[str, bool]:
    """A column's type as SQL, and whether it may be empty."""
    return column.type.compile(DIALECT), bool(column.nullable)


async def _migrated(conn: AsyncConnection) -> dict[str, dict[str, tuple[str, bool]]]:
    def read(connection: Any) -> dict[str, dict[str, tuple[str, bool]]]:
        inspector = inspect(connection)
        return {
            table: {
                column["name"]: (column["type"].compile(DIALECT), column["nullable"])
                for column in inspector.get_columns(table)
            }
            for table in inspector.get_table_names()
            if "yoyo" not in table
        }

    return await conn.run_sync(read)


async def test_tables_and_migrations_agree_on_every_column(db: Database) -> None:
    async with db.begin() as conn:
        migrated = await _migrated(conn)
    declared = {
        table.name: {column.name: _told(column) for column in table.columns} for table in metadata.tables.values()
    }
    assert declared == migrated
    assert {name: list(columns) for name, columns in declared.items()} == {
        name: list(columns) for name, columns in migrated.items()
    }, "the columns stand in another order"


async def test_tables_and_migrations_agree_on_the_primary_keys(db: Database) -> None:
    def read(connection: Any) -> dict[str, list[str]]:
        inspector = inspect(connection)
        return {name: inspector.get_pk_constraint(name)["constrained_columns"] for name in metadata.tables}

    async with db.begin() as conn:
        migrated = await conn.run_sync(read)
    assert {name: [column.name for column in table.primary_key] for name, table in metadata.tables.items()} == migrated


async def test_the_tables_have_no_behaviour() -> None:
    for table in metadata.tables.values():
        assert not table.foreign_keys
        assert not table.indexes
        for column in table.columns:
            assert column.server_default is None
            assert column.default is None
            assert "DEFAULT" not in str(CreateColumn(column).compile(dialect=DIALECT))


async def test_the_queues_indexes_hold_open_jobs_only(database_url: str) -> None:
    """A million finished rows must not slow a claim down."""
    with psycopg.connect(database_url) as connection:
        found: dict[str, str] = dict(
            connection.execute("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'job'").fetchall()
        )
    seldom = {"job_failed", "job_failed_slot", "job_failed_last", "job_failed_reason", "job_on_fallback", "job_ui_test"}
    assert set(found) == {"job_pkey", "job_queued", "job_waiting", "job_open", "job_with_result", *seldom}
    assert all(" WHERE " in found[name] for name in seldom), "it would be written at every move of every job"
    for name in ("job_queued", "job_waiting", "job_open"):
        condition = found[name].partition(" WHERE ")[2]
        assert "status" in condition
        assert not {"done", "failed", "timeout"} & set(condition.replace("'", " ").split())


async def test_an_id_is_thirty_two_hex_digits_outside_and_sixteen_bytes_inside() -> None:
    kind = HexId()
    outside = "00ff" * 8
    inside = kind.process_bind_param(outside, DIALECT)
    assert len(inside.bytes) == 16
    assert kind.process_result_value(inside, DIALECT) == outside
    assert kind.process_bind_param(None, DIALECT) is None
    assert kind.process_result_value(None, DIALECT) is None
    with pytest.raises(ValueError, match="hexadecimal"):
        kind.process_bind_param("slot-001", DIALECT)


CONTRADICTIONS = {
    "an unknown status": "status = 'lost'",
    "running without a runner": "status = 'running', lease_until = now()",
    "running without a lease": "status = 'running', runner = 'runner-a'",
    "a runner of a queued job": "runner = 'runner-a', lease_until = now()",
    "done without a result": "status = 'done', finished_at = now()",
    "final without a moment": "status = 'failed', failure_reason = 'quota'",
    "a moment of what is open": "finished_at = now()",
    "failed without a reason": "status = 'failed', finished_at = now()",
    "timeout without a reason": "status = 'timeout', finished_at = now()",
    "a reason of what is open": "failure_reason = 'quota'",
    "a result path of what is open": "result_path = 'results/x.jpg'",
    "a preview without a result": "preview_path = 'previews/x.webp'",
    "a result's checksum of what failed": (
        "status = 'failed', finished_at = now(), failure_reason = 'quota', result_mime = 'image/png',"
        " result_bytes = 1, result_expires_at = now(), result_sha256 = sha256('')"
    ),
    "more attempts than allowed": "attempt = 3",
    "a negative attempt": "attempt = -1",
    "no attempt allowed": "max_attempts = 0",
    "a deadline before the arrival": "expires_at = created_at, start_by = created_at",
    "a start after the deadline": "start_by = expires_at + interval '1 s'",
    "a checksum of another length": "result_sha256 = 'abc'",
    "a picture of another type": "result_mime = 'image/gif'",
    "a photo of no slot": "slot_id = NULL",
    "a source nobody has": "source = 'fax'",
    "a kind that is no word": "kind = 'Photo!'",
}


async def test_rows_that_contradict_themselves_are_refused(db: Database) -> None:
    await queue(db)
    accepted = []
    for name, change in CONTRADICTIONS.items():
        try:
            async with db.at_once() as conn:
                await conn.execute(text(f"UPDATE job SET {change}"))
            accepted.append(name)
        except IntegrityError:
            pass
    assert accepted == []


async def test_a_done_row_can_lose_its_files_but_not_its_figures(db: Database) -> None:
    await job_in(db, Status.DONE)
    async with db.at_once() as conn:
        await conn.execute(update(job).values(result_path=None, preview_path=None))
    for figure in ("result_sha256", "result_mime", "result_bytes", "result_expires_at"):
        async with db.at_once() as conn:
            with pytest.raises(IntegrityError):
                await conn.execute(update(job).values({figure: None}))
