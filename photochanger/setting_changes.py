"""Changing settings: all of a body or nothing, one body after the other, a line in the log for each change.

Whoever reads them reads all rows in one statement: nobody sees half of a body.
"""

from collections.abc import Mapping
from typing import Any

from cryptography.fernet import MultiFernet
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import app_settings, audit, provider_checks, secret_store
from photochanger.app_settings import PASSWORD, PREVIOUS_PASSWORD, AppSettings
from photochanger.setting_rules import PLAIN

LOCK = 41_006


async def apply(
    conn: AsyncConnection,
    body: Mapping[str, Any],
    before: AppSettings,
    *,
    password_hash: str | None,
    box: MultiFernet | None,
    by: str,
) -> None:
    """Make the changes of a body without mistakes (setting_rules.py). In the transaction that `begin` has begun.

    `password_hash` is that of the body's new ingest password, `box` is needed to store a provider's key.
    """
    for name, plain in PLAIN.items():
        old = getattr(before, plain.attribute)
        if name in body and body[name] != old:
            await app_settings.store(conn, plain.row, body[name], by=by)
            await audit.record(conn, "setting_changed", actor=by, setting=name, old=old, new=body[name])
    for provider, limits in body.get("provider_limits", {}).items():
        for limit, value in limits.items():
            await _set_limit(conn, before, provider=provider, limit=limit, value=value, by=by)
    for provider, key in body.get("provider_keys", {}).items():
        await _set_key(conn, box, provider=provider, key=key, by=by)
    if password_hash is not None:
        minutes = body.get("ingest_password_grace_minutes", before.ingest_password_grace_minutes)
        await _rotate_password(conn, before, password_hash, minutes=minutes, by=by)


async def begin(conn: AsyncConnection, *, result_ttl_hours: int) -> AppSettings:
    """Wait for whoever changes settings now, until the commit; the settings as they are then."""
    await conn.execute(select(func.pg_advisory_xact_lock(LOCK)))
    return await app_settings.load(conn, result_ttl_hours=result_ttl_hours)


async def _set_limit(
    conn: AsyncConnection, before: AppSettings, *, provider: str, limit: str, value: int | None, by: str
) -> None:
    """None: what providers.json says."""
    old = before.provider_limits.get(provider, {}).get(limit)
    if value == old:
        return
    row = app_settings.provider_limit(provider, limit)
    if value is None:
        await app_settings.remove(conn, row)
    else:
        await app_settings.store(conn, row, value, by=by)
    setting = f"provider_limits.{provider}.{limit}"
    await audit.record(conn, "setting_changed", actor=by, setting=setting, old=old, new=value)


async def _set_key(conn: AsyncConnection, box: MultiFernet | None, *, provider: str, key: str | None, by: str) -> None:
    """None: the environment's, if it has one. What was known of the key before is forgotten: a runner checks anew."""
    name = secret_store.provider_key(provider)
    if key is None:
        if not await secret_store.remove(conn, name):
            return
        await audit.record(conn, "provider_key_removed", actor=by, provider=provider)
    else:
        assert box is not None
        await secret_store.store(conn, box, name, key, by=by)
        await audit.record(conn, "provider_key_stored", actor=by, provider=provider)
    await provider_checks.forget(conn, provider)


async def _rotate_password(
    conn: AsyncConnection, before: AppSettings, password_hash: str, *, minutes: int, by: str
) -> None:
    if before.ingest_password_hash is not None and minutes:
        previous = {"hash": before.ingest_password_hash, "minutes": minutes}
        await app_settings.store(conn, PREVIOUS_PASSWORD, previous, by=by)
    else:
        await app_settings.remove(conn, PREVIOUS_PASSWORD)
    await app_settings.store(conn, PASSWORD, password_hash, by=by)
    await audit.record(conn, "ingest_password_rotated", actor=by, grace_minutes=minutes)
