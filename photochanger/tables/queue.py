"""The rows of the queue: jobs with what came in and what was tried, the runners that hold them, and the log."""

from sqlalchemy import Boolean, Column, Integer, LargeBinary, Numeric, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from photochanger.tables.columns import MOMENT, HexId, metadata

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
