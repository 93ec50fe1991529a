"""`GET /api/jobs/{job_id}/detail`: all that is known of one job, for administrators. Never a secret."""

import asyncio
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.access import administrators
from api.bodies import moment
from api.job_log import wanted_jobs
from api.jobs import rounded, whole_attempt
from api.public import JOB_ID
from api.request_log import note
from api.state import public_url, services
from photochanger import job_detail, job_log
from photochanger.errors import Failure, Refusal
from photochanger.job import FINAL
from photochanger.job_detail import JobDetail
from photochanger.job_log import Place, Wanted
from photochanger.timeline import Moment


def asked_job_id(request: Request) -> str:
    """The id in the path. Raises `Refusal` (`job_not_found`) for what cannot be one."""
    job_id: str = request.path_params["job_id"]
    if not JOB_ID.fullmatch(job_id):
        raise Refusal(Failure.JOB_NOT_FOUND)
    note(request, job=job_id)
    return job_id


async def with_neighbours(
    conn: AsyncConnection, job_id: str, *, wanted: Wanted
) -> tuple[JobDetail, str | None, str | None]:
    """The job, and the ids of the next newer and older ones of the log with these filters.

    Raises `Refusal` (`job_not_found`).
    """
    found = await job_detail.of_job(conn, job_id)
    if found is None:
        raise Refusal(Failure.JOB_NOT_FOUND)
    newer, older = await job_log.neighbours(conn, Place(created_at=found.created_at, job_id=job_id), wanted=wanted)
    return found, newer, older


@administrators
async def detail(request: Request) -> JSONResponse:
    """The job, its attempts, its timeline, and its neighbours in the log with the same filters as `GET /api/jobs`."""
    here, job_id = services(request), asked_job_id(request)
    wanted = wanted_jobs(request.query_params)
    async with here.db.begin() as conn:
        found, newer, older = await with_neighbours(conn, job_id, wanted=wanted)
    photo = await asyncio.to_thread(here.media.regular_file, found.photo_path)
    body = _body(request, found, photo_there=photo is not None)
    return JSONResponse({**body, "neighbours": {"newer": newer, "older": older}}, headers={"Cache-Control": "no-store"})


def _body(request: Request, found: JobDetail, *, photo_there: bool) -> dict[str, Any]:
    replay_from = None
    if found.status in FINAL:
        replay_from = "photo" if photo_there else "result" if found.result_there else None
    return {
        "job_id": found.job_id,
        "slot_id": found.slot_id,
        "display_name": found.slot_name,
        "source": found.source,
        "provider": found.provider,
        "on_fallback": found.on_fallback,
        "status": found.status,
        "created_at": moment(found.created_at),
        "expires_at": moment(found.expires_at),
        "finished_at": moment(found.finished_at),
        "seconds": rounded(found.seconds),
        "failure_reason": found.failure_reason,
        "details": found.failure_details,
        "retry_after": found.retry_after_seconds,
        "runner": found.runner,
        "max_attempts": found.max_attempts,
        "provider_job_reference": found.provider_job_reference,
        "cost_usd": None if found.cost_usd is None else float(found.cost_usd),
        "result": _result(request, found),
        "photo": {
            "mime": found.photo_mime,
            "bytes": found.photo_bytes,
            "width": found.photo_width,
            "height": found.photo_height,
            "sha256": found.photo_sha256.hex(),
            "there": photo_there,
        },
        "slot_version": found.slot_version,
        "snapshot": found.snapshot,
        "booth_fields": found.booth_fields,
        "replay_of": found.replay_of,
        "replay_from": replay_from,
        "attempts": [whole_attempt(attempt) for attempt in found.attempts],
        "timeline": [_moment(happened) for happened in found.timeline],
    }


def _result(request: Request, found: JobDetail) -> dict[str, Any] | None:
    """Its figures outlive its file."""
    if found.result_sha256 is None:
        return None
    link = public_url(request, f"/public/results/{found.job_id}")
    return {
        "url": link if found.result_there else None,
        "preview_url": f"{link}/preview" if found.preview_there else None,
        "mime": found.result_mime,
        "bytes": found.result_bytes,
        "sha256": found.result_sha256.hex(),
        "expires_at": moment(found.result_expires_at),
    }


def _moment(happened: Moment) -> dict[str, Any]:
    return {
        "at": moment(happened.at),
        "event": happened.event,
        "runner": happened.runner,
        "actor": happened.actor,
        "details": happened.details,
    }
