"""The application: its route table, its lifespan, its one family of refusals."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from api.admin_passwords import AdminPasswords
from api.contract import openapi
from api.docs import docs
from api.health import healthz, livez
from api.hosts import KnownHosts, own_names
from api.ingest import ingest
from api.jobs import job
from api.login import login, logout
from api.pages.assets import static_file
from api.pages.console import console_health, slot_code
from api.pages.dashboard import dashboard
from api.pages.guests import gallery_page
from api.pages.login import login_form, login_page, logout_form
from api.pages.rendering import COMPRESSED
from api.passwords import IngestPasswords
from api.provider_media import provider_media_file
from api.public import preview, result
from api.refusals import HANDLERS, refuse_after_crash
from api.request_log import RequestLog
from api.sessions import end_session, me, session_list
from api.state import Services
from api.waiting import Waiting
from photochanger import keys
from photochanger.admins import Accounts
from photochanger.db import Database
from photochanger.media import Media
from photochanger.providers import Providers
from photochanger.sessions import Tokens
from photochanger.settings import Settings

log = structlog.get_logger()

ROUTES = [
    # booths
    Route("/ingest/{slot_id:path}", ingest, methods=["POST"]),
    Route("/api/ingest/{slot_id:path}", ingest, methods=["POST"]),
    # whoever knows the id
    Route("/api/jobs/{job_id}", job, methods=["GET"]),
    Route("/public/results/{job_id}", result, methods=["GET"]),
    Route("/public/results/{job_id}/preview", preview, methods=["GET"]),
    Route("/public/provider-media/{media_id}", provider_media_file, methods=["GET"]),
    # administrators: login and sessions
    Route("/api/login", login, methods=["POST"]),
    Route("/api/logout", logout, methods=["POST"]),
    Route("/api/me", me, methods=["GET"]),
    Route("/api/sessions", session_list, methods=["GET"]),
    Route("/api/sessions/{session_id}", end_session, methods=["DELETE"]),
    # administrators: slots and settings
    # administrators: media
    # administrators: jobs
    # administrators: figures
    # pages
    Route("/login", login_page, methods=["GET"], middleware=COMPRESSED),
    Route("/login", login_form, methods=["POST"]),
    Route("/logout", logout_form, methods=["POST"]),
    Route("/", dashboard, methods=["GET"], middleware=COMPRESSED),
    Route("/console/health", console_health, methods=["GET"]),
    Route("/console/slots/{slot_id}/code", slot_code, methods=["GET"]),
    Route("/public/slots/{slot_id}", gallery_page, methods=["GET"], middleware=COMPRESSED),
    # operation
    Route("/api/openapi.json", openapi, methods=["GET"]),
    Route("/api/docs", docs, methods=["GET"]),
    Route("/livez", livez, methods=["GET"]),
    Route("/healthz", healthz, methods=["GET"]),
]
STATIC = Route("/static/{release}/{path:path}", static_file, methods=["GET"])
"""Styles and scripts of the pages: open to all, and no part of the contract."""


def build_app(settings: Settings, providers: Providers, *, database_url: str) -> Starlette:
    """The application of one process. Nothing is opened before its lifespan starts."""
    tokens = Tokens(keys.signing_key(settings))
    accounts = Accounts(settings)
    accounts.current()  # a file that cannot be used stops the process here

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        media = Media(settings.media_root)
        media.create_folders()
        passwords, admin_passwords = IngestPasswords(), AdminPasswords(accounts)
        async with Database(database_url) as db, Database(database_url, connections=1) as health_db:
            waiting = Waiting(db, tick_seconds=settings.job_poll_seconds)
            app.state.services = Services(
                settings=settings,
                db=db,
                health_db=health_db,
                media=media,
                providers=providers,
                waiting=waiting,
                passwords=passwords,
                admin_passwords=admin_passwords,
                tokens=tokens,
            )
            ticking = asyncio.create_task(waiting.run())
            ticking.add_done_callback(_end_process_after_crash)
            try:
                yield
            finally:
                ticking.cancel()
                with suppress(asyncio.CancelledError):
                    await ticking
                passwords.close()
                admin_passwords.close()

    return Starlette(
        routes=[*ROUTES, STATIC],
        lifespan=lifespan,
        middleware=[
            Middleware(RequestLog, answer_crash=refuse_after_crash),
            Middleware(KnownHosts, names=own_names(settings)),
        ],
        exception_handlers=HANDLERS,
    )


def _end_process_after_crash(task: asyncio.Task[None]) -> None:
    """Without its ticks no request would learn of its picture: the supervisor starts a process that ticks."""
    if not task.cancelled() and task.exception() is not None:
        log.error("waiting_crashed", exc_info=task.exception())
        signal.raise_signal(signal.SIGTERM)
