"""How much lies where: kept in rows, so that no request ever measures it.

Results are told by their rows, which have their bytes; the other folders are walked.
"""

import asyncio
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from cleanup.scope import Scope, Swept
from photochanger.media import FOLDERS, Media
from photochanger.tables import job, storage_figure

Figures = dict[str, tuple[int | None, int]]
"""Name → files (None where that means nothing) and bytes."""
RESULTS = "results"


async def storage_figures(scope: Scope) -> Swept:
    """Measure all of them anew. A dry run leaves them as they are."""
    if scope.dry_run:
        return Swept()
    figures = await asyncio.to_thread(_on_disk, scope.media)
    async with scope.db.at_once() as conn:
        results = select(func.count(), func.coalesce(func.sum(job.c.result_bytes), 0))
        files, size = (await conn.execute(results.where(job.c.result_path.is_not(None)))).one()
        figures[RESULTS] = (files, size)
        figures["database"] = (
            None,
            (await conn.execute(select(func.pg_database_size(func.current_database())))).scalar_one(),
        )
        await _keep(conn, figures)
    return Swept(count=len(figures))


async def _keep(conn: AsyncConnection, figures: Mapping[str, tuple[int | None, int]]) -> None:
    rows = insert(storage_figure).values(
        [
            {"name": name, "files": files, "bytes": size, "measured_at": func.now()}
            for name, (files, size) in sorted(figures.items())
        ]
    )
    measured = {name: rows.excluded[name] for name in ("files", "bytes", "measured_at")}
    await conn.execute(rows.on_conflict_do_update(index_elements=[storage_figure.c.name], set_=measured))


def _on_disk(media: Media) -> Figures:
    media.check_root()
    figures: Figures = {}
    for folder in FOLDERS:
        name = folder.partition("/")[0]
        if name != RESULTS:
            files, size = _walked(media, folder)
            before, size_before = figures.get(name, (0, 0))
            figures[name] = ((before or 0) + files, size_before + size)
    usage = shutil.disk_usage(media.root)
    figures |= {"disk_total": (None, usage.total), "disk_free": (None, usage.free)}
    media.check_root()
    return figures


def _walked(media: Media, folder: str) -> tuple[int, int]:
    files = size = 0
    with os.scandir(media.folder(folder)) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False):
                    size += entry.stat(follow_symlinks=False).st_size
                    files += 1
    return files, size
