"""What every simulator stands on: the scenarios it plays, the journal it writes, the counts it keeps.

Stage ── Scenarios   what to answer
      ├─ Journal     what was asked, of all simulators: never a key, never a picture
      └─ Gauge       how many requests, how many at once, how many a real provider would have charged for
"""

import hashlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from simulators.scenarios import Scenarios

MAX_KEPT = 10_000


class Journal:
    """The requests and the violations of their protocols, the newest last. Only the newest 10,000 of each are kept."""

    def __init__(self) -> None:
        self.requests: deque[dict[str, Any]] = deque(maxlen=MAX_KEPT)
        self.violations: deque[dict[str, Any]] = deque(maxlen=MAX_KEPT)
        self._numbers = 0

    def open(self, *, provider: str, method: str, path: str, key: str | None) -> dict[str, Any]:
        """A new entry, for the simulator to add to while it answers."""
        self._numbers += 1
        entry: dict[str, Any] = {
            "number": self._numbers,
            "provider": provider,
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "method": method,
            "path": path,
            "key": None if key is None else mask(key),
        }
        self.requests.append(entry)
        return entry

    def violation(self, entry: dict[str, Any], message: str) -> None:
        """Note that this request broke its protocol."""
        self.violations.append({name: entry[name] for name in ("number", "provider", "method", "path")})
        self.violations[-1]["message"] = message


@dataclass(kw_only=True)
class Gauge:
    """Counts of the requests that ask for a picture."""

    total: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    billed: int = 0

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count a request in, and out again when it is over."""
        self.total += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            yield
        finally:
            self.in_flight -= 1

    def as_json(self) -> dict[str, int]:
        """For `GET /__emu/gemini/stats`."""
        return {
            "requests": self.total,
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "billed": self.billed,
        }


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One simulator's own."""

    provider: str
    scenarios: Scenarios
    journal: Journal
    gauge: Gauge = field(default_factory=Gauge)


def mask(key: str) -> str:
    """A key as it may be written down: its last four characters tell keys apart."""
    return f"****{key[-4:]}" if len(key) >= 8 else "****"


def picture_facts(data: bytes, *, mime: str, width: int, height: int) -> dict[str, Any]:
    """A picture as it may be written down."""
    digest = hashlib.sha256(data).hexdigest()
    return {"mime": mime, "bytes": len(data), "sha256": digest, "width": width, "height": height}
