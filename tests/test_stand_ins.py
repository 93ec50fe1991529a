"""Simulators stand in while no provider has a key, and stand aside for good with the first one, without a restart."""

from pathlib import Path

import pytest

from photochanger import provider_orders, secret_store
from photochanger.db import Database
from photochanger.keys import secrets_box
from photochanger.provider_orders import ProviderOrders
from photochanger.providers import Providers
from photochanger.settings import Settings
from runner.administration import Administration
from tests.serving import settings_for

pytestmark = pytest.mark.anyio

STAND_INS = "http://127.0.0.1:8090"


def told(tmp_path: Path, database_url: str, **environment: str) -> Settings:
    return settings_for(tmp_path, database_url, SIMULATORS_URL=STAND_INS, PORT="8765", **environment)


async def orders(db: Database, settings: Settings, providers: Providers) -> ProviderOrders:
    async with db.direct() as conn:
        return await provider_orders.load(conn, settings, providers, box=secrets_box(settings))


async def test_without_a_key_simulators_answer_for_all(
    db: Database, database_url: str, tmp_path: Path, known_providers: Providers
) -> None:
    found = await orders(db, told(tmp_path, database_url), known_providers)
    assert found.simulated
    assert set(found.keys) == set(known_providers.by_name)
    assert found.base_urls["gemini"] == f"{STAND_INS}/gemini"


async def test_a_key_in_the_environment_leaves_nothing_to_stand_in_for(
    db: Database, database_url: str, tmp_path: Path, known_providers: Providers
) -> None:
    found = await orders(db, told(tmp_path, database_url, OPENAI_API_KEY="of the environment"), known_providers)
    assert not found.simulated
    assert found.keys == {"openai": "of the environment"}
    assert found.base_urls["gemini"] == known_providers.by_name["gemini"].base_url


async def test_a_running_runner_turns_to_the_real_providers_with_the_first_key_and_back_without(
    db: Database, database_url: str, tmp_path: Path, known_providers: Providers
) -> None:
    settings = told(tmp_path, database_url, GEMINI_BASE_URL="https://proxy.example.org")
    box = secrets_box(settings)
    runner = Administration(db, settings, known_providers, box=box)
    await runner.look()
    assert (runner.base_url("gemini"), runner.links_base_url) == (f"{STAND_INS}/gemini", "http://127.0.0.1:8765")
    name = secret_store.provider_key("gemini")
    async with db.begin() as conn:
        await secret_store.store(conn, box, name, "a-real-key-0001", by="serg")
    await runner.look()
    assert (runner.key("gemini"), runner.base_url("gemini")) == ("a-real-key-0001", "https://proxy.example.org")
    assert (runner.key("turbotext"), runner.links_base_url) == (None, None)
    async with db.begin() as conn:
        await secret_store.remove(conn, name)
    await runner.look()
    assert runner.base_url("turbotext") == f"{STAND_INS}/turbotext"
