"""`/jobs` and `/jobs/{job_id}`: the log of photos, and one photo's way through the house."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from api.access import administrators
from api.job_detail import asked_job_id
from api.job_log import wanted_jobs
from api.pages.language import marked
from api.pages.rendering import is_part, page
from api.pictures import PictureResponse
from api.state import services
from photochanger import job_detail, job_log, slots, timeline
from photochanger.db import moment_now
from photochanger.errors import Failure, Refusal
from photochanger.job import FINAL, OPEN, Source, Status
from photochanger.job_log import Place

PAGE_SIZE = 50
FILTERS = ("slot_id", "status", "failure_reason", "source", "provider", "from", "to", "job_id")


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a state of a job is shown."""

    kind: str
    icon: str
    word: str


LOOKS = {
    Status.QUEUED: Look(kind="idle", icon="hourglass", word=marked("waits")),
    Status.RUNNING: Look(kind="info", icon="loader-circle", word=marked("in work")),
    Status.WAITING: Look(kind="info", icon="clock", word=marked("at the provider")),
    Status.DONE: Look(kind="ok", icon="circle-check", word=marked("done")),
    Status.FAILED: Look(kind="danger", icon="circle-x", word=marked("failed")),
    Status.TIMEOUT: Look(kind="warn", icon="clock", word=marked("too late")),
}
EVENTS = {
    "received": Look(kind="idle", icon="camera", word=marked("The photo arrived")),
    "queued": Look(kind="idle", icon="hourglass", word=marked("Checked and queued")),
    "claimed": Look(kind="info", icon="cpu", word=marked("A runner took it up")),
    "attempt_begun": Look(kind="info", icon="zap", word=marked("The provider was called")),
    "attempt_ended": Look(kind="info", icon="zap", word=marked("The provider answered")),
    "parked": Look(kind="idle", icon="clock", word=marked("It waits at the provider")),
    "fell_back": Look(kind="warn", icon="refresh-cw", word=marked("The fallback took over")),
    "released": Look(kind="warn", icon="refresh-cw", word=marked("Given back to the queue")),
    "finished": Look(kind="ok", icon="circle-check", word=marked("The result was saved")),
    "failed": Look(kind="danger", icon="circle-x", word=marked("It failed")),
    "expired": Look(kind="warn", icon="clock", word=marked("The deadline passed")),
    "deadline": Look(kind="idle", icon="timer", word=marked("Deadline")),
    "result_expires": Look(kind="idle", icon="hourglass", word=marked("The result goes")),
    "joined": Look(kind="idle", icon="copy", word=marked("The same photo came again")),
    "answered": Look(kind="ok", icon="check", word=marked("The booth got its answer")),
    "replay_requested": Look(kind="idle", icon="refresh-cw", word=marked("Run again")),
    "result_deleted": Look(kind="idle", icon="trash-2", word=marked("The result was deleted")),
}
ADVICE = {
    Failure.CONTENT_BLOCKED: marked("The provider found something in the photo or the prompt. Make the prompt milder."),
    Failure.NO_IMAGE: marked("Say in the prompt more clearly that a picture is wanted, or try another model."),
    Failure.BAD_RESPONSE: marked("The provider answered nonsense. If it stays, choose a fallback for the slot."),
    Failure.PROVIDER_4XX: marked("The provider did not like the request: look at the slot's settings."),
    Failure.PROVIDER_AUTH: marked("Check the provider's key in the settings."),
    Failure.PROVIDER_UNAVAILABLE: marked("The provider is down. A fallback in the slot helps until it is back."),
    Failure.QUOTA: marked("The provider's account is used up: top it up, or set a fallback."),
    Failure.NETWORK: marked("Look at this server's connection to the internet."),
    Failure.INTERRUPTED: marked("A runner stopped in the middle. Run the photo again."),
    Failure.TIMEOUT: marked("A faster model or a longer deadline helps; see how long the attempts took."),
    Failure.STORAGE_FULL: marked("Make room on the server's disk."),
}


@administrators
async def log_page(request: Request) -> Response:
    """The newest photos that the filters in the address choose; further pages by the place where the last one ended."""
    wanted = wanted_jobs(request.query_params)
    try:
        cursor = request.query_params.get("cursor")
        beyond = Place.of_cursor(cursor) if cursor else None
    except ValueError:
        raise Refusal(Failure.NOT_FOUND) from None
    async with services(request).db.begin() as conn:
        found, following = await job_log.page(conn, wanted, limit=PAGE_SIZE, beyond=beyond)
        names = [(one.slot_id, one.display_name) for one in await slots.all_slots(conn)]
        now = await moment_now(conn)
    given = _filters(request)
    return page(
        request,
        "log_part.html" if is_part(request) else "log.html",
        now=now,
        jobs=found,
        looks=LOOKS,
        slots=names,
        given=given,
        first=beyond is None,
        query=urlencode(given),
        older=None if following is None else urlencode({**given, "cursor": following.cursor()}),
        reasons=sorted({failure.code for failure in ADVICE}),
        sources=[Source.INGEST, Source.UI_TEST],
    )


@administrators
async def job_page(request: Request) -> Response:
    """One photo: its way, its attempts, its result, and its neighbours in the log with the same filters."""
    here, job_id = services(request), asked_job_id(request)
    wanted = wanted_jobs(request.query_params)
    async with here.db.begin() as conn:
        found = await job_detail.of_job(conn, job_id)
        if found is None:
            raise Refusal(Failure.JOB_NOT_FOUND)
        place = Place(created_at=found.created_at, job_id=job_id)
        newer, older = await job_log.neighbours(conn, place, wanted=wanted)
        moments = await timeline.timeline(conn, job_id)
        now = await moment_now(conn)
    photo = await asyncio.to_thread(here.media.regular_file, found.photo_path)
    advice = ADVICE.get(Failure.of(found.failure_reason)) if found.failure_reason else None
    return page(
        request,
        "job_part.html" if is_part(request) else "job.html",
        now=now,
        job=found,
        look=LOOKS[found.status],
        moments=moments,
        events=EVENTS,
        photo_there=photo is not None,
        open=found.status in OPEN,
        may_replay=found.status in FINAL and (photo is not None or found.result_there),
        advice=advice,
        newer=newer,
        older=older,
        query=urlencode(_filters(request)),
        deadline_seconds=(found.expires_at - found.created_at).total_seconds(),
    )


@administrators
async def job_photo(request: Request) -> Response:
    """The photo as the booth sent it, while it is there."""
    here, job_id = services(request), asked_job_id(request)
    async with here.db.begin() as conn:
        found = await job_detail.of_job(conn, job_id)
    file = None if found is None else await asyncio.to_thread(here.media.regular_file, found.photo_path)
    if found is None or file is None:
        raise Refusal(Failure.PHOTO_GONE)
    return PictureResponse(
        file[0], media_type=found.photo_mime, stat_result=file[1], headers={"Cache-Control": "private, no-store"}
    )


def _filters(request: Request) -> Mapping[str, Any]:
    return {name: request.query_params[name] for name in FILTERS if request.query_params.get(name)}
