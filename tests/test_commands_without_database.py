"""Every command of the console where the database is away, not migrated or too new: a sentence, no traceback."""

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from photochanger import media_root, migrate
from photochanger.db import Database
from photochanger.media import MARKER
from tests import postgres
from tests.administrators import ADMIN_PASSWORD, give_passwords
from tests.processes import ROOT, environment_for
from tests.serving import settings_for
from tests.test_up import free_port

pytestmark = pytest.mark.anyio

NOWHERE = "postgresql://photo:canary-password@127.0.0.1:1/photochanger"
FROM_THE_FUTURE = (
    "INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc)"
    " VALUES (repeat('0', 64), '9999_from_the_future', now())"
)
COMMANDS = (
    ("check",),
    ("doctor",),
    ("adopt-media",),
    ("cleanup", "--once"),
    ("cleanup", "--once", "--dry-run"),
    ("secrets", "rotate"),
    ("set-password", "igor", "--password-stdin"),
    ("unlock", "serg"),
    ("unlock", "--address", "192.0.2.1"),
    ("providers",),
    ("remove-account", "serg"),
)
ALL_THE_SAME = {"providers"}
"""What has something to tell without a database, and says what it did not look at."""


@dataclass(frozen=True)
class Said:
    """What a command has printed, and its exit code."""

    code: int
    text: str


async def said(folder: Path, *arguments: str, **environment: str) -> Said:
    """What this command says on this folder. An empty DATABASE_URL is none."""
    told = environment_for(folder, None, **environment)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "photochanger", *arguments, cwd=ROOT, env=told,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    printed, _ = await process.communicate(ADMIN_PASSWORD.encode())
    assert process.returncode is not None
    return Said(process.returncode, printed.decode())


async def say_it(folder: Path, database_url: str, *, sentence: str) -> set[str]:
    """All commands say this, and nothing of what went wrong inside. Those that go on all the same."""
    give_passwords(settings_for(folder, database_url))
    going_on: set[str] = set()
    for arguments in COMMANDS:
        found = await said(folder, *arguments, DATABASE_URL=database_url)
        assert sentence in found.text, arguments
        assert "Traceback" not in found.text, arguments
        assert "canary-password" not in found.text, arguments
        assert (found.code == 0) == (arguments[0] in ALL_THE_SAME), arguments
        going_on |= {arguments[0]} if found.code == 0 else set()
    return going_on


@pytest.fixture
def empty_url(postgres_url: str) -> Iterator[str]:
    with postgres.database(postgres_url, template=None) as url:
        yield url


async def test_a_database_that_is_away_is_told(tmp_path: Path) -> None:
    assert await say_it(tmp_path, NOWHERE, sentence="the database cannot be reached") == ALL_THE_SAME


async def test_a_database_that_is_not_there_is_told(tmp_path: Path, postgres_url: str) -> None:
    nobodys = postgres.with_database(postgres_url, "nobodys_database")
    found = await said(tmp_path, "check", DATABASE_URL=nobodys)
    assert found.code == 1
    assert found.text.startswith("photochanger: the database cannot be reached: ")
    assert "nobodys_database" in found.text
    assert len(found.text.splitlines()) == 1


async def test_a_database_that_is_not_migrated_is_told(tmp_path: Path, empty_url: str) -> None:
    await say_it(tmp_path, empty_url, sentence="run `photochanger migrate` first")
    assert (await said(tmp_path, "migrate", DATABASE_URL=empty_url)).code == 0


async def test_a_database_of_a_newer_release_is_told_and_left_alone(tmp_path: Path, empty_url: str) -> None:
    migrate.migrate(empty_url)
    with psycopg.connect(empty_url) as connection:
        connection.execute(FROM_THE_FUTURE)
    sentence = "the database is newer than this release (it has 9999_from_the_future)"
    await say_it(tmp_path, empty_url, sentence=sentence)
    found = await said(tmp_path, "migrate", DATABASE_URL=empty_url)
    assert (found.code, sentence in found.text, "Traceback" in found.text) == (2, True, False)


async def test_a_user_who_may_not_read_the_schema_is_told(tmp_path: Path, empty_url: str) -> None:
    migrate.migrate(empty_url)
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE photochanger_stranger NOLOGIN")
        try:
            connection.execute("GRANT photochanger_stranger TO CURRENT_USER")
            mark = "&" if "?" in empty_url else "?"
            stranger = f"{empty_url}{mark}options=-c%20role%3Dphotochanger_stranger"
            found = await said(tmp_path, "check", DATABASE_URL=stranger)
        finally:
            connection.execute("DROP ROLE photochanger_stranger")
    assert found.code == 2
    assert found.text.startswith("photochanger: the database's user may not read its schema")


async def test_where_no_database_was_ever_made_a_look_makes_none(tmp_path: Path) -> None:
    for arguments in (("check",), ("doctor",), ("secrets", "rotate"), ("cleanup", "--once"), ("providers",)):
        found = await said(tmp_path, *arguments)
        assert "Traceback" not in found.text, arguments
        assert arguments == ("providers",) or "there is no database" in found.text, found.text
    assert not (tmp_path / "home" / "postgres").exists()


async def test_up_on_a_database_that_is_away_or_newer_starts_nothing(tmp_path: Path, empty_url: str) -> None:
    migrate.migrate(empty_url)
    with psycopg.connect(empty_url) as connection:
        connection.execute(FROM_THE_FUTURE)
    for url, code, sentence in ((NOWHERE, 1, "cannot be reached"), (empty_url, 2, "is newer than this release")):
        found = await said(tmp_path, "up", DATABASE_URL=url, HOST="127.0.0.1", PORT=str(free_port()))
        assert (found.code, f"the database {sentence}" in found.text) == (code, True), found.text
        assert "Traceback" not in found.text
        assert not (tmp_path / "home" / "log").exists()


async def test_without_its_marker_the_folder_of_pictures_is_told_and_how_it_is_adopted(
    tmp_path: Path, database_url: str
) -> None:
    async with Database(database_url, connections=1) as db:
        media = await media_root.opened(db, tmp_path / "media")
    (media.root / MARKER).unlink()
    found = await said(tmp_path, "doctor", DATABASE_URL=database_url)
    (line,) = [line for line in found.text.splitlines() if line.startswith("BAD  media")]
    assert "photochanger adopt-media" in line
    swept = await said(tmp_path, "cleanup", "--once", DATABASE_URL=database_url)
    assert (swept.code, "FAILED: see the log" in swept.text) == (1, True)
    assert (await said(tmp_path, "adopt-media", DATABASE_URL=database_url)).code == 0
    assert "ok   media" in (await said(tmp_path, "doctor", DATABASE_URL=database_url)).text
    assert (media.root / MARKER).exists()
