"""What `/metrics` tells of the rows: read once for all who scrape within a second, and made into families."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import structlog
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from photochanger import vitals
from photochanger.db import UNAVAILABLE, Database
from photochanger.process import within
from photochanger.vitals import Vitals

log = structlog.get_logger()

ROWS_SECONDS = 1.0
"""So long what the rows told is told again: several who ask at once cost one query."""
WAIT_SECONDS = 2.0
UNREAD: tuple[type[Exception], ...] = (*UNAVAILABLE, TimeoutError)

Labelled = tuple[Sequence[str], float]


class RowFigures:
    """What the rows tell, read for one scrape and the next ones that come within a second."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._asking = asyncio.Lock()
        self._read_at = float("-inf")
        self._found: Vitals | None = None

    async def vitals(self) -> Vitals | None:
        """None while the database does not answer."""
        loop = asyncio.get_running_loop()
        async with self._asking:
            if loop.time() - self._read_at >= ROWS_SECONDS:
                try:
                    self._found = await within(WAIT_SECONDS, self._read())
                except UNREAD as error:
                    log.warning("metrics_without_rows", error=type(error).__name__)
                    self._found = None
                self._read_at = loop.time()
            return self._found

    async def _read(self) -> Vitals:
        async with self._db.at_once() as conn:
            return await vitals.read(conn)


def row_families(found: Vitals | None) -> Iterable[Metric]:
    """What the rows tell. Every family is there, without figures while the rows cannot be read."""
    name = "photochanger_database_up"
    yield GaugeMetricFamily(name, "Whether the database answers.", value=float(found is not None))
    for name, (help_, labels) in ROW_FAMILIES.items():
        family = GaugeMetricFamily(name, help_, labels=labels)
        for values, value in _figures(found)[name] if found else ():
            family.add_metric(values, value)
        yield family


ROW_FAMILIES: Mapping[str, tuple[str, Sequence[str]]] = {
    "photochanger_runners": ("Runners seen within 30 s.", ()),
    "photochanger_jobs": ("Open jobs.", ("status",)),
    "photochanger_oldest_job_seconds": ("For how long the oldest could have been taken up.", ("status",)),
    "photochanger_circuit_open": ("1 while a provider's model is not asked.", ("provider", "model")),
    "photochanger_circuit_failures_in_row": ("Calls in a row without an answer.", ("provider", "model")),
    "photochanger_provider_key_good": ("0 when the provider refused our key.", ("provider",)),
    "photochanger_storage_bytes": ("What files take up; disk_total and disk_free.", ("name",)),
    "photochanger_storage_files": ("How many files there are.", ("name",)),
    "photochanger_storage_measured_timestamp_seconds": ("When that was measured.", ("name",)),
    "photochanger_sweep_last_success_timestamp_seconds": ("When a sweep was last through.", ("sweep",)),
}


def _figures(found: Vitals) -> Mapping[str, list[Labelled]]:
    now = found.now.timestamp()
    jobs = {"queued": (0, 0.0), "running": (0, 0.0), "waiting": (0, 0.0)}
    jobs |= {one.status: (one.count, one.oldest_seconds) for one in found.jobs}
    circuits = [((one.provider, one.model), one) for one in found.circuits]
    return {
        "photochanger_runners": [((), found.runners)],
        "photochanger_jobs": [((status,), count) for status, (count, _) in jobs.items()],
        "photochanger_oldest_job_seconds": [((status,), seconds) for status, (_, seconds) in jobs.items()],
        "photochanger_circuit_open": [(labels, one.is_open) for labels, one in circuits],
        "photochanger_circuit_failures_in_row": [(labels, one.failures_in_row) for labels, one in circuits],
        "photochanger_provider_key_good": [((one.provider,), one.good) for one in found.keys],
        "photochanger_storage_bytes": [((one.name,), one.bytes) for one in found.storage],
        "photochanger_storage_files": [((one.name,), one.files) for one in found.storage if one.files is not None],
        "photochanger_storage_measured_timestamp_seconds": [
            ((one.name,), now - one.measured_seconds_ago) for one in found.storage
        ],
        "photochanger_sweep_last_success_timestamp_seconds": [
            ((one.name,), now - one.seconds_ago) for one in found.sweeps
        ],
    }
