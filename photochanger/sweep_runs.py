"""When each sweep of the cleanup daemon was last through, a row each: by this the others see that it lives."""

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.tables import sweep_run


async def finish(conn: AsyncConnection, name: str, *, count: int) -> None:
    """A sweep was through just now; `count` is how many it has dealt with."""
    row = {"finished_at": func.now(), "count": count}
    statement = insert(sweep_run).values(name=name, **row)
    await conn.execute(statement.on_conflict_do_update(index_elements=[sweep_run.c.name], set_=row))
