"""Moments as programs read them."""

from datetime import UTC, datetime


def written(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds: `2026-11-05T18:00:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
