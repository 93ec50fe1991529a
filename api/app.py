"""The application: its route table, its lifespan, its one family of refusals."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from api.contract import openapi
from api.health import healthz, livez
from api.ingest import ingest
from api.jobs import job
from api.passwords import IngestPasswords
from api.provider_media import provider_media_file
from api.public import preview, result
from api.refusals import HANDLERS
from api.request_log import RequestLog
from api.state import Services
from api.waiting import Waiting
from photochanger.db import Database
from photochanger.media import Media
from photochanger.providers import Providers
from photochanger.settings import Settings

ROUTES = [
    Route("/ingest/{slot_id:path}", ingest, methods=["POST"]),
    Route("/api/ingest/{slot_id:path}", ingest, methods=["POST"]),
    Route("/api/jobs/{job_id}", job, methods=["GET"]),
    Route("/public/results/{job_id}", result, methods=["GET"]),
    Route("/public/results/{job_id}/preview", preview, methods=["GET"]),
    Route("/public/provider-media/{media_id}", provider_media_file, methods=["GET"]),
    Route("/api/openapi.json", openapi, methods=["GET"]),
    Route("/livez", livez, methods=["GET"]),
    Route("/healthz", healthz, methods=["GET"]),
]


def build_app(settings: Settings, providers: Providers, *, database_url: str) -> Starlette:
    """The application of one process. Nothing is opened before its lifespan starts."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        media = Media(settings.media_root)
        media.create_folders()
        passwords = IngestPasswords()
        async with Database(database_url) as db:
            waiting = Waiting(db, tick_seconds=settings.job_poll_seconds)
            app.state.services = Services(
                settings=settings, db=db, media=media, providers=providers, waiting=waiting, passwords=passwords
            )
            ticking = asyncio.create_task(waiting.run())
            try:
                yield
            finally:
                ticking.cancel()
                with suppress(asyncio.CancelledError):
                    await ticking
                passwords.close()

    return Starlette(routes=ROUTES, lifespan=lifespan, middleware=[Middleware(RequestLog)], exception_handlers=HANDLERS)
