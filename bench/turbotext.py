"""Many jobs waiting in a provider's own queue: what they cost here, and how soon their pictures reach the booths."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bench.database import execute, rows
from bench.figures import FEW, Figure, percentile
from bench.house import PASSWORD, House, house, megabytes, transactions
from bench.photos import photo_file
from simulators.booth import SLOTS, Plan, run_booths
from simulators.booth_report import Report

PROVIDER_SECONDS = 30.0
WATCHED_SECONDS = 8.0
ARRIVE_SECONDS = 30.0
TICK_SECONDS = 1.0

TO_TURBOTEXT = """
    UPDATE slot SET provider = 'turbotext', operation = 'image_edit', sync_response_seconds = 60,
                    settings = '{"prompt": "a studio portrait"}'
"""
WAITING = "SELECT count(*) FROM job WHERE status = 'waiting' AND provider_job_reference IS NOT NULL"
FINISHED = """
    SELECT extract(epoch FROM job.finished_at - accepted.at)::float,
           extract(epoch FROM job.finished_at - asked.at)::float
    FROM job
    JOIN (SELECT job_id, min(at) AS at FROM processing_log WHERE event = 'parked' GROUP BY job_id) AS accepted
        USING (job_id)
    JOIN (SELECT job_id, max(at) AS at FROM processing_log WHERE event = 'claimed' GROUP BY job_id) AS asked
        USING (job_id)
    WHERE job.status = 'done'
"""
"""From the moment the provider had taken it, and from the claim whose poll brought the picture."""


def measure(*, quick: bool) -> Iterator[Figure]:
    """All its figures."""
    count = 60 if quick else 300
    with house(runners=2, delay_seconds=PROVIDER_SECONDS, poll_seconds=TICK_SECONDS) as home, photo_file(0.5) as photo:
        execute(home.database_url, TO_TURBOTEXT)
        report, held, spent, queries = asyncio.run(_waited(home, photo, booths=count))
        pictures = sum(answer.problem is None for answer in report.answers)
        yield Figure(what=f"{count} jobs waiting at Turbotext: pictures", values=[pictures])
        yield Figure(what="… two runners' RSS together while they wait", values=[held], unit="MB", goal=(FEW, 500))
        yield Figure(what="… queries a second", values=[queries], unit="/s")
        for kind in ("runner", "database", "api"):
            yield Figure(what=f"… CPU: {kind}", values=[spent[kind] * 100], unit="% of a core")
        found = rows(home.database_url, FINISHED)
        late = [after - PROVIDER_SECONDS for after, _ in found]
        yield Figure(what="… from ready there to done here, the wait for the poll in it", values=late, unit="s")
        asked = [seconds for _, seconds in found]
        yield Figure(what="… from the poll that brings it to done here", values=asked, unit="s")
        yield Figure(what="… 95th percentile", values=[percentile(asked, 0.95)], unit="s")


async def _waited(home: House, photo: Path, *, booths: int) -> tuple[Report, float, dict[str, float], float]:
    """The answers; memory, CPU seconds a second and queries a second while all of them wait."""
    plan = Plan(url=home.url, password=PASSWORD, booths=booths, slots=SLOTS, photo=photo, unique=True)
    shooting = asyncio.create_task(run_booths(plan))
    try:
        async with asyncio.timeout(ARRIVE_SECONDS):
            while rows(home.database_url, WAITING)[0][0] < booths:  # noqa: ASYNC110 - it is other processes' doing
                await asyncio.sleep(0.2)
        began, before, queries = time.monotonic(), home.cpu_seconds(), transactions(home)
        await asyncio.sleep(WATCHED_SECONDS)
        took, held = time.monotonic() - began, megabytes(home.processes["runner"])
        spent = {kind: (seconds - before[kind]) / took for kind, seconds in home.cpu_seconds().items()}
        return await shooting, held, spent, (transactions(home) - queries) / took
    finally:
        shooting.cancel()
        with suppress(asyncio.CancelledError):
            await shooting
