"""`photochanger-runner`: one runner process."""

import sys

from photochanger import keys, media_root, metrics_files
from photochanger.db import IN_INDEX_ORDER, Database
from photochanger.images import Pictures
from photochanger.process import run, stop_on_signals
from photochanger.providers import Providers
from photochanger.settings import Settings
from photochanger.startup import run_process
from runner.administration import Administration
from runner.loop import Runner
from runner.models import Models
from runner.workshop import Workshop, load_drivers, open_session


def main() -> int:
    """The console script."""
    return run_process("runner", _serve)


def _serve(settings: Settings, providers: Providers, database_url: str) -> int:
    with metrics_files.shared(settings.home, "runner"):
        return run(_run(settings, providers, database_url))


async def _run(settings: Settings, providers: Providers, database_url: str) -> int:
    stopping = stop_on_signals()
    secrets_box = keys.secrets_box_if_any(settings)
    async with (
        Database(database_url, planning=IN_INDEX_ORDER) as db,
        Pictures() as pictures,
        open_session() as http,
    ):
        await pictures.start()
        workshop = Workshop(
            settings=settings,
            providers=providers,
            drivers=load_drivers(providers),
            db=db,
            media=await media_root.opened(db, settings.media_root),
            pictures=pictures,
            http=http,
            models=Models(),
            administration=Administration(db, settings, providers, box=secrets_box),
            stopping=stopping,
        )
        await Runner(workshop, places=settings.runner_concurrency).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
