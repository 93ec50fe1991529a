"""The application: its route table, its lifespan, its one family of refusals."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from api.admin_passwords import AdminPasswords
from api.contract import openapi
from api.docs import docs
from api.endings import Unattended
from api.health import healthz, livez
from api.hosts import KnownHosts, own_names
from api.ingest import ingest
from api.job_detail import detail
from api.job_log import jobs
from api.jobs import job
from api.login import login, logout
from api.media_cache import cache, clean_slot, purge_cache
from api.media_upload import register_media
from api.metrics import metrics_text
from api.pages.assets import static_file
from api.pages.console import console_health, slot_code, test_outcome
from api.pages.dashboard import dashboard, switch_slot
from api.pages.guests import gallery, result
from api.pages.jobs import job_page, job_photo
from api.pages.log import log_page, newer_photos
from api.pages.login import login_form, login_page, logout_form
from api.pages.rendering import COMPRESSED
from api.pages.settings import (
    check_key_form,
    end_other_sessions_form,
    end_session_form,
    key_form,
    password_form,
    purge_form,
    save_settings_form,
    settings_news,
    settings_page,
)
from api.pages.slot import restore_slot, save_slot_form, slot_form, slot_page, slot_payload
from api.pages.slot_copy import copy_slot_form
from api.pages.statistics import statistics_page
from api.passwords import IngestPasswords
from api.provider_media import provider_media_file
from api.public import preview
from api.refusals import HANDLERS, refuse_after_crash
from api.replays import replay
from api.request_log import RequestLog
from api.result_deletion import delete_result
from api.row_figures import RowFigures
from api.sent import SentAnswers, TellSent
from api.sessions import end_session, me, session_list
from api.settings import check_provider_key, save_settings, settings_now
from api.slot_versions import copy_slot, restore_version, version_list
from api.slots import provider_list, save_slot, slot, slot_list
from api.state import Services
from api.stats import global_stats, overview, slot_stats
from api.stats_export import export
from api.template_media import (
    delete_template,
    register_template,
    template_file,
    template_list,
    template_preview,
)
from api.test_run import test_run
from api.throttle import Throttle
from api.turns import Turns
from api.waiting import Waiting
from photochanger import keys, media_root, metrics, migrate
from photochanger.admins import Accounts
from photochanger.db import Database
from photochanger.images import Pictures
from photochanger.providers import Providers
from photochanger.sessions import Tokens
from photochanger.settings import Settings

log = structlog.get_logger()

TOLD_WHEN_SENT = [Middleware(TellSent)]
ROUTES = [
    # booths
    Route("/ingest/{slot_id:path}", ingest, methods=["POST"], middleware=TOLD_WHEN_SENT),
    Route("/api/ingest/{slot_id:path}", ingest, methods=["POST"], middleware=TOLD_WHEN_SENT),
    # whoever knows the id
    Route("/api/jobs/{job_id}", job, methods=["GET"]),
    Route("/public/results/{job_id}", result, methods=["GET"]),
    Route("/public/results/{job_id}/preview", preview, methods=["GET"]),
    Route("/public/slots/{slot_id}", gallery, methods=["GET"], middleware=COMPRESSED),
    Route("/public/provider-media/{media_id}", provider_media_file, methods=["GET"]),
    # administrators: login and sessions
    Route("/api/login", login, methods=["POST"]),
    Route("/api/logout", logout, methods=["POST"]),
    Route("/api/me", me, methods=["GET"]),
    Route("/api/sessions", session_list, methods=["GET"]),
    Route("/api/sessions/{session_id}", end_session, methods=["DELETE"]),
    # administrators: slots and settings
    Route("/api/providers", provider_list, methods=["GET"]),
    Route("/api/slots", slot_list, methods=["GET"]),
    Route("/api/slots/{slot_id}", slot, methods=["GET"]),
    Route("/api/slots/{slot_id}", save_slot, methods=["PUT"]),
    Route("/api/slots/{slot_id}/versions", version_list, methods=["GET"]),
    Route("/api/slots/{slot_id}/versions/{version}/restore", restore_version, methods=["POST"]),
    Route("/api/slots/{slot_id}/copy-to/{other}", copy_slot, methods=["POST"]),
    Route("/api/settings", settings_now, methods=["GET"]),
    Route("/api/settings", save_settings, methods=["PUT"]),
    Route("/api/settings/provider-keys/{provider}/check", check_provider_key, methods=["POST"]),
    # administrators: media
    Route("/api/template-media", template_list, methods=["GET"]),
    Route("/api/template-media/register", register_template, methods=["POST"]),
    Route("/api/template-media/{media_object_id}", template_file, methods=["GET"]),
    Route("/api/template-media/{media_object_id}", delete_template, methods=["DELETE"]),
    Route("/api/template-media/{media_object_id}/preview", template_preview, methods=["GET"]),
    Route("/api/media/register", register_media, methods=["POST"]),
    Route("/api/media/cache", cache, methods=["GET"]),
    Route("/api/media/cache/purge", purge_cache, methods=["POST"]),
    Route("/api/slots/{slot_id}/cleanup", clean_slot, methods=["POST"]),
    Route("/api/jobs/{job_id}/result", delete_result, methods=["DELETE"]),
    # administrators: jobs
    Route("/api/jobs", jobs, methods=["GET"]),
    Route("/api/jobs/{job_id}/detail", detail, methods=["GET"]),
    Route("/api/jobs/{job_id}/replay", replay, methods=["POST"]),
    Route("/api/slots/{slot_id}/test-run", test_run, methods=["POST"]),
    # administrators: figures
    Route("/api/stats/overview", overview, methods=["GET"]),
    Route("/api/stats/global", global_stats, methods=["GET"]),
    Route("/api/stats/export.csv", export, methods=["GET"]),
    Route("/api/stats/{slot_id}", slot_stats, methods=["GET"]),
    # pages
    Route("/login", login_page, methods=["GET"], middleware=COMPRESSED),
    Route("/login", login_form, methods=["POST"]),
    Route("/logout", logout_form, methods=["POST"]),
    Route("/", dashboard, methods=["GET"], middleware=COMPRESSED),
    Route("/slots/{slot_id}", slot_page, methods=["GET"], middleware=COMPRESSED),
    Route("/slots/{slot_id}", save_slot_form, methods=["POST"], middleware=COMPRESSED),
    Route("/slots/{slot_id}/form", slot_form, methods=["POST"], middleware=COMPRESSED),
    Route("/slots/{slot_id}/payload", slot_payload, methods=["POST"]),
    Route("/slots/{slot_id}/restore", restore_slot, methods=["POST"], middleware=COMPRESSED),
    Route("/slots/{slot_id}/copy", copy_slot_form, methods=["POST"], middleware=COMPRESSED),
    Route("/slots/{slot_id}/switch", switch_slot, methods=["POST"]),
    Route("/console/tests/{job_id}", test_outcome, methods=["GET"]),
    Route("/jobs", log_page, methods=["GET"], middleware=COMPRESSED),
    Route("/jobs/{job_id}", job_page, methods=["GET"], middleware=COMPRESSED),
    Route("/jobs/{job_id}/photo", job_photo, methods=["GET"]),
    Route("/statistics", statistics_page, methods=["GET"], middleware=COMPRESSED),
    Route("/settings", settings_page, methods=["GET"], middleware=COMPRESSED),
    Route("/settings", save_settings_form, methods=["POST"], middleware=COMPRESSED),
    Route("/settings/news", settings_news, methods=["GET"], middleware=COMPRESSED),
    Route("/settings/password", password_form, methods=["POST"], middleware=COMPRESSED),
    Route("/settings/keys/{provider}", key_form, methods=["POST"], middleware=COMPRESSED),
    Route("/settings/keys/{provider}/check", check_key_form, methods=["POST"], middleware=COMPRESSED),
    Route("/settings/purge", purge_form, methods=["POST"], middleware=COMPRESSED),
    Route("/settings/sessions/end-others", end_other_sessions_form, methods=["POST"], middleware=COMPRESSED),
    Route("/settings/sessions/{session_id}/end", end_session_form, methods=["POST"], middleware=COMPRESSED),
    Route("/console/health", console_health, methods=["GET"]),
    Route("/console/jobs/newer", newer_photos, methods=["GET"]),
    Route("/console/slots/{slot_id}/code", slot_code, methods=["GET"]),
    # operation
    Route("/api/openapi.json", openapi, methods=["GET"]),
    Route("/api/docs", docs, methods=["GET"]),
    Route("/livez", livez, methods=["GET"]),
    Route("/healthz", healthz, methods=["GET"]),
    Route("/metrics", metrics_text, methods=["GET"]),
]
STATIC = Route("/static/{path:path}", static_file, methods=["GET"])
"""Styles and scripts of the pages: open to all, and no part of the contract."""


def build_app(settings: Settings, providers: Providers, *, database_url: str) -> Starlette:
    """The application of one process. Nothing is opened before its lifespan starts."""
    tokens = Tokens(keys.signing_key(settings))
    secrets_box = keys.secrets_box_if_any(settings)
    accounts = Accounts(settings)
    accounts.current()  # a file that cannot be used stops the process here

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        passwords, admin_passwords = IngestPasswords(), AdminPasswords(accounts)
        metrics.announce_answers()
        health_thread = ThreadPoolExecutor(1, thread_name_prefix="health")
        async with (
            Database(database_url) as db,
            Database(database_url, connections=1) as health_db,
            Pictures(children=1) as pictures,
        ):
            media = await media_root.opened(db, settings.media_root)
            waiting = Waiting(db, tick_seconds=settings.job_poll_seconds)
            unattended, sent_answers = Unattended(db, media, waiting), SentAnswers(db)
            app.state.services = Services(
                settings=settings,
                db=db,
                health_db=health_db,
                health_thread=health_thread,
                migrations=frozenset(path.stem for path in migrate.migration_files()),
                row_figures=RowFigures(db),
                media=media,
                providers=providers,
                waiting=waiting,
                unattended=unattended,
                sent_answers=sent_answers,
                passwords=passwords,
                admin_passwords=admin_passwords,
                tokens=tokens,
                public_requests=Throttle(times=3000, seconds=60, details="Too many requests."),
                unknown_ids=Throttle(times=60, seconds=60, details="Too many requests for what does not exist."),
                turns=Turns(os.cpu_count() or 1),
                pictures=pictures,
                secrets_box=secrets_box,
            )
            ticking = asyncio.create_task(waiting.run())
            ticking.add_done_callback(_end_process_after_crash)
            try:
                yield
            finally:
                await unattended.close()
                await sent_answers.close()
                ticking.cancel()
                with suppress(asyncio.CancelledError):
                    await ticking
                passwords.close()
                admin_passwords.close()
                health_thread.shutdown(wait=False, cancel_futures=True)

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
