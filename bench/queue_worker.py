"""A process that works on the queue and does nothing else: claim and finish, through the real functions.

    python -m bench.queue_worker one|batch DATABASE_URL LANES

It says `ready`, waits for a line, works until the queue is empty, and says what it did as a JSON line. `one`: each lane
claims a job and finishes it. `batch`: one claim takes what there are places for, as a runner does; the lanes finish.
"""

import asyncio
import json
import sys
import time

from photochanger import jobs, process
from photochanger.db import IN_INDEX_ORDER, Database
from photochanger.jobs import Job, Result

PLACES = 16


async def main(mode: str, url: str, lanes: int) -> None:
    """Work and tell."""
    async with Database(url, connections=lanes + 1, planning=IN_INDEX_ORDER) as db:
        await asyncio.gather(*(_warm_up(db) for _ in range(lanes + 1)))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        cpu, began = time.process_time(), time.monotonic()
        done = await (_batches(db, lanes) if mode == "batch" else _one_by_one(db, lanes))
        took = {"jobs": done, "cpu_seconds": time.process_time() - cpu, "seconds": time.monotonic() - began}
    print(json.dumps(took), flush=True)


async def _warm_up(db: Database) -> None:
    async with db.direct() as conn:
        await jobs.claim(conn, runner="warm-up", places=0)
        await asyncio.sleep(0.2)


async def _one_by_one(db: Database, lanes: int) -> int:
    async def lane(number: int) -> int:
        done = 0
        while claimed := await _claim(db, runner=f"lane-{number}", places=1):
            done += await _finish(db, claimed[0])
        return done

    return sum(await asyncio.gather(*(lane(number) for number in range(lanes))))


async def _batches(db: Database, lanes: int) -> int:
    claimed: list[Job] = []

    async def lane() -> int:
        done = 0
        while claimed:
            done += await _finish(db, claimed.pop())
        return done

    total = 0
    while True:
        claimed += await _claim(db, runner="batch", places=PLACES)
        if not claimed:
            return total
        total += sum(await asyncio.gather(*(lane() for _ in range(lanes))))


async def _claim(db: Database, *, runner: str, places: int) -> list[Job]:
    async with db.direct() as conn:
        return await jobs.claim(conn, runner=runner, places=places)


async def _finish(db: Database, job: Job) -> bool:
    result = Result(
        path=f"results/{job.job_id}.jpg",
        preview_path=f"previews/{job.job_id}.webp",
        mime="image/jpeg",
        size_bytes=400_000,
        sha256=bytes(32),
    )
    async with db.direct() as conn:
        return await jobs.finish(conn, job, result=result, ttl_hours=72)


if __name__ == "__main__":
    process.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
