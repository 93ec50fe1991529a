"""The rows, as SQLAlchemy Core sees them. Without behaviour; the migrations carry constraints and indexes.

A test proves that these columns and the migrated database agree.
"""

import uuid
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP, UUID
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class HexId(TypeDecorator[str]):
    """128 random bits: 32 lower-case hex digits outside, 16 bytes in the row."""

    impl = UUID(as_uuid=True)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        """Text to the driver's UUID. Raises `ValueError` for anything else than hex digits."""
        return None if value is None else uuid.UUID(hex=value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """The driver's UUID to text."""
        return None if value is None else value.hex


MOMENT = TIMESTAMP(timezone=True)

metadata = MetaData()

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

app_settings = Table(
    "app_settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", JSONB, nullable=False),
    Column("updated_at", MOMENT, nullable=False),
    Column("updated_by", Text, nullable=False),
)

job = Table(
    "job",
    metadata,
    Column("job_id", HexId, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("slot_id", Text),
    Column("provider", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("expires_at", MOMENT, nullable=False),
    Column("start_by", MOMENT, nullable=False),
    Column("run_after", MOMENT, nullable=False),
    Column("runner", Text),
    Column("claim_number", Integer, nullable=False),
    Column("lease_until", MOMENT),
    Column("attempt", SmallInteger, nullable=False),
    Column("max_attempts", SmallInteger, nullable=False),
    Column("provider_job_reference", Text),
    Column("finished_at", MOMENT),
    Column("failure_reason", Text),
    Column("failure_details", Text),
    Column("result_path", Text),
    Column("preview_path", Text),
    Column("result_mime", Text),
    Column("result_bytes", Integer),
    Column("result_sha256", LargeBinary),
    Column("result_expires_at", MOMENT),
    Column("on_fallback", Boolean, nullable=False),
    Column("polls_failed", SmallInteger, nullable=False),
    Column("retry_after_seconds", SmallInteger),
)

job_input = Table(
    "job_input",
    metadata,
    Column("job_id", HexId, primary_key=True),
    Column("slot_id", Text),
    Column("slot_version", Integer),
    Column("snapshot", JSONB, nullable=False),
    Column("booth_fields", JSONB, nullable=False),
    Column("photo_path", Text, nullable=False),
    Column("photo_mime", Text, nullable=False),
    Column("photo_bytes", Integer, nullable=False),
    Column("photo_width", Integer, nullable=False),
    Column("photo_height", Integer, nullable=False),
    Column("photo_sha256", LargeBinary, nullable=False),
    Column("idempotency_key", Text),
    Column("created_at", MOMENT, nullable=False),
    Column("replay_of", HexId),
)

job_attempt = Table(
    "job_attempt",
    metadata,
    Column("job_id", HexId, primary_key=True),
    Column("number", SmallInteger, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("model", Text),
    Column("started_at", MOMENT, nullable=False),
    Column("finished_at", MOMENT),
    Column("outcome", Text),
    Column("http_status", SmallInteger),
    Column("request_id", Text),
    Column("usage", JSONB),
    Column("cost_usd", Numeric(10, 6)),
    Column("reason", Text),
)

processing_log = Table(
    "processing_log",
    metadata,
    Column("job_id", HexId),
    Column("at", MOMENT, nullable=False),
    Column("event", Text, nullable=False),
    Column("runner", Text),
    Column("details", JSONB),
    Column("actor", Text),
)

runner = Table(
    "runner",
    metadata,
    Column("runner", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", MOMENT, nullable=False),
    Column("lease_until", MOMENT, nullable=False),
)

slot_template = Table(
    "slot_template",
    metadata,
    Column("slot_id", Text, primary_key=True),
    Column("role", Text, primary_key=True),
    Column("media_object_id", HexId, nullable=False),
)

breaker = Table(
    "breaker",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("failures_in_row", Integer, nullable=False),
    Column("open_until", MOMENT),
    Column("probe_until", MOMENT),
    Column("changed_at", MOMENT, nullable=False),
)

media_object = Table(
    "media_object",
    metadata,
    Column("media_object_id", HexId, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("job_id", HexId),
    Column("path", Text),
    Column("mime", Text, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("expires_at", MOMENT),
    Column("cleaned_at", MOMENT),
    Column("title", Text),
    Column("width", Integer),
    Column("height", Integer),
    Column("created_by", Text),
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

slot_version = Table(
    "slot_version",
    metadata,
    Column("slot_id", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("saved_at", MOMENT, nullable=False),
    Column("saved_by", Text, nullable=False),
    Column("document", JSONB, nullable=False),
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

purge = Table(
    "purge",
    metadata,
    Column("purge_id", BigInteger, primary_key=True),
    Column("slot_id", Text),
    Column("requested_at", MOMENT, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("finished_at", MOMENT),
    Column("files", Integer),
    Column("bytes", BigInteger),
)

storage_figure = Table(
    "storage_figure",
    metadata,
    Column("name", Text, primary_key=True),
    Column("files", Integer),
    Column("bytes", BigInteger, nullable=False),
    Column("measured_at", MOMENT, nullable=False),
)

hourly_figure = Table(
    "hourly_figure",
    metadata,
    Column("hour", MOMENT, primary_key=True),
    Column("slot_id", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("provider", Text, primary_key=True),
    Column("jobs", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("timeouts", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("provider_errors", Integer, nullable=False),
    Column("reasons", JSONB, nullable=False),
    Column("seconds_histogram", ARRAY(Integer), nullable=False),
)

hourly_attempts = Table(
    "hourly_attempts",
    metadata,
    Column("hour", MOMENT, primary_key=True),
    Column("slot_id", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("provider", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("cost_usd", Numeric(14, 6), nullable=False),
    Column("seconds_histogram", ARRAY(Integer), nullable=False),
)

hourly_watermark = Table(
    "hourly_watermark",
    metadata,
    Column("single", Boolean, primary_key=True),
    Column("rolled_until", MOMENT, nullable=False),
)

alert = Table(
    "alert",
    metadata,
    Column("name", Text, primary_key=True),
    Column("since", MOMENT, nullable=False),
    Column("told_at", MOMENT),
    Column("times_seen", Integer, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("seen_at", MOMENT, nullable=False),
)

sweep_run = Table(
    "sweep_run",
    metadata,
    Column("name", Text, primary_key=True),
    Column("finished_at", MOMENT, nullable=False),
    Column("count", Integer, nullable=False),
)
