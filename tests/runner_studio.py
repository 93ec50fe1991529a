"""A studio in one event loop: API and simulators that run, and a runner beside them on demand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import update

from photochanger import attempts
from photochanger.attempts import Attempt
from photochanger.media import MARKER
from photochanger.providers import Providers
from photochanger.settings import Settings
from photochanger.tables import slot
from runner.loop import Runner
from simulators.gemini import KEY
from tests.booths import photo_bytes, post_photo
from tests.serving import Api, running, settings_for
from tests.simulated import Simulators, simulated

PHOTO = photo_bytes()
PICTURE = photo_bytes(seed=2)


@dataclass(frozen=True, kw_only=True)
class Studio:
    """API and simulators that run, and what a runner beside them is told."""

    api: Api
    simulators: Simulators
    http: httpx.AsyncClient
    settings: Settings
    providers: Providers

    @asynccontextmanager
    async def runner(self, *, providers: Providers | None = None, places: int = 4) -> AsyncIterator[Runner]:
        url = self.settings.database_url
        assert url is not None
        async with running(self.settings, providers or self.providers, url, places=places) as runner:
            yield runner

    async def post(self, photo: bytes = PHOTO, **given: Any) -> httpx.Response:
        return await post_photo(self.http, self.api.url, photo, **given)

    async def set_slot(self, *, sync_response_seconds: int | None = None, **settings: Any) -> None:
        """Give all slots these settings, beside a prompt."""
        values = {"settings": {"prompt": "a portrait", **settings}, "sync_response_seconds": sync_response_seconds}
        async with self.api.db.begin() as conn:
            await conn.execute(update(slot).values(**values))

    async def calls(self) -> int:
        """How often the simulator was asked for a picture."""
        return int((await self.simulators.read("gemini/stats"))["requests"])

    async def is_called(self) -> bool:
        """Whether a call is out."""
        return bool((await self.simulators.read("gemini/stats"))["in_flight"])

    async def attempts(self, answer: httpx.Response) -> list[Attempt]:
        async with self.api.db.at_once() as conn:
            return await attempts.of_job(conn, answer.headers["x-job-id"])

    def files(self) -> set[str]:
        """Every file under MEDIA_ROOT but its marker."""
        root = self.api.media.root
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.name != MARKER}


def told(api: Api, *, base_url: str) -> Settings:
    """What a runner on this API's folder and database is told."""
    provider = {"GEMINI_API_KEY": KEY, "GEMINI_BASE_URL": base_url}
    return settings_for(api.media.root.parent, api.services.settings.database_url or "", **provider)


@asynccontextmanager
async def opened(api: Api, *, http: httpx.AsyncClient, providers: Providers) -> AsyncIterator[Studio]:
    """A studio whose slots have no retries. At its end no simulator may have seen a malformed request."""
    async with simulated() as simulators:
        settings = told(api, base_url=f"{simulators.url}/gemini")
        studio = Studio(api=api, simulators=simulators, http=http, settings=settings, providers=providers)
        await studio.set_slot(retries=0)
        yield studio
        assert await simulators.violations() == []
