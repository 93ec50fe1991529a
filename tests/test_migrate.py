"""The schema: made from nothing, once, by whoever comes first, and taken back without a rest."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from photochanger import migrate, providers, slots
from photochanger.db import Database
from photochanger.errors import ConfigurationError
from photochanger.resources import folder
from photochanger.tables import metadata
from tests import postgres

MIGRATIONS = [path.stem for path in migrate.migration_files()]


@pytest.fixture
def empty_url(postgres_url: str) -> Iterator[str]:
    with postgres.database(postgres_url, template=None) as url:
        yield url


def rows(url: str, query: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query).fetchall()


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def tables(url: str) -> set[str]:
    found = rows(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {name for (name,) in found if "yoyo" not in name}


def mistakes(url: str) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        migrate.check_schema(url)
    return raised.value.mistakes


def test_a_new_database_gets_every_table_in_the_order_of_the_files(empty_url: str) -> None:
    assert migrate.migrate(empty_url) == MIGRATIONS
    assert tables(empty_url) == set(metadata.tables)
    migrate.check_schema(empty_url)


def test_a_second_run_changes_nothing(empty_url: str) -> None:
    migrate.migrate(empty_url)
    execute(empty_url, "UPDATE slot SET display_name = 'Mine', version = 7 WHERE slot_id = 'slot-004'")
    assert migrate.migrate(empty_url) == []
    assert rows(empty_url, "SELECT display_name, version FROM slot WHERE slot_id = 'slot-004'") == [("Mine", 7)]


def test_several_processes_at_once_migrate_once(empty_url: str) -> None:
    environment = {**os.environ, "DATABASE_URL": empty_url}
    command = [sys.executable, "-m", "photochanger", "migrate"]
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    ended = [(*process.communicate(timeout=60), process.returncode) for process in started]
    assert [(code, error) for _, error, code in ended] == [(0, "")] * 3
    applied = [line for output, _, _ in ended for line in output.splitlines() if line.startswith("applied")]
    assert sorted(applied) == [f"applied {name}" for name in MIGRATIONS]
    migrate.check_schema(empty_url)


def test_several_threads_at_once_migrate_once(postgres_url: str) -> None:
    """Many times, because the first moment of a new database is the one that counts."""
    for _ in range(2):
        with postgres.database(postgres_url, template=None) as url, ThreadPoolExecutor(4) as pool:
            applied = list(pool.map(migrate.migrate, [url] * 4))
            assert sorted(map(len, applied)) == [0, 0, 0, len(MIGRATIONS)]


def test_a_migration_that_was_killed_holds_up_no_other(empty_url: str) -> None:
    migrate.migrate(empty_url)
    execute(empty_url, "INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, now(), 999999)")
    assert migrate.migrate(empty_url) == []


def test_taken_back_the_schema_is_gone_and_can_be_made_anew(empty_url: str) -> None:
    migrate.migrate(empty_url)
    execute(
        empty_url,
        "INSERT INTO app_settings (name, value, updated_by) VALUES ('ingest.hash_check', '\"off\"', 'serg')",
    )
    migrate.rollback_all(empty_url)
    assert tables(empty_url) == set()
    left = rows(
        empty_url,
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname !~ 'yoyo'"
        " UNION ALL SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typname !~ 'yoyo'"
        " UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    )
    assert left == []
    assert migrate.migrate(empty_url) == MIGRATIONS
    migrate.check_schema(empty_url)


def test_every_migration_has_its_rollback() -> None:
    found = {path.name for path in folder("migrations").iterdir()}
    wanted = {f"{name}{suffix}" for name in MIGRATIONS for suffix in (".sql", ".rollback.sql")}
    assert found == wanted


def test_a_migration_that_fails_leaves_nothing(empty_url: str) -> None:
    execute(empty_url, "CREATE TABLE media_object (in_the_way integer)")
    with pytest.raises(Exception, match="already exists"):
        migrate.migrate(empty_url)
    assert tables(empty_url) == {"media_object"}
    execute(empty_url, "DROP TABLE media_object")
    assert migrate.migrate(empty_url) == MIGRATIONS


def test_an_empty_database_is_told_to_be_migrated(empty_url: str) -> None:
    assert mistakes(empty_url) == [f"the database lacks {', '.join(MIGRATIONS)}: run `photochanger migrate` first"]


def test_an_older_database_is_told_what_it_lacks(empty_url: str) -> None:
    migrate.migrate(empty_url)
    execute(empty_url, f"DELETE FROM _yoyo_migration WHERE migration_id = '{MIGRATIONS[-1]}'")
    assert mistakes(empty_url) == [f"the database lacks {MIGRATIONS[-1]}: run `photochanger migrate` first"]


def test_a_newer_database_is_told_to_need_its_release(empty_url: str) -> None:
    migrate.migrate(empty_url)
    execute(
        empty_url,
        "INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc)"
        " VALUES (repeat('0', 64), '9999_from_the_future', now())",
    )
    assert mistakes(empty_url) == [
        "the database is newer than this release (it has 9999_from_the_future): install that release"
    ]


def test_a_process_does_not_start_on_another_schema(empty_url: str) -> None:
    command = [sys.executable, "-m", "photochanger", "check"]
    environment = {**os.environ, "DATABASE_URL": empty_url}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("photochanger: the database lacks 0001_")
    assert "Traceback" not in ended.stderr


def test_there_are_fifteen_slots_ready_for_work(database_url: str) -> None:
    known = providers.load()

    async def read() -> list[slots.Slot | None]:
        async with Database(database_url, connections=1) as db, db.begin() as conn:
            return [await slots.get(conn, f"slot-{number:03}") for number in range(17)]

    found = asyncio.run(read())
    assert [slot.slot_id if slot else None for slot in found] == [
        None,
        *(f"slot-{number:03}" for number in range(1, 16)),
        None,
    ]
    ready = [slot for slot in found if slot is not None]
    assert all(slot.is_active and slot.version == 1 and slot.size_limit_mb == 15 for slot in ready)
    assert all(slot.ingest_password_hash is None and slot.sync_response_seconds is None for slot in ready)
    assert [slot.slot_id for slot in ready if known.mistakes(slot.provider, slot.operation, slot.settings)] == []


def test_slots_that_contradict_the_rules_are_refused(database_url: str) -> None:
    for change in (
        "INSERT INTO slot (slot_id, display_name, provider, operation) VALUES ('slot-016', 'x', 'gemini', 'e')",
        "UPDATE slot SET slot_id = 'slot-016' WHERE slot_id = 'slot-015'",
        "UPDATE slot SET slot_id = 'slot-000' WHERE slot_id = 'slot-001'",
        "UPDATE slot SET display_name = ''",
        "UPDATE slot SET settings = '[]'",
        "UPDATE slot SET size_limit_mb = 21",
        "UPDATE slot SET size_limit_mb = 0",
        "UPDATE slot SET sync_response_seconds = 9",
        "UPDATE slot SET sync_response_seconds = 61",
        "UPDATE slot SET version = 0",
    ):
        with psycopg.connect(database_url) as connection, pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(change)
