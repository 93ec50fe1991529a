"""`photochanger-media-cleanup`: the daemon. `photochanger cleanup --once`: the same sweeps, once, for a person."""

import argparse
import asyncio
import sys

import structlog

from cleanup.notifier import telling
from cleanup.sweep import overdue_jobs, sweep_all
from photochanger import metrics, metrics_files, sweep_runs
from photochanger.command import Command
from photochanger.db import UNAVAILABLE, Database
from photochanger.media import Media
from photochanger.process import sleep_unless, stop_on_signals
from photochanger.providers import Providers
from photochanger.settings import Settings
from photochanger.startup import run_process
from photochanger.vitals import OVERDUE_SWEEP

log = structlog.get_logger()

EVERY_SECONDS = 900.0
OVERDUE_EVERY_SECONDS = 2.0


def main() -> int:
    """The console script."""
    return run_process("cleanup", _serve)


def _serve(settings: Settings, providers: Providers, database_url: str) -> int:
    with metrics_files.shared(settings.home, "cleanup"):
        return asyncio.run(_daemon(settings, providers, database_url))


async def _daemon(settings: Settings, _providers: Providers, database_url: str) -> int:
    """All sweeps every 15 minutes; overdue jobs every two seconds: each has its verdict by 5 s after its deadline."""
    stopping = stop_on_signals()
    media = Media(settings.media_root)
    media.create_folders()
    loop = asyncio.get_running_loop()
    next_full = loop.time()
    async with Database(database_url, connections=5) as db, telling(settings, db):
        while not stopping.is_set():
            try:
                if loop.time() >= next_full:
                    await sweep_all(db, media)
                    next_full = loop.time() + EVERY_SECONDS
                else:
                    closed = await overdue_jobs(db, media)
                    async with db.at_once() as conn:
                        await sweep_runs.finish(conn, OVERDUE_SWEEP, count=closed)
                metrics.look_at_pool("cleanup", db)
            except UNAVAILABLE as error:
                log.warning("sweep_postponed", error=type(error).__name__)
            await sleep_unless(stopping, seconds=OVERDUE_EVERY_SECONDS)
    return 0


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", required=True, help="sweep now and end")


def _run(_arguments: argparse.Namespace) -> int:
    async def once(settings: Settings, _providers: Providers, database_url: str) -> int:
        media = Media(settings.media_root)
        media.create_folders()
        async with Database(database_url, connections=3) as db:
            return 0 if await sweep_all(db, media) else 1

    return run_process("cleanup", lambda *arguments: asyncio.run(once(*arguments)))


command = Command("cleanup", "remove what has expired or lost its other half, now", _add_arguments, _run)

if __name__ == "__main__":
    sys.exit(main())
