"""A process that takes photos in and does nothing else: `intake.admit`, each in its own transaction.

    python -m bench.intake_worker DATABASE_URL LANES COUNT

It says `ready`, waits for a line, queues COUNT photos over all slots, and says what it did as a JSON line.
"""

import asyncio
import json
import secrets
import sys
import time

from photochanger import intake, process
from photochanger.db import Database
from photochanger.intake import NewPhoto
from photochanger.job import new_job_id
from simulators.booth import SLOTS

SNAPSHOT = {
    "slot_id": "slot-001",
    "slot_version": 1,
    "provider": "gemini",
    "operation": "image_edit",
    "result_ttl_hours": 72,
    "settings": {"prompt": "Turn this photo into an elegant studio portrait.", "retries": 1},
}
NO_LIMIT = 1_000_000


async def main(url: str, lanes: int, count: int) -> None:
    """Work and tell."""
    async with Database(url, connections=lanes) as db:
        await asyncio.gather(*(_lane(db, count=5, first=lane) for lane in range(lanes)))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        cpu, began = time.process_time(), time.monotonic()
        await asyncio.gather(*(_lane(db, count=count // lanes, first=lane) for lane in range(lanes)))
        took = {"jobs": count, "cpu_seconds": time.process_time() - cpu, "seconds": time.monotonic() - began}
    print(json.dumps(took), flush=True)


async def _lane(db: Database, *, count: int, first: int) -> None:
    for number in range(first, first + count):
        async with db.begin() as conn:
            await intake.admit(conn, _photo(SLOTS[number % len(SLOTS)]), in_work_limit=NO_LIMIT)


def _photo(slot_id: str) -> NewPhoto:
    job_id = new_job_id()
    return NewPhoto(
        job_id=job_id,
        source="ingest",
        slot_id=slot_id,
        slot_version=1,
        provider="gemini",
        snapshot=SNAPSHOT,
        booth_fields={"profile": slot_id, "model": "Canon EOS R6", "version": "photochanger booth"},
        photo_path=f"ingest/{job_id}",
        mime="image/jpeg",
        size_bytes=2_000_000,
        width=3264,
        height=2448,
        sha256=secrets.token_bytes(32),
        idempotency_key=None,
        age_seconds=0.1,
        sync_response_seconds=48,
        least_seconds=2.0,
        max_attempts=2,
    )


if __name__ == "__main__":
    process.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
