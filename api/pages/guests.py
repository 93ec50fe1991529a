"""What guests see on their phones: a slot's latest photos, and one photo. The id is the secret; nothing else is shown.

`GET /public/results/{job_id}` is one link for everybody: a booth's program and an `<img>` get the picture, a browser
that navigates gets a page around it. `?inline=1` and `?download=1` are the picture for the browser too.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response

from api.pages.codes import qr_code
from api.pages.rendering import is_part, page
from api.request_log import note
from api.state import public_url, services
from photochanger import job_state, slots
from photochanger.errors import Failure, Refusal
from photochanger.jobs import OPEN, Status
from photochanger.tables import job

JOB_ID = re.compile(r"[0-9a-f]{32}")
GALLERY_SIZE = 10


async def result_page(request: Request) -> Response:
    """The photo when it is ready, a page that waits while it is in work; 410 once it has expired, 404 if unknown."""
    job_id = request.path_params["job_id"]
    if not JOB_ID.fullmatch(job_id):
        raise Refusal(Failure.RESULT_NOT_FOUND)
    note(request, job=job_id)
    async with services(request).db.begin() as conn:
        state = await job_state.get(conn, job_id)
        now = (await conn.execute(select(func.now()))).scalar_one()
    if state is None:
        raise Refusal(Failure.RESULT_NOT_FOUND)
    if state.result_expired:
        raise Refusal(Failure.RESULT_EXPIRED)
    done, pending = state.status is Status.DONE, state.status in OPEN
    path = f"/public/results/{job_id}"
    link = public_url(request, path)
    return page(
        request,
        "result_part.html" if is_part(request) else "result.html",
        status=200 if done or pending or is_part(request) else Failure.RESULT_NOT_FOUND.status,
        now=now,
        state="ready" if done else "pending" if pending else "failed",
        link=path,
        public_link=link,
        seconds_left=(state.result_expires_at - now).total_seconds() if state.result_expires_at else 0.0,
        code=qr_code(link),
    )


@dataclass(frozen=True, kw_only=True)
class GalleryPhoto:
    """A result that is still there."""

    job_id: str
    finished_at: datetime


async def gallery_page(request: Request) -> Response:
    """The latest photos of a slot."""
    here, slot_id = services(request), request.path_params["slot_id"]
    async with here.db.begin() as conn:
        slot = await slots.get(conn, slot_id)
        if slot is None:
            raise Refusal(Failure.SLOT_NOT_FOUND)
        if not slot.is_active:
            raise Refusal(Failure.SLOT_DISABLED)
        photos = await _latest(conn, slot_id)
        now = (await conn.execute(select(func.now()))).scalar_one()
    return page(
        request,
        "gallery_part.html" if is_part(request) else "gallery.html",
        now=now,
        title=slot.display_name,
        photos=photos,
        code=qr_code(public_url(request, f"/public/slots/{slot_id}")),
    )


async def _latest(conn: AsyncConnection, slot_id: str) -> list[GalleryPhoto]:
    """The newest first; without the tests of administrators."""
    query = (
        select(job.c.job_id, job.c.finished_at)
        .where(
            job.c.slot_id == slot_id,
            job.c.result_path.is_not(None),
            job.c.result_expires_at > func.now(),
            job.c.source == "ingest",
        )
        .order_by(job.c.finished_at.desc())
        .limit(GALLERY_SIZE)
    )
    return [GalleryPhoto(**row._mapping) for row in await conn.execute(query)]  # noqa: SLF001
