"""`photochanger-media-cleanup`: the daemon. `photochanger cleanup --once`: the same sweeps, once, for a person."""

import argparse
import asyncio
import sys

from cleanup.daemon import Daemon
from cleanup.notifier import telling
from cleanup.scope import Scope
from cleanup.sweep import Outcome, sweep_all
from cleanup.table import table
from photochanger import media_root, metrics_files
from photochanger.command import Command
from photochanger.db import Database
from photochanger.media import Media
from photochanger.process import stop_on_signals
from photochanger.providers import Providers
from photochanger.settings import Settings
from photochanger.startup import run_process

CONNECTIONS = 6
"""A sweep, a purge and the tick, each with its lock and a statement."""


def main() -> int:
    """The console script."""
    return run_process("cleanup", _serve)


def _serve(settings: Settings, providers: Providers, database_url: str) -> int:
    with metrics_files.shared(settings.home, "cleanup"):
        return asyncio.run(_daemon(settings, providers, database_url))


async def _daemon(settings: Settings, _providers: Providers, database_url: str) -> int:
    stopping = stop_on_signals()
    async with Database(database_url, connections=CONNECTIONS) as db, telling(settings, db):
        await Daemon(await _scope(db, settings, dry_run=False)).work(stopping)
    return 0


async def _scope(db: Database, settings: Settings, *, dry_run: bool) -> Scope:
    if dry_run:
        async with db.at_once() as conn:
            media = Media(settings.media_root, await media_root.known_id(conn))  # not marked by a first start
    else:
        media = await media_root.opened(db, settings.media_root)
    return Scope(db=db, media=media, job_retention_days=settings.job_retention_days, dry_run=dry_run)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", required=True, help="sweep now and end")
    parser.add_argument("--dry-run", action="store_true", help="say what would go, and change nothing")


def _run(arguments: argparse.Namespace) -> int:
    async def once(settings: Settings, _providers: Providers, database_url: str) -> int:
        async with Database(database_url, connections=CONNECTIONS) as db:
            outcomes = await sweep_all(await _scope(db, settings, dry_run=arguments.dry_run))
        return _told(outcomes, dry_run=arguments.dry_run)

    return run_process("cleanup", lambda *given: asyncio.run(once(*given)))


def _told(outcomes: list[Outcome] | None, *, dry_run: bool) -> int:
    """Say it; the exit code."""
    if outcomes is None:
        sys.stdout.write("Another process sweeps at this moment.\n")
        return 1
    sys.stdout.write(table(outcomes, dry_run=dry_run))
    return 1 if any(outcome.swept is None for outcome in outcomes) else 0


command = Command("cleanup", "remove what has expired or lost its other half, now", _add_arguments, _run)

if __name__ == "__main__":
    sys.exit(main())
