"""The settings an administrator changes: one row each in `app_settings`, a default where there is none.

Nobody caches them: whoever needs one reads it in the transaction it is about to use anyway, so a change counts at once.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.prepared import Connection, Prepared
from photochanger.tables import app_settings

HashCheck = Literal["reject", "warn", "off"]


@dataclass(frozen=True, kw_only=True)
class AppSettings:
    """All of them. `ingest_password_hash` is None until a password was set: then every upload is refused."""

    sync_response_seconds: int = 48
    result_ttl_hours: int = 72
    hash_check: HashCheck = "reject"
    photos_in_work_per_slot: int = 3
    gallery_size: int = 10
    """How many results a slot's public gallery shows."""
    provider_limits: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By provider: `in_flight`, `per_minute`, `per_day`, where an administrator has set another than providers.json."""
    ingest_password_grace_minutes: int = 60
    """How long the old password counts beside a new one."""
    provider_budgets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What a provider's month may cost, see budgets.py; `budgets.mistakes` says what may be stored."""
    ingest_password_hash: str | None = None
    ingest_password_rotated_at: datetime | None = None
    ingest_password_rotated_by: str | None = None
    ingest_previous_password_hash: str | None = None
    """The one before, while it still counts."""
    ingest_previous_password_until: datetime | None = None

    @property
    def ingest_password_hashes(self) -> tuple[str, ...]:
        """Those that count now, the current one first."""
        both = (self.ingest_password_hash, self.ingest_previous_password_hash)
        return tuple(kept for kept in both if kept is not None)


PASSWORD = "ingest.password_hash"  # noqa: S105 - a row's name
PREVIOUS_PASSWORD = "ingest.previous_password"  # noqa: S105
"""`{"hash": …, "minutes": …}`: counts so long from the moment its row was written."""
ATTRIBUTES = {
    "sync_response_seconds": "sync_response_seconds",
    "result_ttl_hours": "result_ttl_hours",
    "ingest.hash_check": "hash_check",
    "ingest.photos_in_work_per_slot": "photos_in_work_per_slot",
    "gallery_size": "gallery_size",
    "ingest.password_grace_minutes": "ingest_password_grace_minutes",
    PASSWORD: "ingest_password_hash",
    "providers.budgets": "provider_budgets",
}
"""Of `AppSettings`, by the row's name."""
PROVIDER_LIMIT = re.compile(r"provider\.([a-z][a-z0-9_]*)\.(in_flight|per_minute|per_day)")


def provider_limit(provider: str, limit: str) -> str:
    """The row's name."""
    return f"provider.{provider}.{limit}"


_ALL = Prepared(select(app_settings, func.now().label("now")))


async def load(conn: Connection, *, result_ttl_hours: int) -> AppSettings:
    """All settings as they are now; `result_ttl_hours` is the environment's, for when nobody has set one."""
    values: dict[str, Any] = {"result_ttl_hours": result_ttl_hours}
    limits: dict[str, dict[str, int]] = {}
    for row in await _ALL.rows(conn, {}):
        name, value = row["name"], row["value"]
        if name in ATTRIBUTES:
            values[ATTRIBUTES[name]] = value
        if name == PASSWORD:
            values["ingest_password_rotated_at"] = row["updated_at"]
            values["ingest_password_rotated_by"] = row["updated_by"]
        elif name == PREVIOUS_PASSWORD:
            until = row["updated_at"] + timedelta(minutes=value["minutes"])
            if until > row["now"]:
                values["ingest_previous_password_hash"] = value["hash"]
                values["ingest_previous_password_until"] = until
        elif found := PROVIDER_LIMIT.fullmatch(name):
            limits.setdefault(found[1], {})[found[2]] = value
    return AppSettings(**values, provider_limits=limits)


async def store(conn: AsyncConnection, name: str, value: Any, *, by: str) -> None:
    """Set one, by its name in the table. Raises `KeyError` for a name nobody reads."""
    if not _is_setting(name):
        raise KeyError(name)
    statement = insert(app_settings).values(name=name, value=value, updated_by=by, updated_at=func.now())
    overwrite = {"value": statement.excluded.value, "updated_by": by, "updated_at": func.now()}
    await conn.execute(statement.on_conflict_do_update(index_elements=[app_settings.c.name], set_=overwrite))


async def remove(conn: AsyncConnection, name: str) -> None:
    """Go back to the default."""
    await conn.execute(delete(app_settings).where(app_settings.c.name == name))


async def last_changes(conn: AsyncConnection) -> dict[str, tuple[datetime, str]]:
    """When each that an administrator sees was changed last, and by whom, by its row; the table has other rows too."""
    rows = await conn.execute(select(app_settings.c.name, app_settings.c.updated_at, app_settings.c.updated_by))
    return {row.name: (row.updated_at, row.updated_by) for row in rows if _is_setting(row.name)}


def _is_setting(name: str) -> bool:
    return name in ATTRIBUTES or name == PREVIOUS_PASSWORD or PROVIDER_LIMIT.fullmatch(name) is not None
