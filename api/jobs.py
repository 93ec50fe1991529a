"""`GET /api/jobs/{job_id}`: how a job stands. No login; the id is the secret.

Guests have that id from their result's link. What an attempt has cost, what the provider calls it and why it failed is
told to administrators alone.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from api.access import current_session
from api.bodies import moment
from api.public import JOB_ID, unknown
from api.request_log import note
from api.state import public_url, services
from photochanger import attempts, job_state
from photochanger.attempts import Attempt
from photochanger.errors import Failure, Refusal
from photochanger.job_state import JobState
from photochanger.jobs import Status

HEADERS = {"Cache-Control": "no-store", "Vary": "Authorization, Cookie"}


async def job(request: Request) -> JSONResponse:
    """Status, slot, times, failure reason, attempts, result link. 404 when unknown or its result has expired.

    A session that does not count (any more) is a stranger's: the id alone lets in.
    """
    job_id = request.path_params["job_id"]
    if not JOB_ID.fullmatch(job_id):
        raise await unknown(request, Failure.JOB_NOT_FOUND)
    note(request, job=job_id)
    session = await current_session(request)
    if session is not None:
        note(request, account=session.account)
    return await job_response(request, job_id, whole=session is not None)


async def job_response(request: Request, job_id: str, *, whole: bool) -> JSONResponse:
    """The job as anybody may see it who knows its id; `whole`: with all of its attempts, for administrators."""
    async with services(request).db.begin() as conn:
        state = await job_state.get(conn, job_id)
        tried = await attempts.of_job(conn, job_id)
    if state is None:
        raise await unknown(request, Failure.JOB_NOT_FOUND)
    if state.result_expired:
        raise Refusal(Failure.JOB_NOT_FOUND)
    body = _body(request, state)
    shown = [whole_attempt(attempt) if whole else _short_attempt(attempt) for attempt in tried]
    return JSONResponse({**body, "attempts": shown}, headers=HEADERS)


def _body(request: Request, state: JobState) -> dict[str, Any]:
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
    }


def _short_attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "provider": attempt.provider,
        "model": attempt.model,
        "started_at": moment(attempt.started_at),
        "seconds": rounded(attempt.seconds),
        "outcome": attempt.outcome,
    }


def whole_attempt(attempt: Attempt) -> dict[str, Any]:
    """All of its row."""
    return {
        **_short_attempt(attempt),
        "http_status": attempt.http_status,
        "request_id": attempt.request_id,
        "usage": attempt.usage,
        "cost_usd": None if attempt.cost_usd is None else float(attempt.cost_usd),
        "reason": attempt.reason,
    }


def rounded(seconds: float | None) -> float | None:
    """To milliseconds."""
    return None if seconds is None else round(seconds, 3)
