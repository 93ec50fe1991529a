"""Jobs of the past for tests of figures: made up, written as rows or as rolled hours, and counted by plain Python."""

import random
import secrets
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import histogram
from photochanger.db import Database
from photochanger.tables import hourly_attempts, hourly_figure, hourly_watermark, job, job_attempt, job_input

HOUR = timedelta(hours=1)
REASONS = {
    "failed": ["bad_response", "content_blocked", "quota", "network", "invalid_image", "interrupted", "internal_error"],
    "timeout": ["timeout"],
}
THEIRS = {
    *("bad_response", "content_blocked", "no_image", "provider_4xx"),
    *("provider_unavailable", "quota", "network", "provider_auth"),
}
"""Reasons that are the provider's doing."""


@dataclass(frozen=True, kw_only=True)
class MadeAttempt:
    """One call. `seconds` and `outcome` are None where it was never closed."""

    provider: str
    model: str | None
    seconds: float | None
    outcome: str | None
    cost_usd: Decimal | None


@dataclass(frozen=True, kw_only=True)
class MadeJob:
    """One job. `seconds`: from its arrival to its end; None while it is in work."""

    created_at: datetime
    slot_id: str = "slot-001"
    source: str = "ingest"
    status: str = "done"
    seconds: float | None = 20.0
    reason: str | None = None
    attempts: tuple[MadeAttempt, ...] = ()


async def now(db: Database) -> datetime:
    """By the database's clock."""
    async with db.at_once() as conn:
        return (await conn.execute(select(func.now()))).scalar_one().astimezone(UTC)


def hour_of(moment: datetime) -> datetime:
    """Its hour's beginning."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def many(count: int, *, start: datetime, until: datetime, seed: int = 1) -> list[MadeJob]:
    """Jobs of every kind, at any time between."""
    chance = random.Random(seed)
    return [_any(chance, start + chance.random() * (until - start)) for _ in range(count)]


def _any(chance: random.Random, created_at: datetime) -> MadeJob:
    status = chance.choices(["done", "failed", "timeout"], [80, 12, 8])[0]
    tried = chance.choices([0, 1, 2, 3], [5, 70, 20, 5])[0] if status != "done" else chance.choices([1, 2], [9, 1])[0]
    attempts = []
    for number in range(tried):
        good = status == "done" and number == tried - 1
        open_ = status == "timeout" and number == tried - 1
        provider = chance.choice(["gemini", "turbotext"])
        attempts.append(
            MadeAttempt(
                provider=provider,
                model=chance.choice(["one", "two", None]) if provider == "gemini" else provider,
                seconds=None if open_ else round(chance.uniform(0.1, 70.0), 3),
                outcome=None if open_ else "ok" if good else chance.choice(["network", "no_image"]),
                cost_usd=Decimal(chance.randrange(0, 50_000)) / 1_000_000 if good or chance.random() < 0.3 else None,
            )
        )
    return MadeJob(
        created_at=created_at,
        slot_id=f"slot-{chance.randint(1, 4):03d}",
        source=chance.choices(["ingest", "ui_test"], [9, 1])[0],
        status=status,
        seconds=round(chance.uniform(0.2, 58.0), 3),
        reason=chance.choice(REASONS[status]) if status in REASONS else None,
        attempts=tuple(attempts),
    )


async def write(db: Database, made: Iterable[MadeJob]) -> None:
    """Their rows, as the queue leaves them; results are kept for 72 hours."""
    jobs, inputs, attempts = [], [], []
    for one in made:
        job_id = secrets.token_hex(16)
        jobs.append(_job_row(one, job_id))
        inputs.append(_input_row(one, job_id))
        attempts += [_attempt_row(one, job_id, number, call) for number, call in enumerate(one.attempts, 1)]
    async with db.begin() as conn:
        for table, rows in ((job, jobs), (job_input, inputs), (job_attempt, attempts)):
            if rows:
                await conn.execute(insert(table), rows)


def _job_row(one: MadeJob, job_id: str) -> dict[str, Any]:
    done, ended = one.status == "done", one.seconds is not None
    finished_at = None if one.seconds is None else one.created_at + timedelta(seconds=one.seconds)
    kept = done and datetime.now(UTC) - one.created_at < timedelta(hours=72)
    return {
        "job_id": job_id,
        "kind": "photo",
        "source": one.source,
        "slot_id": one.slot_id,
        "provider": "gemini",
        "status": one.status,
        "priority": 0,
        "created_at": one.created_at,
        "expires_at": one.created_at + timedelta(seconds=60),
        "start_by": one.created_at + timedelta(seconds=50),
        "run_after": one.created_at,
        "runner": "r" if one.status == "running" else None,
        "lease_until": one.created_at if one.status == "running" else None,
        "claim_number": 1,
        "attempt": len(one.attempts),
        "max_attempts": 4,
        "finished_at": finished_at if ended else None,
        "failure_reason": one.reason,
        "result_path": f"results/{job_id}.jpg" if kept else None,
        "preview_path": f"previews/{job_id}.webp" if kept else None,
        "result_mime": "image/jpeg" if done else None,
        "result_bytes": 1000 if done else None,
        "result_sha256": b"\x11" * 32 if done else None,
        "result_expires_at": one.created_at + timedelta(hours=72) if done else None,
        "on_fallback": False,
        "polls_failed": 0,
    }


def _input_row(one: MadeJob, job_id: str) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "slot_id": one.slot_id,
        "slot_version": 1,
        "snapshot": {},
        "booth_fields": {},
        "photo_path": f"ingest/{job_id}",
        "photo_mime": "image/jpeg",
        "photo_bytes": 1000,
        "photo_width": 640,
        "photo_height": 480,
        "photo_sha256": b"\x22" * 32,
        "created_at": one.created_at,
    }


def _attempt_row(one: MadeJob, job_id: str, number: int, call: MadeAttempt) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "number": number,
        "provider": call.provider,
        "model": call.model,
        "started_at": one.created_at,
        "finished_at": None if call.seconds is None else one.created_at + timedelta(seconds=call.seconds),
        "outcome": call.outcome,
        "cost_usd": call.cost_usd,
    }


async def roll(db: Database, made: Sequence[MadeJob], *, until: datetime) -> None:
    """The hours before `until`, counted in Python, and the watermark."""
    hours: dict[Any, list[MadeJob]] = defaultdict(list)
    calls: dict[Any, list[MadeAttempt]] = defaultdict(list)
    for one in made:
        if one.created_at < until:
            hours[hour_of(one.created_at), one.slot_id, one.source].append(one)
            for call in one.attempts:
                key = (hour_of(one.created_at), one.slot_id, one.source, call.provider, call.model or "")
                calls[key].append(call)
    figures = [
        {
            **dict(zip(("hour", "slot_id", "source"), key, strict=True)),
            "provider": "gemini",
            "jobs": len(jobs),
            **{name: count(jobs, status) for name, status in COUNTED},
            "provider_errors": sum(one.reason in THEIRS for one in jobs),
            "reasons": dict(Counter(one.reason for one in jobs if one.reason)),
            "seconds_histogram": bucketed(one.seconds for one in jobs if one.status == "done"),
        }
        for key, jobs in hours.items()
    ]
    attempts = [
        {
            **dict(zip(("hour", "slot_id", "source", "provider", "model"), key, strict=True)),
            "attempts": len(tried),
            "failed": sum(call.outcome != "ok" for call in tried),
            "cost_usd": sum((call.cost_usd or Decimal() for call in tried), Decimal()),
            "seconds_histogram": bucketed(call.seconds for call in tried),
        }
        for key, tried in calls.items()
    ]
    async with db.begin() as conn:
        await set_watermark(conn, until)
        for table, rows in ((hourly_figure, figures), (hourly_attempts, attempts)):
            if rows:
                await conn.execute(insert(table), rows)


async def set_watermark(conn: AsyncConnection, until: datetime) -> None:
    """All hours before are rolled."""
    await conn.execute(delete(hourly_watermark))
    await conn.execute(insert(hourly_watermark).values(single=True, rolled_until=until))


async def forget_rows(db: Database, *, before: datetime) -> None:
    """As retention does it: the jobs go, their figures stay."""
    async with db.begin() as conn:
        await conn.execute(delete(job).where(job.c.created_at < before))


COUNTED = (("done", "done"), ("timeouts", "timeout"), ("failed", "failed"))


def count(jobs: Iterable[MadeJob], status: str) -> int:
    """How many have it."""
    return sum(one.status == status for one in jobs)


def bucketed(seconds: Iterable[float | None]) -> list[int]:
    """Counts by the histogram's edges."""
    counts = [0] * histogram.BUCKETS
    for one in seconds:
        if one is not None:
            counts[sum(one >= edge for edge in histogram.EDGES)] += 1
    return counts
