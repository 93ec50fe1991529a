"""Planted secrets, sent through every route and every place of input, turn up in no log line, no row and no answer.

The API runs in a process of its own, with the log it writes in a studio. The routes come from the table and the
contract: whatever is added there is asked in the same way.
"""

import asyncio
import re
import socket
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, text

from photochanger import app_settings, audit, sessions
from photochanger.db import Database
from photochanger.passwords import hash_password
from photochanger.sessions import Tokens
from photochanger.settings import Settings
from photochanger.tables import job
from tests.administrators import give_passwords
from tests.booths import post_photo
from tests.processes import PHOTO, Station, environment_for
from tests.queue_rows import until
from tests.routes import described, filled, operations, resolved
from tests.serving import SIGNING_KEY

pytestmark = pytest.mark.anyio

INGEST_PASSWORD = "canary-of-the-booths-5f1c"
ADMIN_PASSWORD = "canary-of-an-administrator-9a7e"
PROVIDER_KEY = "canary-of-a-provider-33d0"
NEW_SECRET = "canary-typed-into-a-form-b246"
TELLING = re.compile(r"password|secret|key$|token", re.IGNORECASE)


class Planted:
    """An API process, all that it has answered, and the secrets that it must keep to itself."""

    def __init__(self, station: Station, db: Database, http: httpx.AsyncClient) -> None:
        self.station, self.db, self.http = station, db, http
        self.secrets = [INGEST_PASSWORD, ADMIN_PASSWORD, PROVIDER_KEY, NEW_SECRET, SIGNING_KEY]
        self.answers: list[str] = []

    async def session(self) -> str:
        """The token of a session that is open, one more secret. The signature alone opens nothing."""
        async with self.db.begin() as conn:
            token = await sessions.begin(
                conn, Tokens(SIGNING_KEY), account="serg", kind="bearer", address="127.0.0.1", user_agent="tests"
            )
        self.secrets.append(token.partition(".")[0])
        return token

    async def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        answer = await self.http.request(method, f"{self.station.url}{path}", **given)
        self.answers.append(f"{method} {path} {answer.status_code} {answer.headers} {answer.text}")
        return answer

    async def leaks(self) -> list[str]:
        """Wherever a secret has turned up."""
        async with self.db.at_once() as conn:
            names = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
            tables = list((await conn.execute(text(names))).scalars())
            assert {"session", "login_failure", "processing_log", "job_input"} <= set(tables)
            rows = [
                f"a row of {table}: {row}"
                for table in tables
                for row in (await conn.execute(text(f'SELECT "{table}"::text FROM "{table}"'))).scalars()
            ]
        lines = [f"log: {line}" for process in self.station.processes for line in process.text().splitlines()]
        files = [f"{path}: {path.read_text('latin-1')}" for path in self.station.folder.rglob("home/**/*.*")]
        assert len(lines) > 1
        secret = re.compile("|".join(map(re.escape, self.secrets)))
        return [found[:500] for found in [*rows, *lines, *files, *self.answers] if secret.search(found)]


@pytest.fixture
async def planted(database_url: str, tmp_path: Path, http: httpx.AsyncClient) -> AsyncIterator[Planted]:
    told = environment_for(tmp_path, database_url, GEMINI_API_KEY=PROVIDER_KEY, INGEST_PASSWORD=INGEST_PASSWORD)
    give_passwords(Settings.from_env(told), {"serg": ADMIN_PASSWORD})
    station = Station(folder=tmp_path, environment=told, socket=socket.create_server(("127.0.0.1", 0)))
    async with Database(database_url, connections=2) as db:
        async with db.begin() as conn:
            kept = hash_password(INGEST_PASSWORD.encode(), cost=4)
            await app_settings.store(conn, "ingest.password_hash", kept, by="test")
        try:
            await station.api()
            yield Planted(station, db, http)
            station.assert_no_crashes()
        finally:
            station.end()


def flat(*secrets: str) -> dict[str, str]:
    """The names that a careless program might use, with a secret each."""
    names = ("password", "ingest_password", "api_key", "key", "token", "access_token", "secret", "csrf_token")
    return {name: secrets[number % len(secrets)] for number, name in enumerate(names)}


def in_its_place(schema: dict[str, Any]) -> dict[str, Any] | None:
    """What this schema would take, with a secret wherever it asks for one; None where it asks for none."""
    schema = resolved(schema)
    found: dict[str, Any] = {}
    for name, told in schema.get("properties", {}).items():
        inside = in_its_place(told)
        found[name] = NEW_SECRET if inside is None and TELLING.search(name) else inside
    further = schema.get("additionalProperties")
    if isinstance(further, dict):
        found["gemini"] = in_its_place(further)
    return {name: value for name, value in found.items() if value is not None} or None


async def test_what_is_sent_to_the_wrong_place_is_kept_nowhere(planted: Planted) -> None:
    for operation in operations():
        kept = [await planted.session(), INGEST_PASSWORD, ADMIN_PASSWORD, PROVIDER_KEY, NEW_SECRET, SIGNING_KEY]
        for secret in kept:
            headers = {"X-Api-Key": secret, "X-CSRF-Token": secret, "Referer": f"http://x/?token={secret}"}
            for stranger in (
                {"Authorization": f"Bearer {secret}x"},
                {"Authorization": f"Basic {b64encode(f'serg:{secret}'.encode()).decode()}"},
                {"Cookie": f"photochanger_session={secret}"},
            ):
                answer = await planted.ask(operation.method, operation.url, headers={**headers, **stranger})
                assert answer.status_code != 200 or not operation.closed
        bodies: list[dict[str, Any]] = [
            {},
            {"data": flat(*kept)},
            {"json": flat(*kept)},
            {"json": kept},
            {"files": {name: (None, value) for name, value in flat(*kept).items()}},
        ]
        for body in bodies:
            for who in ({}, {"Authorization": f"Bearer {await planted.session()}"}):
                send = {"headers": {**headers, **who}, "params": flat(*kept), **body}
                assert (await planted.ask(operation.method, operation.url, **send)).status_code != 500
    assert await planted.leaks() == []


async def test_what_is_sent_to_the_right_place_is_kept_as_a_hash_or_encrypted(planted: Planted) -> None:
    posting = asyncio.create_task(
        post_photo(planted.http, planted.station.url, PHOTO, password=INGEST_PASSWORD.encode())
    )

    async def taken_in() -> bool:
        async with planted.db.at_once() as conn:
            return (await conn.execute(select(func.count()).select_from(job))).scalar_one() == 1

    await until(taken_in, seconds=20)
    posting.cancel()
    for username, password, status in (
        ("serg", ADMIN_PASSWORD, 200),
        ("serg", NEW_SECRET, 401),
        (ADMIN_PASSWORD, "serg", 401),
        (NEW_SECRET, NEW_SECRET, 401),
    ):
        given = {"username": username, "password": password}
        assert (await planted.ask("POST", "/api/login", json=given)).status_code == status
    asked = 0
    for method, path, operation in described():
        for content in resolved(operation.get("requestBody", {})).get("content", {}).values():
            body = in_its_place(content.get("schema", {}))
            if body is not None:
                headers = {"Authorization": f"Bearer {await planted.session()}"}
                answer = await planted.ask(method, filled(path), json=body, headers=headers)
                assert answer.status_code < 500
                asked += 1
    assert asked
    assert await planted.leaks() == []


async def test_a_leak_would_be_seen(planted: Planted) -> None:
    await planted.ask("GET", f"/nowhere/{NEW_SECRET}")
    assert [found[:4] for found in await planted.leaks()] == ["log:", "GET "]
    async with planted.db.begin() as conn:
        await audit.record(conn, "tested", actor=ADMIN_PASSWORD)
    assert any(found.startswith("a row of processing_log") for found in await planted.leaks())
