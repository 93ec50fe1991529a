"""How every slot stands at this moment, as pieces of SQL: for the dashboard, the overview, and whoever shows slots.

They are asked for every few seconds, beside a million jobs: each piece walks a partial index, and one statement with
all of them costs a third of what one for each would.
"""

from typing import Any

from sqlalchemy import Float, Subquery, and_, cast, func, select
from sqlalchemy.sql.elements import ColumnElement

from photochanger.job import OPEN, Source, Status, status_is
from photochanger.tables import job, slot

_SHARE_OF_TIME: ColumnElement[Any] = func.extract("epoch", func.now() - job.c.created_at) / func.extract(
    "epoch", job.c.expires_at - job.c.created_at
)


def open_jobs(*, of: Source | None = None) -> Subquery:
    """By `slot_id`, of one source or of all: its jobs that have no end yet.

    `queued`: no runner has begun with them. `in_work`: with a runner or at their provider. `oldest_share`: how much of
    its time the oldest has used up, 0 to 1, and above while nobody has closed it.
    """
    query = select(
        job.c.slot_id,
        func.count().filter(status_is(Status.QUEUED)).label("queued"),
        func.count().filter(~status_is(Status.QUEUED)).label("in_work"),
        cast(func.max(_SHARE_OF_TIME), Float).label("oldest_share"),
    ).where(status_is(*OPEN), *(() if of is None else (job.c.source == of.value,)))
    return query.group_by(job.c.slot_id).subquery("open_jobs")


_OF_BOOTHS = and_(job.c.slot_id == slot.c.slot_id, job.c.source == Source.INGEST.value)
LAST_SUCCESS = (
    select(job.c.finished_at)
    .where(_OF_BOOTHS, job.c.result_path.is_not(None))
    .order_by(job.c.finished_at.desc())
    .limit(1)
    .lateral("last_success")
)
"""Beside `slot`: `finished_at` of its newest result that is still kept. Test runs are in no figure of a slot."""
LAST_FAILURE = (
    select(job.c.finished_at, job.c.failure_reason)
    .where(_OF_BOOTHS, status_is(Status.FAILED, Status.TIMEOUT))
    .order_by(job.c.finished_at.desc())
    .limit(1)
    .lateral("last_failure")
)
"""Beside `slot`: `finished_at` and `failure_reason` of its last photo that failed or timed out."""
