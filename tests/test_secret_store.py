"""Secrets at rest: sealed under their own name, readable with any of the keys, encrypted anew with the first."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, MultiFernet
from sqlalchemy import select, update

from photochanger import keys, provider_orders, secret_store
from photochanger.db import Database
from photochanger.errors import ConfigurationError
from photochanger.providers import Providers
from photochanger.secret_store import UnreadableSecretError
from photochanger.settings import Settings
from photochanger.tables import secret
from tests.processes import ROOT, environment_for

pytestmark = pytest.mark.anyio

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
GEMINI = secret_store.provider_key("gemini")
OPENAI = secret_store.provider_key("openai")


def box(*given: str) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in given])


async def store(db: Database, name: str, value: str, *given: str) -> None:
    async with db.begin() as conn:
        await secret_store.store(conn, box(*given), name, value, by="serg")


async def sealed(db: Database, name: str) -> bytes:
    async with db.begin() as conn:
        found: bytes = (await conn.execute(select(secret.c.ciphertext).where(secret.c.name == name))).scalar_one()
        return found


def test_a_secret_is_opened_with_any_of_the_keys() -> None:
    ciphertext = secret_store.sealed(box(OLD), GEMINI, "a=key=")
    assert b"key" not in ciphertext
    assert secret_store.opened(box(NEW, OLD), GEMINI, ciphertext) == "a=key="
    with pytest.raises(UnreadableSecretError, match="another SECRETS_KEY"):
        secret_store.opened(box(NEW), GEMINI, ciphertext)


def test_a_ciphertext_in_anothers_place_is_not_opened() -> None:
    ciphertext = secret_store.sealed(box(OLD), GEMINI, "key")
    with pytest.raises(UnreadableSecretError, match="another secret's"):
        secret_store.opened(box(OLD), OPENAI, ciphertext)


def test_of_a_short_secret_nothing_is_shown() -> None:
    assert [secret_store.last_four(value) for value in ("", "12345678901", "123456789012")] == ["", "", "9012"]


async def test_a_secret_is_replaced_and_removed(db: Database) -> None:
    await store(db, GEMINI, "first-key-0001", OLD)
    await store(db, GEMINI, "second-key-0002", OLD)
    async with db.begin() as conn:
        (found,) = (await secret_store.stored(conn)).values()
        assert (found.name, found.last_four, found.updated_by) == (GEMINI, "0002", "serg")
        assert await secret_store.remove(conn, GEMINI)
        assert not await secret_store.remove(conn, GEMINI)


async def test_the_databases_key_beats_the_environments(db: Database, known_providers: Providers) -> None:
    await store(db, GEMINI, "of the database", OLD)
    settings = Settings.from_env({"GEMINI_API_KEY": "of the environment", "OPENAI_API_KEY": "of the environment"})
    async with db.direct() as conn:
        orders = await provider_orders.load(conn, settings, known_providers, box=box(OLD))
    assert orders.keys == {"gemini": "of the database", "openai": "of the environment"}
    assert "database" not in repr(orders)


@pytest.mark.parametrize("given", [[], [NEW]])
async def test_a_key_that_cannot_be_read_is_none_and_not_the_environments(
    db: Database, known_providers: Providers, given: list[str]
) -> None:
    await store(db, GEMINI, "of the database", OLD)
    settings = Settings.from_env({"GEMINI_API_KEY": "of the environment"})
    async with db.direct() as conn:
        orders = await provider_orders.load(conn, settings, known_providers, box=box(*given) if given else None)
    assert orders.keys == {}
    (told,) = orders.unreadable
    assert GEMINI in told
    assert "SECRETS_KEY" in told


async def test_rotation_needs_the_old_key_no_longer(db: Database) -> None:
    await store(db, GEMINI, "first-key-0001", OLD)
    await store(db, OPENAI, "second-key-0002", OLD)
    async with db.begin() as conn:
        before = await secret_store.stored(conn)
        assert await secret_store.rotate(conn, box(NEW, OLD), by="command") == [GEMINI, OPENAI]
        assert await secret_store.stored(conn) == before
    assert secret_store.opened(box(NEW), GEMINI, await sealed(db, GEMINI)) == "first-key-0001"
    assert secret_store.opened(box(NEW), OPENAI, await sealed(db, OPENAI)) == "second-key-0002"


async def test_a_rotation_that_cannot_read_all_changes_none(db: Database) -> None:
    await store(db, GEMINI, "first-key-0001", OLD)
    await store(db, OPENAI, "second-key-0002", NEW)
    before = await sealed(db, OPENAI)
    with pytest.raises(ConfigurationError, match=GEMINI):
        async with db.begin() as conn:
            await secret_store.rotate(conn, box(NEW), by="command")
    assert await sealed(db, OPENAI) == before


def test_an_installation_without_a_secrets_key_may_start_but_not_with_one_that_is_none(tmp_path: Path) -> None:
    def settings(**told: str) -> Settings:
        return Settings.from_env({"PHOTOCHANGER_HOME": str(tmp_path), **told})

    assert keys.secrets_box_if_any(settings()) is None
    with pytest.raises(ConfigurationError, match="SECRETS_KEY"):
        keys.secrets_box_if_any(settings(SECRETS_KEY="not a Fernet key"))
    keys.ensure(settings())
    assert keys.secrets_box_if_any(settings()) is not None
    (tmp_path / "secrets" / "secrets_key").chmod(0o644)
    with pytest.raises(ConfigurationError, match="may be read by others"):
        keys.secrets_box_if_any(settings())


@pytest.mark.parametrize("module", ["api", "runner"])
def test_no_process_starts_with_a_secrets_key_that_is_none(module: str, database_url: str, tmp_path: Path) -> None:
    environment = environment_for(tmp_path, database_url, SECRETS_KEY="not a Fernet key")
    command = [sys.executable, "-m", module]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (2, f"{module}: SECRETS_KEY: must be Fernet keys with commas between\n")


async def test_the_command_rotates_and_says_what_it_could_not_read(db: Database, database_url: str) -> None:
    await store(db, GEMINI, "first-key-0001", OLD)

    def rotate(given: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "DATABASE_URL": database_url, "SECRETS_KEY": given}
        command = [sys.executable, "-m", "photochanger", "secrets", "rotate"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    done = rotate(f"{NEW},{OLD}")
    assert (done.returncode, done.stdout.strip()) == (0, f"encrypted anew with the first key of SECRETS_KEY: {GEMINI}")
    assert secret_store.opened(box(NEW), GEMINI, await sealed(db, GEMINI)) == "first-key-0001"
    refused = rotate(OLD)
    assert refused.returncode == 2
    assert GEMINI in refused.stderr
    assert "Traceback" not in refused.stderr
    async with db.begin() as conn:
        swapped = update(secret).values(name=OPENAI)
        await conn.execute(swapped)
    assert "another secret's" in rotate(NEW).stderr
