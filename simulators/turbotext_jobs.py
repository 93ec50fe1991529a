"""Turbotext's queue: the jobs it has taken, each with the picture it will give out.

create_queue ──> working ──(reconnects, or seconds)──> ready ──get_result──> finished: its picture can be downloaded
"""

import asyncio
import itertools
import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from simulators.scenarios import Behaviour
from simulators.stage import Gauge
from simulators.turbotext_pictures import Made
from simulators.turbotext_request import Asked

FIRST_QUEUEID = 918_273
MAX_JOBS = 10_000
MAX_PICTURES = 1_000
POLL_TOLERANCE_SECONDS = 0.05
EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png"}


@dataclass(kw_only=True)
class Job:
    """One job, and how far it and its client have come."""

    queueid: int
    key: str
    asked: Asked
    behaviour: Behaviour
    made: Made | None
    """None when so many came after it that its picture was forgotten."""
    name: str
    """Of the picture's file."""
    created_at: float
    """By the event loop's clock, like the other times."""
    polls: int = 0
    polled_at: float | None = None
    wrong_answers: int = 0
    """How often the scenario's answer was given instead of the right one."""
    finished_at: float | None = None
    missed_downloads: int = 0
    key_demanded: bool = False
    """Whether a download was refused for want of a key."""

    def poll(self, now: float) -> bool:
        """Count a poll in. False when it comes too soon after the one before."""
        least_seconds: float = self.behaviour.parameters["least_poll_seconds"] - POLL_TOLERANCE_SECONDS
        too_soon = self.finished_at is None and self.polled_at is not None and now - self.polled_at < least_seconds
        self.polls += 1
        self.polled_at = now
        return not too_soon

    def is_ready(self, now: float) -> bool:
        """Whether this poll gets more than a reconnect."""
        seconds = self.behaviour.parameters["seconds"]
        if seconds is not None:
            return bool(now >= self.created_at + seconds)
        return bool(self.polls > self.behaviour.parameters["reconnects"])

    def is_forgotten(self, now: float) -> bool:
        """Whether its picture's lifetime is over."""
        lifetime = self.behaviour.parameters["lifetime_seconds"]
        past = lifetime is not None and self.finished_at is not None and now >= self.finished_at + lifetime
        return past or self.made is None


@dataclass(kw_only=True)
class QueueGauge(Gauge):
    """Counts of the queue as well: jobs that have no final answer yet, polls and downloads."""

    polls: int = 0
    downloads: int = 0
    unfinished: int = 0
    max_unfinished: int = 0

    def as_json(self) -> dict[str, int]:
        """For `GET /__emu/turbotext/stats`; `requests` and `in_flight` are the create_queue calls."""
        queue = {"polls": self.polls, "downloads": self.downloads}
        return super().as_json() | queue | {"unfinished": self.unfinished, "max_unfinished": self.max_unfinished}


@dataclass(kw_only=True)
class Jobs:
    """All jobs; only the newest 10,000 are known, and only the newest 1,000 still have their picture."""

    photos_left: int
    gauge: QueueGauge = field(default_factory=QueueGauge)
    _numbers: Any = field(default_factory=lambda: itertools.count(FIRST_QUEUEID))
    _by_id: dict[int, Job] = field(default_factory=dict)
    _by_name: dict[str, Job] = field(default_factory=dict)
    _pictures: deque[Job] = field(default_factory=deque)

    def add(self, asked: Asked, behaviour: Behaviour, made: Made, *, key: str) -> Job:
        """Take a job, for one photo of the balance."""
        name = f"{secrets.token_hex(8)}_0.{EXTENSIONS[made.mime]}"
        now = asyncio.get_running_loop().time()
        job = Job(
            queueid=next(self._numbers), key=key, asked=asked, behaviour=behaviour, made=made, name=name, created_at=now
        )
        self._by_id[job.queueid] = self._by_name[name] = job
        self._pictures.append(job)
        if len(self._pictures) > MAX_PICTURES:
            self._pictures.popleft().made = None
        if len(self._by_id) > MAX_JOBS:
            oldest = self._by_id.pop(next(iter(self._by_id)))
            del self._by_name[oldest.name]
        self.photos_left -= 1
        gauge = self.gauge
        gauge.billed += 1
        gauge.unfinished += 1
        gauge.max_unfinished = max(gauge.max_unfinished, gauge.unfinished)
        return job

    def finish(self, job: Job) -> None:
        """Note that the job has had its final answer."""
        if job.finished_at is None:
            job.finished_at = asyncio.get_running_loop().time()
            self.gauge.unfinished -= 1

    def find(self, queueid: int) -> Job | None:
        """The job of this id."""
        return self._by_id.get(queueid)

    def with_picture(self, name: str) -> Job | None:
        """The job whose picture has this name."""
        return self._by_name.get(name)
