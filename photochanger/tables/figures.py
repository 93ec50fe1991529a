"""The rows of what is counted and watched: rolled hours, alerts, the last sweeps."""

from sqlalchemy import ARRAY, Boolean, Column, Integer, Numeric, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from photochanger.tables.columns import MOMENT, metadata

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
