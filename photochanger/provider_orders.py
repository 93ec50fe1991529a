"""What is in force for each provider now: its key (the database's before the environment's) and its limits of calls.

Without any key simulators may stand in for all providers (SIMULATORS_URL, which `photochanger up` sets). With the first
key they stand aside at once, for all of them: no guest gets a simulated picture beside real ones.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from cryptography.fernet import MultiFernet
from sqlalchemy import LargeBinary, cast, literal_column, null, select, union_all
from sqlalchemy.dialects.postgresql import JSONB

from photochanger import app_settings, keys, secret_store
from photochanger.db import UNAVAILABLE, Database
from photochanger.prepared import Connection, Prepared
from photochanger.providers import CallLimits, Providers
from photochanger.secret_store import UnreadableSecretError
from photochanger.settings import Settings
from photochanger.tables import app_settings as settings_table
from photochanger.tables import secret


@dataclass(frozen=True, kw_only=True)
class ProviderOrders:
    """Of all providers, by name."""

    keys: Mapping[str, str] = field(repr=False)
    """Without those that have none."""
    limits: Mapping[str, CallLimits]
    unreadable: tuple[str, ...]
    """Why keys in the database cannot be read. Such a provider has none: the environment's may be another account's."""
    base_urls: Mapping[str, str]
    simulated: bool = False
    """Simulators stand in: the keys are theirs."""


SIMULATOR_KEY = "simulator-key"
_OURS = "provider.%"
_ROWS = Prepared(
    union_all(
        select(settings_table.c.name, settings_table.c.value, cast(null(), LargeBinary).label("ciphertext")).where(
            settings_table.c.name.like(literal_column(f"'{_OURS}'"))
        ),
        select(secret.c.name, cast(null(), JSONB), secret.c.ciphertext).where(
            secret.c.name.like(literal_column(f"'{_OURS}'"))
        ),
    )
)


async def load(
    conn: Connection, settings: Settings, providers: Providers, *, box: MultiFernet | None
) -> ProviderOrders:
    """As they are now, in one statement."""
    rows = await _ROWS.rows(conn, {})
    sealed: dict[str, bytes] = {row["name"]: row["ciphertext"] for row in rows if row["ciphertext"] is not None}
    if settings.simulators_url is not None and not sealed and not settings.provider_keys:
        return _stand_ins(settings.simulators_url, providers, limits=_limits(rows, providers))
    known, unreadable = {}, []
    for provider in providers.by_name:
        name = secret_store.provider_key(provider)
        try:
            key = _opened(box, name, sealed[name]) if name in sealed else settings.provider_key(provider)
        except UnreadableSecretError as error:
            unreadable.append(str(error))
            continue
        if key is not None:
            known[provider] = key
    return ProviderOrders(
        keys=known,
        limits=_limits(rows, providers),
        unreadable=tuple(unreadable),
        base_urls=_base_urls(settings, providers),
    )


def _stand_ins(url: str, providers: Providers, *, limits: Mapping[str, CallLimits]) -> ProviderOrders:
    return ProviderOrders(
        keys=dict.fromkeys(providers.by_name, SIMULATOR_KEY),
        limits=limits,
        unreadable=(),
        base_urls={name: f"{url}/{name}" for name in providers.by_name},
        simulated=True,
    )


def _base_urls(settings: Settings, providers: Providers) -> dict[str, str]:
    return {name: settings.provider_base_url(name) or one.base_url for name, one in providers.by_name.items()}


async def limits_in_force(conn: Connection, providers: Providers) -> Mapping[str, CallLimits]:
    """Those of providers.json, where an administrator has set no others."""
    return _limits(await _ROWS.rows(conn, {}), providers)


async def load_once(settings: Settings, providers: Providers, *, database_url: str | None) -> ProviderOrders:
    """For a command. Without a database, or while it is away, the environment's keys are all that is known."""
    try:
        if database_url is not None:
            box = keys.secrets_box_if_any(settings)
            async with Database(database_url, connections=1) as db, db.direct() as conn:
                return await load(conn, settings, providers, box=box)
        why: tuple[str, ...] = ()
    except UNAVAILABLE as error:
        why = (f"the database cannot be reached ({type(error).__name__})",)
    except psycopg.errors.UndefinedTable:
        why = ("the database has another release's schema: see `photochanger check`",)
    limits = {one.name: one.limits for one in providers.by_name.values()}
    base_urls = _base_urls(settings, providers)
    return ProviderOrders(keys=settings.provider_keys, limits=limits, unreadable=why, base_urls=base_urls)


def _limits(rows: Iterable[Mapping[str, Any]], providers: Providers) -> dict[str, CallLimits]:
    limits = {one.name: one.limits for one in providers.by_name.values()}
    for row in rows:
        found = app_settings.PROVIDER_LIMIT.fullmatch(row["name"])
        if found and found[1] in limits:
            limits[found[1]] = replace(limits[found[1]], **{found[2]: row["value"]})
    return limits


def _opened(box: MultiFernet | None, name: str, ciphertext: bytes) -> str:
    if box is None:
        raise UnreadableSecretError(f"{name} is encrypted, and there is no SECRETS_KEY")
    return secret_store.opened(box, name, ciphertext)
