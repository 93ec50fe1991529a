"""The rows that administrators write: slots, settings, secrets; and who is logged in."""

from sqlalchemy import Boolean, Column, Integer, LargeBinary, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from photochanger.tables.columns import MOMENT, HexId, metadata

slot = Table(
    "slot",
    metadata,
    Column("slot_id", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("settings", JSONB, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("size_limit_mb", SmallInteger, nullable=False),
    Column("sync_response_seconds", SmallInteger),
    Column("ingest_password_hash", Text),
    Column("version", Integer, nullable=False),
    Column("updated_at", MOMENT, nullable=False),
    Column("updated_by", Text, nullable=False),
    Column("fallback", JSONB),
)

slot_template = Table(
    "slot_template",
    metadata,
    Column("slot_id", Text, primary_key=True),
    Column("role", Text, primary_key=True),
    Column("media_object_id", HexId, nullable=False),
)

slot_version = Table(
    "slot_version",
    metadata,
    Column("slot_id", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("saved_at", MOMENT, nullable=False),
    Column("saved_by", Text, nullable=False),
    Column("document", JSONB, nullable=False),
)

app_settings = Table(
    "app_settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", JSONB, nullable=False),
    Column("updated_at", MOMENT, nullable=False),
    Column("updated_by", Text, nullable=False),
)

secret = Table(
    "secret",
    metadata,
    Column("name", Text, primary_key=True),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("last_four", Text, nullable=False),
    Column("updated_at", MOMENT, nullable=False),
    Column("updated_by", Text, nullable=False),
)

provider_check = Table(
    "provider_check",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("requested_at", MOMENT),
    Column("checked_at", MOMENT),
    Column("good", Boolean),
    Column("sentence", Text),
    Column("taken_at", MOMENT),
)

session = Table(
    "session",
    metadata,
    Column("session_id", LargeBinary, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("last_seen_at", MOMENT, nullable=False),
    Column("revoked_at", MOMENT),
    Column("address", Text),
    Column("user_agent", Text),
)

login_failure = Table(
    "login_failure",
    metadata,
    Column("at", MOMENT, nullable=False),
    Column("account", Text, nullable=False),
    Column("address", Text, nullable=False),
)
