"""What real processes refuse to start on: an empty, newer or absent database, and wrong settings."""

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from photochanger import migrate
from tests import postgres
from tests.processes import ROOT, UP_SECONDS, environment_for

pytestmark = pytest.mark.anyio

PROCESSES = ("api", "runner", "cleanup")


def refusals(folder: Path, database_url: str, **told: str) -> list[tuple[int, str]]:
    """Exit code and words of each process, started like this."""
    environment = environment_for(folder, database_url, **told)
    started = [
        subprocess.Popen([sys.executable, "-m", name], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        for name in PROCESSES
    ]
    try:
        words = [process.communicate(timeout=UP_SECONDS)[1] for process in started]
        return [(process.returncode, said) for process, said in zip(started, words, strict=True)]
    finally:
        for process in started:
            process.kill()


def test_no_process_starts_on_an_empty_database(postgres_url: str, tmp_path: Path) -> None:
    with postgres.database(postgres_url, template=None) as url:
        refused = refusals(tmp_path, url)
    missing = ", ".join(path.stem for path in migrate.migration_files())
    said = f"the database lacks {missing}: run `photochanger migrate` first\n"
    assert refused == [(2, f"{name}: {said}") for name in PROCESSES]


def test_no_process_starts_on_the_schema_of_a_newer_release(database_url: str, tmp_path: Path) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc)"
            " VALUES ('x', '9999_later', now())"
        )
    said = "the database is newer than this release (it has 9999_later): install that release\n"
    assert refusals(tmp_path, database_url) == [(2, f"{name}: {said}") for name in PROCESSES]


def test_wrong_settings_are_all_named_at_once_and_no_secret_is(database_url: str, tmp_path: Path) -> None:
    wrong = {
        "PORT": "70000",
        "JOB_POLL_SECONDS": "0.05",
        "RUNNER_CONCURRENCY": "many",
        "RESULT_TTL_HOURS": "-1",
        "PUBLIC_MEDIA_BASE_URL": "ftp://studio",
        "GEMINI_BASE_URL": "http://user@host",
        "GEMINI_API_KEY": "SECRETCANARY\n",
        "INGEST_PASSWORD_FILE": "/nowhere/password",
    }
    for (code, said), name in zip(refusals(tmp_path, database_url, **wrong), PROCESSES, strict=True):
        assert code == 2
        assert sorted(line.split(": ")[1] for line in said.splitlines()) == sorted(wrong)
        assert all(line.startswith(f"{name}: ") for line in said.splitlines())
        assert "CANARY" not in said


def test_a_database_that_cannot_be_reached_is_told_in_one_sentence(tmp_path: Path) -> None:
    for code, said in refusals(tmp_path, "postgresql://user:SECRETCANARY@127.0.0.1:9/photochanger"):
        assert code == 1
        assert "the database cannot be reached" in said
        assert len(said.splitlines()) == 1
        assert "CANARY" not in said
