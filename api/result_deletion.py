"""`DELETE /api/jobs/{job_id}/result`: a guest wants the picture gone, now."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from api.access import administrators, session_of
from api.public import JOB_ID
from api.request_log import note
from api.state import services
from photochanger import audit, results
from photochanger.errors import Failure, Refusal


@administrators
async def delete_result(request: Request) -> Response:
    """204, also when it has gone before; 404 for a job that is unknown or has no result.

    The row says so first: from then on the link answers 410, whatever happens to us. Then the files go, then their
    paths in the row; what a crash leaves of that the cleanup does.
    """
    here, account, job_id = services(request), session_of(request).account, request.path_params["job_id"]
    if not JOB_ID.fullmatch(job_id):
        raise Refusal(Failure.RESULT_NOT_FOUND)
    note(request, job=job_id)
    async with here.db.begin() as conn:
        files = await results.expire_now(conn, job_id)
        if files.result_path is not None:
            await audit.record(conn, "result_deleted", actor=account, job_id=job_id)
    if files.result_path is not None:
        await asyncio.to_thread(here.media.delete, files.result_path, files.preview_path)
        async with here.db.at_once() as conn:
            await results.forget_paths(conn, job_id)
    return Response(status_code=204, headers={"Cache-Control": "no-store"})
