"""The API and a runner inside the test's own event loop, on a real socket; for tests that look at both sides."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from api.__main__ import config
from api.state import Services
from photochanger import app_settings, keys, media_root
from photochanger.db import Database
from photochanger.images import Pictures
from photochanger.media import Media
from photochanger.passwords import hash_password
from photochanger.providers import Providers
from photochanger.settings import Settings
from runner.administration import Administration
from runner.loop import Runner
from runner.models import Models
from runner.workshop import Workshop, load_drivers, open_session

PASSWORD = b"booth-password"
SIGNING_KEY = "a key for tests, of 48 characters at the least -"
SECRETS_KEY = "dGhpcnR5LXR3byBieXRlcyB0aGF0IHNlYWwgdGVzdHM="
PASSWORD_HASH = hash_password(PASSWORD, cost=4)


@dataclass(frozen=True)
class Api:
    """A serving API process's inside and outside."""

    url: str
    services: Services
    media: Media
    db: Database


def settings_for(folder: Path, database_url: str, **environment: str) -> Settings:
    """Settings of a process that keeps its files in this folder and looks at jobs often."""
    return Settings.from_env(
        {
            "PHOTOCHANGER_HOME": str(folder / "home"),
            "MEDIA_ROOT": str(folder / "media"),
            "DATABASE_URL": database_url,
            "HOST": "127.0.0.1",
            "JOB_POLL_SECONDS": "0.1",
            "SIGNING_KEY": SIGNING_KEY,
            "SECRETS_KEY": SECRETS_KEY,
            **environment,
        }
    )


@asynccontextmanager
async def serve_api(settings: Settings, providers: Providers, database_url: str) -> AsyncIterator[Api]:
    """The API as its process serves it, on a free port, with `PASSWORD` as the ingest password."""
    async with Database(database_url, connections=2) as db, db.begin() as conn:
        await app_settings.store(conn, "ingest.password_hash", PASSWORD_HASH, by="test")
    configuration = config(settings, providers, database_url)
    configuration.port = 0
    configuration.timeout_graceful_shutdown = 0  # what still waits for a picture is cut off
    server = uvicorn.Server(configuration)
    serving = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
        if serving.done():
            serving.result()
    services: Services = configuration.app.state.services  # type: ignore[union-attr]
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Api(f"http://127.0.0.1:{port}", services, services.media, services.db)
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def running(
    settings: Settings, providers: Providers, database_url: str, *, places: int = 4
) -> AsyncIterator[Runner]:
    """A runner in this event loop."""
    stopping = asyncio.Event()
    async with Database(database_url) as db, Pictures(children=1) as pictures, open_session() as http:
        workshop = Workshop(
            settings=settings,
            providers=providers,
            drivers=load_drivers(providers),
            db=db,
            media=await media_root.opened(db, settings.media_root),
            pictures=pictures,
            http=http,
            models=Models(),
            administration=Administration(db, settings, providers, box=keys.secrets_box_if_any(settings)),
            stopping=stopping,
        )
        runner = Runner(workshop, places=places)
        task = asyncio.create_task(runner.run())
        try:
            yield runner
        finally:
            stopping.set()
            await task
