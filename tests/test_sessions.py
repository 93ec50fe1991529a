"""Sessions: signed, kept as a hash, ended at once, by the database's clock."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from photochanger import keys, sessions
from photochanger.db import Database
from photochanger.errors import ConfigurationError
from photochanger.sessions import Tokens
from photochanger.settings import Settings
from photochanger.tables import session
from tests.serving import SIGNING_KEY

pytestmark = pytest.mark.anyio

TOKENS = Tokens(SIGNING_KEY)


async def begun(db: Database, account: str = "serg") -> str:
    async with db.begin() as conn:
        return await sessions.begin(conn, TOKENS, account=account, kind="bearer", address="127.0.0.1", user_agent="u")


async def found(db: Database, token: str) -> sessions.Session | None:
    session_id = TOKENS.session_id(token)
    assert session_id is not None
    async with db.begin() as conn:
        return await sessions.find(conn, session_id)


async def age(db: Database, **columns: timedelta) -> None:
    async with db.begin() as conn:
        await conn.execute(update(session).values({name: func.now() - past for name, past in columns.items()}))


async def test_a_new_session_counts_and_the_row_does_not_have_its_token(db: Database) -> None:
    token = await begun(db)
    opened = await found(db, token)
    assert opened is not None
    assert (opened.account, opened.kind) == ("serg", "bearer")
    async with db.begin() as conn:
        row = (await conn.execute(select(session))).one()
    assert token.encode() not in repr(row).encode()
    assert token.rpartition(".")[0] not in repr(row)


def test_a_token_that_was_not_signed_here_is_none() -> None:
    token = TOKENS.new()
    assert TOKENS.session_id(token) is not None
    strangers = Tokens(SIGNING_KEY[::-1]).new()
    for wrong in (strangers, token[:-1], token + "x", "", ".", "a.b", "\udcff", "ж" * 40):
        assert TOKENS.session_id(wrong) is None


async def test_a_session_ends_once(db: Database) -> None:
    token = await begun(db)
    session_id = TOKENS.session_id(token)
    assert session_id is not None
    async with db.begin() as conn:
        assert await sessions.end(conn, session_id)
        assert not await sessions.end(conn, session_id)
    assert await found(db, token) is None


async def test_a_session_ends_after_eight_idle_hours_and_is_kept_alive_by_use(db: Database) -> None:
    token = await begun(db)
    await age(db, last_seen_at=timedelta(hours=7, minutes=59))
    assert await found(db, token) is not None  # and it is seen now
    async with db.begin() as conn:
        seen = (await conn.execute(select(session.c.last_seen_at > func.now() - timedelta(seconds=5)))).scalar_one()
    assert seen
    await age(db, last_seen_at=timedelta(hours=8, seconds=1))
    assert await found(db, token) is None


async def test_a_session_ends_after_seven_days_however_busy(db: Database) -> None:
    token = await begun(db)
    await age(db, created_at=timedelta(days=7, seconds=1))
    assert await found(db, token) is None


async def test_open_sessions_are_listed_by_account(db: Database) -> None:
    for account in ("serg", "igor", "serg"):
        await begun(db, account)
    async with db.begin() as conn:
        assert [one.account for one in await sessions.open_sessions(conn, account="serg")] == ["serg", "serg"]
        assert len(await sessions.open_sessions(conn)) == 3


def settings(home: Path, **environment: str) -> Settings:
    return Settings.from_env({"PHOTOCHANGER_HOME": str(home), **environment})


def test_keys_are_made_once_for_their_owner_alone(tmp_path: Path) -> None:
    here = settings(tmp_path)
    with pytest.raises(ConfigurationError, match="SIGNING_KEY is not set"):
        keys.signing_key(here)
    made = keys.ensure(here)
    assert {path.name for path in made} == {"signing_key", "secrets_key"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in made)
    signing = keys.signing_key(here)
    box = keys.secrets_box(here)
    assert keys.ensure(here) == []
    assert keys.signing_key(here) == signing
    assert keys.secrets_box(here).decrypt(box.encrypt(b"a secret")) == b"a secret"


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    here = settings(tmp_path)
    keys.ensure(here)
    (tmp_path / "secrets" / "signing_key").chmod(0o644)
    with pytest.raises(ConfigurationError, match="may be read by others"):
        keys.signing_key(here)


def test_weak_keys_are_refused(tmp_path: Path) -> None:
    for weak in ("short", "a" * 64, "changeme" * 3):
        with pytest.raises(ConfigurationError, match="SIGNING_KEY"):
            settings(tmp_path, SIGNING_KEY=weak)
    with pytest.raises(ConfigurationError, match="SECRETS_KEY"):
        keys.secrets_box(settings(tmp_path, SECRETS_KEY="not a Fernet key"))
