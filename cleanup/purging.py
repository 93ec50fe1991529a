"""Purges that somebody asked for: what has expired or is orphaned goes now, and the row says how much that was.

They wait for no sweep that is on its way: both may meet the same file, and neither minds that it has gone.
"""

import time
from collections.abc import Mapping
from dataclasses import replace

import structlog

from cleanup.media_objects import expired_media
from cleanup.open_jobs import finished_photos
from cleanup.orphans import orphaned_files
from cleanup.results import expired_results
from cleanup.scope import Scope, Swept
from cleanup.storage import storage_figures
from cleanup.sweep import Sweep, only_one, run
from photochanger import purges
from photochanger.purges import Purge

log = structlog.get_logger()

LOCK = 41_007
PURGED: Mapping[str, Sweep] = {
    "finished_photos": finished_photos,
    "expired_results": expired_results,
    "expired_media": expired_media,
    "orphaned_files": orphaned_files,
}
"""Current results and templates stay whoever asks."""


async def purge_waiting(scope: Scope) -> bool:
    """Do what was asked for. False when something failed: then its row still waits."""
    async with scope.db.at_once() as conn:
        if not await purges.waiting(conn):
            return True
    async with only_one(scope.db, lock=LOCK) as ours:
        if not ours:
            return True
        async with scope.db.at_once() as conn:
            asked = await purges.waiting(conn)
        done = [await _purge(scope, one) for one in asked]
        await run("storage_figures", storage_figures, scope)
    return all(done)


async def _purge(scope: Scope, asked: Purge) -> bool:
    started = time.monotonic()
    its_scope = replace(scope, slot_id=asked.slot_id)
    swept = [(await run(name, sweep, its_scope, quiet=True)).swept for name, sweep in PURGED.items()]
    total = Swept()
    for one in swept:
        if one is None:
            return False
        total += one
    async with scope.db.at_once() as conn:
        await purges.finish(conn, asked.purge_id, files=total.files, size_bytes=total.bytes)
    told = {"purge": asked.purge_id, "slot": asked.slot_id, "by": asked.requested_by}
    log.info("purge_finished", **told, **vars(total), seconds=round(time.monotonic() - started, 3))
    return True
