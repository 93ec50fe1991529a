"""What guests see on their phones: a slot's latest photos, and one photo. The id is the secret; nothing else is shown.

`GET /public/results/{job_id}` is one link for everybody: a booth's program and an `<img>` get the picture, a browser
that navigates gets a page around it. `?inline=1` and `?download=1` are the picture for the browser too.
`GET /public/slots/{slot_id}` is JSON and a page in the same way.
"""

from starlette.requests import Request
from starlette.responses import Response

from api import public
from api.gallery import current_gallery, slot_gallery
from api.pages.codes import qr_code
from api.pages.rendering import is_part, page, wants_page
from api.request_log import note
from api.state import public_url, services
from photochanger import job_state
from photochanger.db import moment_now
from photochanger.errors import Failure, Refusal
from photochanger.jobs import OPEN, Status

PICTURE_ALONE = {"inline", "download"}


async def result(request: Request) -> Response:
    """The picture, or for a person the page around it."""
    if wants_page(request) and not PICTURE_ALONE & request.query_params.keys():
        return await _result_page(request)
    return await public.result(request)


async def gallery(request: Request) -> Response:
    """The slot's latest photos, as JSON or as a page."""
    return await (_gallery_page(request) if wants_page(request) else slot_gallery(request))


async def _result_page(request: Request) -> Response:
    """The photo when it is ready, a page that waits while it is in work; 410 once it has expired, 404 if unknown."""
    await public.spend_public(request)
    job_id = request.path_params["job_id"]
    if not public.JOB_ID.fullmatch(job_id):
        raise await public.unknown(request, Failure.RESULT_NOT_FOUND)
    note(request, job=job_id)
    async with services(request).db.at_once() as conn:
        state = await job_state.get(conn, job_id)
        now = await moment_now(conn)
    if state is None:
        raise await public.unknown(request, Failure.RESULT_NOT_FOUND)
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


async def _gallery_page(request: Request) -> Response:
    found = await current_gallery(request)
    async with services(request).db.at_once() as conn:
        now = await moment_now(conn)
    return page(
        request,
        "gallery_part.html" if is_part(request) else "gallery.html",
        now=now,
        title=found.display_name,
        photos=found.results,
        code=qr_code(public_url(request, f"/public/slots/{found.slot_id}")),
    )
