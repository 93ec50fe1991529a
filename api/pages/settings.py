"""`/settings`: what counts for all slots: passwords, deadline, providers' keys and limits, storage, sessions."""

import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from api.access import administrators, session_of
from api.bodies import form_fields
from api.login import clear_session_cookie
from api.pages import mistakes
from api.pages.fields import value_of
from api.pages.language import language_of, marked, words
from api.pages.rendering import is_part, page
from api.sessions import PUBLIC_ID
from api.settings import change
from api.state import services
from photochanger import app_settings, audit, provider_checks, purges, secret_store, sessions, storage_figures
from photochanger.db import moment_now
from photochanger.errors import Failure, Refusal
from photochanger.setting_rules import LIMITS, PLAIN

SAVED = marked("Saved")
KEY_SAVED, KEY_REMOVED = marked("The key is stored"), marked("The key is removed")
PASSWORD_SAVED = marked("The new password counts from now on")
ASKED = marked("A runner asks the provider")
PURGE_ASKED = marked("The cleanup is planned: only expired results will be removed")
SESSION_ENDED = marked("The session has ended")
EVENTS = {
    "slot_saved": marked("saved the slot"),
    "slot_restored": marked("restored a version of the slot"),
    "slot_copied": marked("copied a slot's settings"),
    "setting_changed": marked("changed a setting"),
    "ingest_password_rotated": marked("changed the ingest password"),
    "provider_key_stored": marked("stored a provider's key"),
    "provider_key_removed": marked("removed a provider's key"),
    "provider_check_requested": marked("had a provider's key checked"),
    "purge_requested": marked("asked for a cleanup"),
    "template_registered": marked("added a template picture"),
    "template_deleted": marked("deleted a template picture"),
    "upload_registered": marked("uploaded a picture"),
    "result_deleted": marked("deleted a result"),
    "session_ended": marked("ended a session"),
    "secrets_rotated": marked("encrypted the secrets anew"),
    "auth.login.success": marked("logged in"),
    "auth.login.failure": marked("failed to log in"),
    "logged_out": marked("logged out"),
}
SHOWN_LINES = 30
PROVIDER = re.compile(r"[a-z][a-z0-9_]{0,63}")


@administrators
async def settings_page(request: Request) -> Response:
    """The page; to htmx what may have changed meanwhile."""
    return await _page(request)


@administrators
async def save_settings_form(request: Request) -> Response:
    """The deadline, the limits and the like."""
    given = await form_fields(request)
    body: dict[str, Any] = {name: value_of(given[name], plain.schema) for name, plain in PLAIN.items() if name in given}
    limits: dict[str, dict[str, Any]] = {}
    for name in services(request).providers.by_name:
        for limit in LIMITS:
            text = given.get(f"provider_limits.{name}.{limit}")
            if text is not None:
                value = value_of(text, {"type": "integer"}) if text.strip() else None
                limits.setdefault(name, {})[limit] = value
    return await _changed(request, {**body, **({"provider_limits": limits} if limits else {})}, said=SAVED, given=given)


@administrators
async def password_form(request: Request) -> Response:
    """A new ingest password: a given one, or one that is made here and shown once."""
    given = await form_fields(request)
    made = {"generate": True} if given.get("generate") == "1" else given.get("ingest_password", "")
    return await _changed(request, {"ingest_password": made}, said=PASSWORD_SAVED)


@administrators
async def key_form(request: Request) -> Response:
    """Store a provider's key, or remove it."""
    given, provider = await form_fields(request), _provider(request)
    if given.get("remove") == "1":
        return await _changed(request, {"provider_keys": {provider: None}}, said=KEY_REMOVED)
    return await _changed(request, {"provider_keys": {provider: given.get("key", "").strip()}}, said=KEY_SAVED)


@administrators
async def check_key_form(request: Request) -> Response:
    """Have a runner ask the provider whether the key is good."""
    provider, by = _provider(request), session_of(request).account
    async with services(request).db.begin() as conn:
        await provider_checks.request(conn, provider)
        await audit.record(conn, "provider_check_requested", actor=by, provider=provider)
    return await _page(request, said=ASKED)


@administrators
async def purge_form(request: Request) -> Response:
    """Have the cleanup daemon remove what has expired, now."""
    by = session_of(request).account
    async with services(request).db.begin() as conn:
        purge_id = await purges.request(conn, slot_id=None, by=by)
        await audit.record(conn, "purge_requested", actor=by, purge=purge_id, slot=None)
    return await _page(request, said=PURGE_ASKED)


@administrators
async def end_session_form(request: Request) -> Response:
    """End a session, whose ever it is."""
    public_id, asking = request.path_params["session_id"], session_of(request)
    if not PUBLIC_ID.fullmatch(public_id):
        raise Refusal(Failure.NOT_FOUND)
    async with services(request).db.begin() as conn:
        account = await sessions.end_by_public_id(conn, public_id)
        if account is not None:
            await audit.record(conn, "session_ended", actor=asking.account, account=account, session=public_id)
    if public_id == asking.public_id:
        response = Response(status_code=204, headers={"HX-Redirect": "/login"})
        clear_session_cookie(response, request)
        return response
    return await _page(request, said=SESSION_ENDED)


def _provider(request: Request) -> str:
    provider: str = request.path_params["provider"]
    if provider not in services(request).providers.by_name:
        raise Refusal(Failure.NOT_FOUND)
    return provider


async def _changed(
    request: Request, body: Mapping[str, Any], *, said: str, given: Mapping[str, str] | None = None
) -> Response:
    try:
        made = await change(services(request), body, by=session_of(request).account)
    except Refusal as refusal:
        if refusal.failure is not Failure.VALIDATION_FAILED:
            raise
        return await _page(request, wrong=refusal.facts["fields"], given=given)
    return await _page(request, said=said, made=made.get("ingest_password"))


async def _page(
    request: Request,
    *,
    said: str | None = None,
    made: str | None = None,
    wrong: Mapping[str, str] | None = None,
    given: Mapping[str, str] | None = None,
) -> Response:
    here, language = services(request), language_of(request)
    async with here.db.begin() as conn:
        now = await app_settings.load(conn, result_ttl_hours=here.settings.result_ttl_hours)
        stored = await secret_store.stored(conn)
        checks = await provider_checks.latest(conn)
        storage = {figure.name: figure for figure in await storage_figures.latest(conn)}
        waiting, last = await purges.waiting(conn), await purges.last_finished(conn)
        open_sessions = await sessions.open_sessions(conn)
        lines = await audit.latest(conn, limit=SHOWN_LINES)
        moment = await moment_now(conn)
    keys = [
        {
            "provider": provider,
            "stored": stored.get(secret_store.provider_key(name)),
            "from_environment": here.settings.provider_key(name) is not None,
            "check": checks.get(name),
            "limits": now.provider_limits.get(name, {}),
        }
        for name, provider in here.providers.by_name.items()
    ]
    shown = words(language).ugettext(said) if said else None
    return page(
        request,
        "settings_part.html" if is_part(request) else "settings.html",
        now=moment,
        headers={"HX-Trigger": json.dumps({"toast": {"text": shown}})} if shown else None,
        settings=now,
        plain={name: (given or {}).get(name, getattr(now, one.attribute)) for name, one in PLAIN.items()},
        given=given or {},
        keys=keys,
        limit_names=LIMITS,
        storage=storage,
        purge_waiting=bool(waiting),
        last_purge=last,
        sessions=open_sessions,
        lines=lines,
        events=EVENTS,
        made=made,
        wrong=mistakes.told(wrong or {}, language=language),
    )
