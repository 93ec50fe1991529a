"""The settings an administrator changes: one row each in `app_settings`, a default where there is none.

Nobody caches them: whoever needs one reads it in the transaction it is about to use anyway, so a change counts at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import func, select
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
    provider_budgets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What a provider's month may cost, see budgets.py; `budgets.mistakes` says what may be stored."""
    ingest_password_hash: str | None = None
    ingest_password_rotated_at: datetime | None = None
    ingest_password_rotated_by: str | None = None


_NAMES = {
    "sync_response_seconds": "sync_response_seconds",
    "result_ttl_hours": "result_ttl_hours",
    "ingest.hash_check": "hash_check",
    "ingest.photos_in_work_per_slot": "photos_in_work_per_slot",
    "providers.budgets": "provider_budgets",
    "ingest.password_hash": "ingest_password_hash",
}


_ALL = Prepared(select(app_settings))


async def load(conn: Connection, *, result_ttl_hours: int) -> AppSettings:
    """All settings as they are now; `result_ttl_hours` is the environment's, for when nobody has set one."""
    values: dict[str, Any] = {"result_ttl_hours": result_ttl_hours}
    for row in await _ALL.rows(conn, {}):
        if row["name"] in _NAMES:
            values[_NAMES[row["name"]]] = row["value"]
        if row["name"] == "ingest.password_hash":
            values["ingest_password_rotated_at"] = row["updated_at"]
            values["ingest_password_rotated_by"] = row["updated_by"]
    return AppSettings(**values)


async def store(conn: AsyncConnection, name: str, value: Any, *, by: str) -> None:
    """Set one, by its name in the table. Raises `KeyError` for a name nobody reads."""
    _ = _NAMES[name]
    statement = insert(app_settings).values(name=name, value=value, updated_by=by, updated_at=func.now())
    overwrite = {"value": statement.excluded.value, "updated_by": by, "updated_at": func.now()}
    await conn.execute(statement.on_conflict_do_update(index_elements=[app_settings.c.name], set_=overwrite))
