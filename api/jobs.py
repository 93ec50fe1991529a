"""`GET /api/jobs/{job_id}`: how a job stands. No login; the id is the secret."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from api.bodies import moment
from api.public import JOB_ID, unknown
from api.request_log import note
from api.state import public_url, services
from photochanger import attempts, job_state
from photochanger.attempts import Attempt
from photochanger.errors import Failure, Refusal
from photochanger.job_state import JobState
from photochanger.jobs import Status


async def job(request: Request) -> JSONResponse:
    """Status, slot, times, failure reason, attempts, result link. 404 when unknown or its result has expired."""
    job_id = request.path_params["job_id"]
    if not JOB_ID.fullmatch(job_id):
        raise await unknown(request, Failure.JOB_NOT_FOUND)
    note(request, job=job_id)
    return await job_response(request, job_id)


async def job_response(request: Request, job_id: str) -> JSONResponse:
    """The job as anybody may see it who knows its id."""
    async with services(request).db.begin() as conn:
        state = await job_state.get(conn, job_id)
        tried = await attempts.of_job(conn, job_id)
    if state is None:
        raise await unknown(request, Failure.JOB_NOT_FOUND)
    if state.result_expired:
        raise Refusal(Failure.JOB_NOT_FOUND)
    return JSONResponse(_body(request, state, tried), headers={"Cache-Control": "no-store"})


def _body(request: Request, state: JobState, tried: list[Attempt]) -> dict[str, Any]:
    done = state.status is Status.DONE
    return {
        "job_id": state.job_id,
        "status": state.status.value,
        "slot_id": state.slot_id,
        "created_at": moment(state.created_at),
        "expires_at": moment(state.expires_at),
        "finished_at": moment(state.finished_at),
        "failure_reason": state.failure_reason,
        "details": state.failure_details,
        "result_url": public_url(request, f"/public/results/{state.job_id}") if done else None,
        "result_expires_at": moment(state.result_expires_at),
        "attempts": [
            {
                "number": attempt.number,
                "provider": attempt.provider,
                "model": attempt.model,
                "started_at": moment(attempt.started_at),
                "seconds": _seconds(attempt),
                "outcome": attempt.outcome,
            }
            for attempt in tried
        ],
    }


def _seconds(attempt: Attempt) -> float | None:
    if attempt.finished_at is None:
        return None
    return round((attempt.finished_at - attempt.started_at).total_seconds(), 3)
