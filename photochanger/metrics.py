"""What the processes count, for Prometheus. Where the figures lie is in metrics_files.py; what rows tell, in vitals.py.

A name follows Prometheus's conventions; the four that start with `ingest_` and have a slot and a provider are the
contract's. A label has few values, all of them ours: slots and providers come from rows and from providers.json, never
from a request.

Every metric here has a label: one without would take its place in memory when this module is imported, before the
process has a file for it.
"""

from contextlib import AbstractContextManager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from photochanger.db import Database
from photochanger.errors import PROVIDER_ERRORS, Failure

disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()
GAUGES: Final = "livesum"
"""How gauges of several processes add up: the sum over those that live."""
ANSWER_SECONDS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60)
STAGE_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 2, 5, 10, 20, 30, 60)
CALL_SECONDS = (0.1, 0.25, 0.5, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60)


def _counter(name: str, help_: str, *labels: str) -> Counter:
    return Counter(name, help_, labels, registry=REGISTRY)


def _gauge(name: str, help_: str, *labels: str) -> Gauge:
    return Gauge(name, help_, labels, registry=REGISTRY, multiprocess_mode=GAUGES)


def _histogram(name: str, help_: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
    return Histogram(name, help_, labels, registry=REGISTRY, buckets=buckets)


REQUESTS = _counter("ingest_requests_total", "Uploads to a slot that takes photos.", "slot_id", "provider")
SUCCESSES = _counter("ingest_success_total", "Uploads answered with a changed picture.", "slot_id", "provider")
TIMEOUTS = _counter("ingest_timeout_total", "Uploads answered with 504.", "slot_id", "provider")
PROVIDER_FAILURES = _counter(
    "ingest_provider_error_total", "Uploads answered with an error of the slot's provider.", "slot_id", "provider"
)
ANSWERS = _counter("ingest_answers_total", "Answers to uploads, to unknown slots too.", "status", "failure_reason")
DURATION = _histogram(
    "ingest_duration_seconds",
    "From the arrival of an upload whose photo was taken in to its answer.",
    "slot_id",
    buckets=ANSWER_SECONDS,
)
IN_HAND = _gauge("photochanger_requests_in_hand", "Uploads that are being received, or wait.", "state")
STAGES = _histogram(
    "photochanger_stage_seconds",
    "A photo's way in pieces. The service's own share of an answer is all of them but upload and provider.",
    "stage",
    buckets=STAGE_SECONDS,
)
TICKS = _counter("photochanger_poll_ticks_total", "Looks of the API at the jobs that are waited for.", "outcome")
CLAIMS = _counter("photochanger_claims_total", "Jobs that runners have claimed.", "provider")
STEPS = _counter("photochanger_steps_total", "What became of claimed jobs.", "provider", "became")
ATTEMPTS = _counter("photochanger_attempts_total", "Calls that were to change a photo.", "provider", "outcome")
CALLS = _histogram(
    "photochanger_provider_call_seconds",
    "How long a provider took to answer: to a photo, or to the question whether it is finished.",
    "provider",
    "call",
    buckets=CALL_SECONDS,
)
POLLS = _counter("photochanger_polls_total", "Questions to a provider's own queue.", "provider", "answer")
QUEUE_IDS = _counter(
    "photochanger_queue_ids_total",
    "Photos in a provider's own queue: accepted, and how they left it.",
    "provider",
    "state",
)
TAKEN_BACK = _counter("photochanger_jobs_taken_back_total", "Jobs that had lost their runner.", "why")
PLACES = _gauge("photochanger_runner_places", "Places for photos at the runners.", "state")
SWEEPS = _counter("photochanger_sweeps_total", "Sweeps of the cleanup daemon.", "sweep", "outcome")
CONNECTIONS = _gauge("photochanger_database_connections", "Open connections to the database.", "process", "state")
BORROWERS = _gauge("photochanger_database_borrowers_waiting", "Waiting for a connection to the database.", "process")
PROCESSES = _gauge("photochanger_processes", "Processes that live on this machine.", "process")


def upload_began(*, slot_id: str, provider: str) -> None:
    """A photo comes in for a slot that takes photos. The slot's other counters begin at 0 beside it."""
    for counter in (REQUESTS, SUCCESSES, TIMEOUTS, PROVIDER_FAILURES):
        counter.labels(slot_id, provider).inc(1 if counter is REQUESTS else 0)
    IN_HAND.labels("receiving").inc()


def upload_ended() -> None:
    """It is received, or refused."""
    IN_HAND.labels("receiving").dec()


def announce_answers() -> None:
    """Begin the answers that alerts look at with 0: a first one that begins with 1 is no increase."""
    ANSWERS.labels("200", "").inc(0)
    for failure in Failure:
        if failure.status >= 500:
            ANSWERS.labels(str(failure.status), failure.code).inc(0)


def answered(failure: Failure | None) -> None:
    """An upload has its answer, whatever slot it named."""
    if failure is None:
        ANSWERS.labels("200", "").inc()
    else:
        ANSWERS.labels(str(failure.status), failure.code).inc()


def slot_answered(failure: Failure | None, *, slot_id: str, provider: str) -> None:
    """An upload to this slot has its answer."""
    if failure is None:
        SUCCESSES.labels(slot_id, provider).inc()
    elif failure is Failure.TIMEOUT:
        TIMEOUTS.labels(slot_id, provider).inc()
    elif failure.code in PROVIDER_ERRORS:
        PROVIDER_FAILURES.labels(slot_id, provider).inc()


def stage(name: str, seconds: float) -> None:
    """A piece of a photo's way: upload, admit (API); queue, prepare, provider, check, record (runner)."""
    STAGES.labels(name).observe(seconds)


def claimed(provider: str, *, waited_seconds: float) -> None:
    """A runner has claimed a job that could have been claimed so long ago."""
    CLAIMS.labels(provider).inc()
    stage("queue", max(0.0, waited_seconds))


def called(provider: str, call: str) -> AbstractContextManager[object]:
    """Around a call of the provider, `submit` or `poll`: how long it took, however it ended."""
    return CALLS.labels(provider, call).time()


def polled(provider: str, answer: str) -> None:
    """A provider's own queue was asked: `pending`, `picture`, or `failed` when it gave no answer to the question."""
    POLLS.labels(provider, answer).inc()


def attempted(provider: str, outcome: str) -> None:
    """An attempt has ended like this."""
    ATTEMPTS.labels(provider, outcome).inc()


_LEFT_QUEUE = {"done": "finished", "failed": "failed", "fell_back": "failed", "too_late": "expired"}


def stepped(provider: str, became: str, *, in_queue: bool) -> None:
    """A claimed job was taken one step further; `in_queue`: its photo was in the provider's own queue."""
    STEPS.labels(provider, became).inc()
    if in_queue and became in _LEFT_QUEUE:
        QUEUE_IDS.labels(provider, _LEFT_QUEUE[became]).inc()


def look_at_pool(process: str, db: Database) -> None:
    """How busy this process's connections are at the moment."""
    figures = db.pool_figures()
    CONNECTIONS.labels(process, "idle").set(figures.idle)
    CONNECTIONS.labels(process, "busy").set(figures.size - figures.idle)
    BORROWERS.labels(process).set(figures.waiting)
