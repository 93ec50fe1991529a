"""What guests may fetch without a login; the id is the secret. `GET /public/results/{job_id}` and its preview.

An address may ask for 60 unknown ids a minute. What exists it gets even then: one broken page behind the address of a
venue must not take their pictures from all its guests.
"""

import re

from starlette.requests import Request
from starlette.responses import Response

from api.pictures import PictureResponse, or_unchanged, regular_file
from api.request_log import note
from api.state import services
from api.throttle import address_of
from photochanger import job_state
from photochanger.errors import Failure, Refusal
from photochanger.job_state import JobState
from photochanger.jobs import Status
from photochanger.picture_kinds import EXTENSIONS

JOB_ID = re.compile(r"[0-9a-f]{32}")
CACHING = {"Cache-Control": "private, max-age=0, must-revalidate"}


async def spend_public(request: Request) -> None:
    """Count this request. Raises `Refusal` (`rate_limited`) for an address that asks without end."""
    await services(request).public_requests.spend(address_of(request))


async def unknown(request: Request, failure: Failure) -> Refusal:
    """The refusal for an id of nothing. Raises one (`rate_limited`) for an address that asks for too many of them."""
    await services(request).unknown_ids.spend(address_of(request))
    return Refusal(failure)


async def result(request: Request) -> Response:
    """The changed picture: as a file to keep, or with `?inline=1` to look at. 404, and 410 once it has expired."""
    state = await _current_result(request)
    path, figures = regular_file(services(request).media, state.result_path, job_id=state.job_id)
    assert state.result_mime is not None
    assert state.result_sha256 is not None
    inline = request.query_params.get("inline") == "1"
    taken = f"{state.created_at:%Y-%m-%d-%H%M%S}"
    return or_unchanged(
        request,
        PictureResponse(
            path,
            media_type=state.result_mime,
            stat_result=figures,
            filename=f"photo-{taken}-{state.job_id[:6]}.{EXTENSIONS[state.result_mime]}",
            content_disposition_type="inline" if inline else "attachment",
            headers={"ETag": f'"{state.result_sha256.hex()}"', **CACHING, "Vary": "Accept"},
        ),
    )


async def preview(request: Request) -> Response:
    """The result's thumbnail, a WEBP."""
    state = await _current_result(request)
    path, figures = regular_file(services(request).media, state.preview_path, job_id=state.job_id)
    assert state.result_sha256 is not None
    return or_unchanged(
        request,
        PictureResponse(
            path,
            media_type="image/webp",
            stat_result=figures,
            headers={"ETag": f'"{state.result_sha256.hex()}-preview"', **CACHING},
        ),
    )


async def _current_result(request: Request) -> JobState:
    """The job behind the link, if it has a result that has not expired, by the database's clock."""
    await spend_public(request)
    job_id = request.path_params["job_id"]
    if not JOB_ID.fullmatch(job_id):
        raise await unknown(request, Failure.RESULT_NOT_FOUND)
    note(request, job=job_id)
    async with services(request).db.at_once() as conn:
        state = await job_state.get(conn, job_id)
    if state is None:
        raise await unknown(request, Failure.RESULT_NOT_FOUND)
    if state.status is not Status.DONE:
        raise Refusal(Failure.RESULT_NOT_FOUND)
    if state.result_expired:
        raise Refusal(Failure.RESULT_EXPIRED)
    return state
