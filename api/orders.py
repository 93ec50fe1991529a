"""A photo that an administrator has changed: taken in like a booth's, and answered at once."""

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from api.access import session_of
from api.bodies import moment
from api.photo_file import PhotoFile
from api.request_log import note
from api.state import public_url, services
from photochanger import audit, intake, job_state
from photochanger.app_settings import AppSettings
from photochanger.job_state import JobState
from photochanger.photo import NewPhoto


async def take_in(
    request: Request,
    file: PhotoFile,
    photo: NewPhoto,
    admin: AppSettings,
    *,
    deadline: float,
    event: str,
    on: str | None = None,
    **details: Any,
) -> JobState:
    """Queue it, within the slot's limit of photos in work, with a line of who did what; the job as it stands then.

    `file` is the photo's, and the job's from now on; `deadline` is by `time.monotonic`; `on`: another job whose log
    gets the line too.
    """
    actor = session_of(request).account
    async with services(request).db.begin() as conn:
        await intake.admit(conn, photo, in_work_limit=admin.photos_in_work_per_slot)
        for job_id in filter(None, (photo.job_id, on)):
            await audit.record(conn, event, actor=actor, job_id=job_id, slot=photo.slot_id, **details)
        state = await job_state.get(conn, photo.job_id)
        file.job_deadline = deadline
    assert state is not None
    note(request, job=photo.job_id, received_seconds=round(photo.age_seconds, 4))
    return state


def accepted(request: Request, state: JobState, *, deadline: float, **more: Any) -> JSONResponse:
    """202, and where to ask on. From now on the job is seen to its end without a request."""
    services(request).unattended.watch(state.job_id, deadline=deadline)
    body = {
        "job_id": state.job_id,
        "status_url": public_url(request, f"/api/jobs/{state.job_id}"),
        "deadline": moment(state.expires_at),
        **more,
    }
    return JSONResponse(body, 202, headers={"Cache-Control": "no-store"})


def age_seconds(arrived: float) -> float:
    """Since the request's arrival, by `time.monotonic`."""
    return time.monotonic() - arrived
