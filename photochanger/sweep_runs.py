"""When each sweep of the cleanup daemon was last through, a row each: by this the others see that it lives."""

from collections.abc import Mapping

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.tables import sweep_run


async def finish(conn: AsyncConnection, counts: Mapping[str, int]) -> None:
    """These sweeps were through just now: how many each has dealt with, by its name. One at least."""
    rows = [{"name": name, "count": count, "finished_at": func.now()} for name, count in counts.items()]
    new = insert(sweep_run).values(rows)
    its = {"finished_at": new.excluded.finished_at, "count": new.excluded.count}
    await conn.execute(new.on_conflict_do_update(index_elements=[sweep_run.c.name], set_=its))
