"""How the installation is at this moment, as its rows tell: for health, for metrics and for alerts. One statement.

It looks at open jobs by the partial indexes, and else at tables of a few rows: finished jobs do not slow it.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.breaker import FAILURES_TO_OPEN
from photochanger.leases import LEASE_SECONDS

SEEN_SECONDS = 30.0
"""A runner that has shown itself within this time counts as alive."""
OVERDUE_SWEEP = "overdue_jobs"
"""The one sweep that comes every few seconds: the others come every 15 minutes."""


@dataclass(frozen=True, kw_only=True)
class OpenJobs:
    """Jobs of one open status, and for how long the oldest of them could have been taken up."""

    status: str
    count: int
    oldest_seconds: float


@dataclass(frozen=True, kw_only=True)
class Circuit:
    """A provider's model that runners have asked, and how many calls in a row got no answer."""

    provider: str
    model: str
    failures_in_row: int

    @property
    def is_open(self) -> bool:
        """It is not asked at the moment."""
        return self.failures_in_row >= FAILURES_TO_OPEN


@dataclass(frozen=True, kw_only=True)
class Key:
    """What the last check of a provider's key has brought."""

    provider: str
    good: bool


@dataclass(frozen=True, kw_only=True)
class Storage:
    """What a kind of files takes up, or the disk has, in bytes."""

    name: str
    files: int | None
    bytes: int
    measured_seconds_ago: float


@dataclass(frozen=True, kw_only=True)
class SweepRun:
    """When a sweep was last through."""

    name: str
    seconds_ago: float


@dataclass(frozen=True, kw_only=True)
class Vitals:
    """All of it, by the database's clock at `now`."""

    now: datetime
    migrations: frozenset[str]
    runners: int
    jobs: list[OpenJobs]
    circuits: list[Circuit]
    keys: list[Key]
    storage: list[Storage]
    sweeps: list[SweepRun]

    def swept_seconds_ago(self, *, full: bool = False) -> float | None:
        """Since the cleanup daemon was last heard of, or (`full`) was last through a full round. None: never."""
        ages = [run.seconds_ago for run in self.sweeps if not (full and run.name == OVERDUE_SWEEP)]
        return min(ages, default=None)

    def disk_used_share(self) -> float | None:
        """0 to 1; None until it was measured."""
        measured = {one.name: one.bytes for one in self.storage}
        total, free = measured.get("disk_total"), measured.get("disk_free")
        return None if not total or free is None else 1 - free / total


_READ = text("""
SELECT now() AS now,
    (SELECT coalesce(jsonb_agg(migration_id), '[]') FROM _yoyo_migration) AS migrations,
    (SELECT count(*) FROM runner WHERE lease_until > now() - make_interval(secs => :seen_seconds)) AS runners,
    (SELECT coalesce(jsonb_agg(one), '[]') FROM (
        SELECT status, count(*), greatest(0, extract(epoch FROM now() - min(run_after)))::float8 AS oldest_seconds
        FROM job WHERE status IN ('queued', 'running', 'waiting') GROUP BY status) AS one) AS jobs,
    (SELECT coalesce(jsonb_agg(one), '[]') FROM (
        SELECT provider, model, failures_in_row FROM breaker) AS one) AS circuits,
    (SELECT coalesce(jsonb_agg(one), '[]') FROM (
        SELECT provider, good FROM provider_check WHERE good IS NOT NULL) AS one) AS keys,
    (SELECT coalesce(jsonb_agg(one), '[]') FROM (
        SELECT name, files, bytes, extract(epoch FROM now() - measured_at)::float8 AS measured_seconds_ago
        FROM storage_figure) AS one) AS storage,
    (SELECT coalesce(jsonb_agg(one), '[]') FROM (
        SELECT name, extract(epoch FROM now() - finished_at)::float8 AS seconds_ago FROM sweep_run) AS one) AS sweeps
""")


async def read(conn: AsyncConnection) -> Vitals:
    """Everything, now."""
    row = (await conn.execute(_READ, {"seen_seconds": SEEN_SECONDS - LEASE_SECONDS})).one()
    return Vitals(
        now=row.now,
        migrations=frozenset(row.migrations),
        runners=row.runners,
        jobs=[OpenJobs(**one) for one in row.jobs],
        circuits=[Circuit(**one) for one in row.circuits],
        keys=[Key(**one) for one in row.keys],
        storage=[Storage(**one) for one in row.storage],
        sweeps=[SweepRun(**one) for one in row.sweeps],
    )
