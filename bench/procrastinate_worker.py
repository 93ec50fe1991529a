"""The yardstick: a procrastinate worker whose tasks do nothing, over the same kind of start line as queue_worker.py.

python -m bench.procrastinate_worker DATABASE_URL CONCURRENCY
"""

import asyncio
import json
import logging
import sys
import time

from procrastinate import App, PsycopgConnector
from procrastinate.types import JSONDict

from photochanger import process


def app_on(url: str, *, connections: int) -> App:
    """An application with one task, `photo`."""
    app = App(connector=PsycopgConnector(conninfo=url, min_size=connections, max_size=connections))
    app.task(name="photo")(photo)
    return app


async def photo(*, job_id: str) -> None:
    """Nothing: the queue's own cost is measured."""


async def prepare(url: str) -> None:
    """Its schema in an empty database."""
    async with app_on(url, connections=1).open_async() as app:
        await app.schema_manager.apply_schema_async()


async def defer(url: str, *, count: int) -> None:
    """So many tasks to do, each with an argument."""
    async with app_on(url, connections=1).open_async() as app:
        task = app.configure_task("photo")
        for begin in range(0, count, 1000):
            arguments: list[JSONDict] = [
                {"job_id": f"{number:032x}"} for number in range(begin, min(begin + 1000, count))
            ]
            await task.batch_defer_async(*arguments)


async def main(url: str, concurrency: int) -> None:
    """Work until there is nothing left, and tell."""
    async with app_on(url, connections=concurrency + 1).open_async() as app:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        cpu, began = time.process_time(), time.monotonic()
        await app.run_worker_async(
            wait=False, concurrency=concurrency, listen_notify=False, install_signal_handlers=False
        )
        print(json.dumps({"cpu_seconds": time.process_time() - cpu, "seconds": time.monotonic() - began}), flush=True)


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # "App is instantiated in the main Python module"
    process.run(main(sys.argv[1], int(sys.argv[2])))
