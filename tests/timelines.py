"""Jobs and their ways: a studio with simulated providers, and what the timeline tells of a job."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select, update

from photochanger.db import Database
from photochanger.providers import Providers
from photochanger.settings import Settings
from photochanger.tables import job, slot
from photochanger.timeline import Moment, timeline
from runner.loop import Runner
from simulators.gemini import KEY
from simulators.server import serving
from tests.booths import photo_bytes, post_photo
from tests.queue_rows import until
from tests.serving import Api, running, settings_for

PHOTO = photo_bytes()
GEMINI = {"provider": "gemini", "operation": "image_edit", "settings": {"prompt": "a portrait", "retries": 1}}
TURBOTEXT = {"provider": "turbotext", "operation": "image_edit", "settings": {"prompt": "a castle", "retries": 0}}


@dataclass(frozen=True)
class Studio:
    """The API, the simulators of two providers, and what a runner is told."""

    api: Api
    http: httpx.AsyncClient
    simulators: str
    settings: Settings
    providers: Providers
    database_url: str

    async def behave(self, provider: str, name: str, *, times: int | None = None, **parameters: Any) -> None:
        """Have a provider's simulator behave like this."""
        rule = {"match": {}, "behaviour": {"name": name, **parameters}, "times": times}
        answer = await self.http.post(f"{self.simulators}/__emu/{provider}/scenario", json=rule)
        assert answer.status_code < 300, answer.text

    async def set_slot(self, **values: Any) -> None:
        """All of them."""
        async with self.api.db.begin() as conn:
            await conn.execute(update(slot).values(**values))

    async def post(self) -> httpx.Response:
        """A booth's photo, answered."""
        return await post_photo(self.http, self.api.url, PHOTO)

    def runner(self) -> AbstractAsyncContextManager[Runner]:
        """One at work."""
        return running(self.settings, self.providers, self.database_url)


@asynccontextmanager
async def staged(
    api: Api, http: httpx.AsyncClient, tmp_path: Path, database_url: str, known_providers: Providers
) -> AsyncIterator[Studio]:
    """With nobody at work yet."""
    async with serving() as simulators:
        settings = settings_for(
            tmp_path,
            database_url,
            GEMINI_API_KEY=KEY,
            GEMINI_BASE_URL=f"{simulators.url}/gemini",
            TURBOTEXT_API_KEY=KEY,
            TURBOTEXT_BASE_URL=f"{simulators.url}/turbotext",
            PUBLIC_MEDIA_BASE_URL=api.url,
        )
        yield Studio(api, http, simulators.url, settings, known_providers, database_url)


async def only_job(db: Database) -> str:
    """The one there is."""
    async with db.begin() as conn:
        return str((await conn.execute(select(job.c.job_id))).scalar_one())


async def moments(db: Database, job_id: str | None = None) -> list[Moment]:
    """Its way."""
    job_id = job_id or await only_job(db)
    async with db.begin() as conn:
        return await timeline(conn, job_id)


async def events(db: Database, job_id: str | None = None) -> list[str]:
    """The names of its moments."""
    return [moment.event for moment in await moments(db, job_id)]


async def told(db: Database, event: str) -> list[dict[str, Any]]:
    """The details of these moments."""
    return [dict(moment.details or {}) for moment in await moments(db) if moment.event == event]


async def until_sent(db: Database) -> None:
    """Until it is written that the answer is out."""

    async def sent() -> bool:
        return "sent" in await events(db)

    await until(sent)
