"""A job's words: its states, what a runner knows of one it has claimed, and what a changed picture is."""

import enum
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Text, literal_column
from sqlalchemy.sql.elements import ColumnElement

from photochanger.tables import job


class Status(enum.StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    TIMEOUT = "timeout"


class Source(enum.StrEnum):
    """Where a photo came from. Figures are kept apart by it, and only the booths' results are public in a gallery."""

    INGEST = "ingest"
    """A booth."""
    UI_TEST = "ui_test"
    """An administrator: a test run, or a job that is run again."""


def new_job_id() -> str:
    """32 hex digits: the second in the first eight, then 96 random bits, because whoever has the id has the picture.

    Jobs of one moment lie side by side in every index by it: with random ids alone a claim and a finish wrote to cold
    pages all over them, at half the rate beside a million finished jobs. Nothing reads the moment out of it again.
    """
    return f"{int(time.time()):08x}{secrets.token_hex(12)}"


OPEN = (Status.QUEUED, Status.RUNNING, Status.WAITING)
FINAL = (Status.DONE, Status.FAILED, Status.TIMEOUT)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A claimed job: what its runner needs, and what proves that the claim is still its own."""

    job_id: str
    source: str
    slot_id: str
    provider: str
    runner: str
    claim_number: int
    attempt: int
    """How many attempts (calls of a provider) were begun so far."""
    max_attempts: int
    reference: str | None
    """The provider's own name for it, once the provider has accepted it: then it is polled, not submitted."""
    polls_failed: int
    """How many polls in a row brought nothing that could be read."""
    on_fallback: bool
    """The slot's provider has failed, and its fallback has the time that is left."""
    seconds_left: float
    """Until its deadline, at the moment of the claim."""
    snapshot: Mapping[str, Any]
    photo_path: str
    waited_seconds: float = 0.0
    """How long it could have been claimed before."""

    @property
    def plan(self) -> Mapping[str, Any]:
        """Provider, operation and settings in force: the slot's, or its fallback's."""
        plan: Mapping[str, Any] = self.snapshot["fallback"] if self.on_fallback else self.snapshot
        return plan


@dataclass(frozen=True, kw_only=True)
class Result:
    """A changed picture that is safely on disk. Paths are relative to MEDIA_ROOT."""

    path: str
    preview_path: str
    mime: str
    size_bytes: int
    sha256: bytes


def status_is(*statuses: Status) -> ColumnElement[bool]:
    """The condition that a job has one of these, with the values as literals in the SQL."""
    if len(statuses) == 1:
        return job.c.status == literal(statuses[0])
    return job.c.status.in_([literal(status) for status in statuses])


def literal(status: Status) -> ColumnElement[str]:
    """A status as it stands in SQL: a prepared statement finds a partial index only by a literal."""
    return literal_column(f"'{status.value}'", Text)
