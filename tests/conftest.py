"""Real parts for every test: a database of its own, a folder of its own, the API on a real socket."""

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser

from photochanger import providers
from photochanger.db import Database
from photochanger.media import Media
from photochanger.providers import Providers
from tests import postgres
from tests.browsing import opened_browser
from tests.serving import Api, serve_api, settings_for

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts the suite in its background has it ignore Ctrl-C, and so would each process of the tests.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture(scope="session")
def schema_template(postgres_url: str) -> Iterator[str]:
    with postgres.template(postgres_url) as name:
        yield name


@pytest.fixture
def database_url(postgres_url: str, schema_template: str) -> Iterator[str]:
    with postgres.database(postgres_url, template=schema_template) as url:
        yield url


@pytest.fixture
async def db(database_url: str, anyio_backend: str) -> AsyncIterator[Database]:
    async with Database(database_url, connections=20) as db:
        yield db


@pytest.fixture
def media(tmp_path: Path) -> Media:
    media = Media(tmp_path / "media")
    media.create_folders()
    return media


@pytest.fixture(scope="session")
def known_providers() -> Providers:
    return providers.load()


@pytest.fixture
async def api(database_url: str, tmp_path: Path, known_providers: Providers, anyio_backend: str) -> AsyncIterator[Api]:
    settings = settings_for(tmp_path, database_url)
    async with serve_api(settings, known_providers, database_url) as api:
        yield api


@pytest.fixture
async def http(anyio_backend: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=90, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    """One for all: each test opens windows of its own in it, with nothing of another's."""
    async with opened_browser() as browser:
        yield browser
