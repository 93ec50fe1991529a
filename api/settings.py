"""The settings as administrators see and save them, and the check of a provider's key."""

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.access import administrators, session_of
from api.bodies import json_object, moment
from api.slots import NO_STORE
from api.state import Services, services
from photochanger import app_settings, audit, provider_checks, secret_store, setting_changes, setting_rules, slot_rules
from photochanger.app_settings import AppSettings
from photochanger.errors import Failure, Refusal
from photochanger.provider_checks import ProviderCheck
from photochanger.secret_store import StoredSecret
from photochanger.setting_rules import LIMITS, PLAIN

GENERATED_BYTES = 12


@administrators
async def settings_now(request: Request) -> JSONResponse:
    """`GET /api/settings`."""
    here = services(request)
    async with here.db.begin() as conn:
        return JSONResponse(await _body(here, conn), headers=NO_STORE)


@administrators
async def save_settings(request: Request) -> JSONResponse:
    """`PUT /api/settings`: what the body names, all of it or nothing. A password that is made here is told once."""
    here, by = services(request), session_of(request).account
    body = await json_object(request, not_numbers=True)
    made = await change(here, body, by=by)
    async with here.db.begin() as conn:
        return JSONResponse({**await _body(here, conn), **made}, headers=NO_STORE)


async def change(
    here: Services, body: Mapping[str, Any], *, by: str, unless: Callable[[AppSettings], None] | None = None
) -> dict[str, str]:
    """Make the changes that the body names, all or none; `ingest_password`, if one was made. Raises `Refusal`.

    `unless` looks at what stands once nobody else can change it, and may raise instead.
    """
    wrong = setting_rules.mistakes(body, here.providers)
    slot_rules.refuse(wrong or _unsealable(here, body))
    password, made = body.get("ingest_password"), {}
    if isinstance(password, dict):
        password = secrets.token_urlsafe(GENERATED_BYTES)
        made = {"ingest_password": password}
    password_hash = None if password is None else await here.passwords.hashed(password)
    async with here.db.begin() as conn:
        before = await setting_changes.begin(conn, result_ttl_hours=here.settings.result_ttl_hours)
        if unless is not None:
            unless(before)
        await setting_changes.apply(conn, body, before, password_hash=password_hash, box=here.secrets_box, by=by)
    return made


def _unsealable(here: Services, body: Mapping[str, Any]) -> dict[str, str]:
    """Without SECRETS_KEY a key cannot be stored. All else works: the environment may have the keys."""
    if here.secrets_box is not None:
        return {}
    told = "There is no SECRETS_KEY to encrypt it with: `photochanger keys` makes one."
    return {f"provider_keys.{name}": told for name, key in body.get("provider_keys", {}).items() if key is not None}


@administrators
async def check_provider_key(request: Request) -> JSONResponse:
    """`POST /api/settings/provider-keys/{provider}/check`: a runner asks the provider; `GET /api/settings` has it."""
    here, by = services(request), session_of(request).account
    provider = request.path_params["provider"]
    if provider not in here.providers.by_name:
        raise Refusal(Failure.NOT_FOUND, "There is no such provider.")
    async with here.db.begin() as conn:
        await provider_checks.request(conn, provider)
        await audit.record(conn, "provider_check_requested", actor=by, provider=provider)
        asked = (await provider_checks.latest(conn))[provider]
    return JSONResponse({"check": _check(asked)}, 202, headers=NO_STORE)


async def _body(here: Services, conn: AsyncConnection) -> dict[str, Any]:
    now = await app_settings.load(conn, result_ttl_hours=here.settings.result_ttl_hours)
    stored = await secret_store.stored(conn)
    checks = await provider_checks.latest(conn)
    changes = [
        *(await app_settings.last_changes(conn)).values(),
        *((one.updated_at, one.updated_by) for one in stored.values()),
    ]
    changed_at, changed_by = max(changes, default=(None, None))
    return {
        **{name: getattr(now, plain.attribute) for name, plain in PLAIN.items()},
        "ingest_password_configured": now.ingest_password_hash is not None,
        "ingest_password_rotated_at": moment(now.ingest_password_rotated_at),
        "ingest_password_rotated_by": now.ingest_password_rotated_by,
        "ingest_previous_password_until": moment(now.ingest_previous_password_until),
        "provider_keys": {
            name: {
                **_key(here.settings.provider_key(name), stored.get(secret_store.provider_key(name))),
                "check": _check(checks[name]) if name in checks else None,
            }
            for name in here.providers.by_name
        },
        "provider_limits": {
            name: {limit: now.provider_limits.get(name, {}).get(limit) for limit in LIMITS}
            for name in here.providers.by_name
        },
        "updated_at": moment(changed_at),
        "updated_by": changed_by,
    }


def _key(from_environment: str | None, stored: StoredSecret | None) -> dict[str, Any]:
    """What may be known of a provider's key. The database's beats the environment's."""
    last_four = stored.last_four if stored else secret_store.last_four(from_environment or "")
    return {
        "configured": stored is not None or from_environment is not None,
        "source": "database" if stored else "environment" if from_environment else None,
        "updated_at": moment(stored.updated_at) if stored else None,
        "updated_by": stored.updated_by if stored else None,
        "last_four": last_four or None,
    }


def _check(check: ProviderCheck) -> dict[str, Any]:
    return {
        "requested_at": moment(check.requested_at),
        "checked_at": moment(check.checked_at),
        "good": check.good,
        "failure_reason": check.failure.code if check.failure else None,
        "sentence": check.sentence,
    }
