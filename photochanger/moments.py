"""Moments as programs read them."""

from datetime import UTC, datetime
from typing import Literal


def written(moment: datetime, *, down_to: Literal["seconds", "milliseconds", "microseconds"] = "milliseconds") -> str:
    """RFC 3339 in UTC, what is finer cut off: `2026-11-05T18:00:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec=down_to).replace("+00:00", "Z")
