"""What is in force for each provider now: its key (the database's before the environment's) and its limits of calls.

Where simulators run, they stand in for all providers as long as none has a key, and for none from then on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.fernet import MultiFernet
from sqlalchemy import LargeBinary, cast, literal_column, null, select, union_all
from sqlalchemy.dialects.postgresql import JSONB

from photochanger import app_settings, keys, migrate, secret_store
from photochanger.db import UNAVAILABLE, Database
from photochanger.errors import ConfigurationError
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
    simulated: bool
    """Whether simulators are asked instead of the providers."""


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
        simulated=settings.simulators_url is not None and not known and not unreadable,
    )


async def limits_in_force(conn: Connection, providers: Providers) -> Mapping[str, CallLimits]:
    """Those of providers.json, where an administrator has set no others."""
    return _limits(await _ROWS.rows(conn, {}), providers)


async def load_once(settings: Settings, providers: Providers, *, database_url: str | None) -> ProviderOrders:
    """For a command. Without a database of this release that answers, the environment's keys are all that is known."""
    box = keys.secrets_box_if_any(settings)
    try:
        if database_url is not None:
            migrate.check_schema(database_url)
            async with Database(database_url, connections=1) as db, db.direct() as conn:
                return await load(conn, settings, providers, box=box)
        why: tuple[str, ...] = ()
    except UNAVAILABLE as error:
        why = (f"the database cannot be reached ({type(error).__name__})",)
    except ConfigurationError as error:
        why = tuple(error.mistakes)
    limits = {one.name: one.limits for one in providers.by_name.values()}
    return ProviderOrders(keys=settings.provider_keys, limits=limits, unreadable=why, simulated=False)


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
