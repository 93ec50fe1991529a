"""How long a provider's model usually takes: the median of its last good attempts, else what providers.json says."""

from sqlalchemy import Float, Text, bindparam, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.providers import Model
from photochanger.tables import job_attempt

LAST_ATTEMPTS = 50
LEAST_ATTEMPTS = 10

_RECENT = (
    select((job_attempt.c.finished_at - job_attempt.c.started_at).label("took"))
    .where(
        job_attempt.c.provider == bindparam("of_provider", type_=Text),
        job_attempt.c.model == bindparam("of_model", type_=Text),
        job_attempt.c.outcome == "ok",
        job_attempt.c.started_at > func.now() - func.make_interval(0, 0, 0, 1),
    )
    .order_by(job_attempt.c.started_at.desc())
    .limit(LAST_ATTEMPTS)
    .subquery("recent")
)
_MEDIAN = select(
    func.count().label("attempts"),
    cast(func.extract("epoch", func.percentile_cont(0.5).within_group(_RECENT.c.took)), Float).label("seconds"),
)


async def usual_seconds(conn: AsyncConnection, provider: str, model: Model) -> float:
    """The last day's median over at most 50 good attempts; with fewer than 10 of them, the configured time."""
    row = (await conn.execute(_MEDIAN, {"of_provider": provider, "of_model": model.name})).one()
    return row.seconds if row.attempts >= LEAST_ATTEMPTS else model.usual_seconds
