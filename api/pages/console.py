"""What every page of administrators has around it: the health dot, logging out."""

from starlette.requests import Request
from starlette.responses import Response

from api.access import administrators
from api.health import examine, verdict
from api.job_detail import asked_job_id
from api.pages.codes import qr_code
from api.pages.rendering import page
from api.state import public_url, services
from photochanger import job_detail, slots
from photochanger.db import moment_now
from photochanger.errors import Failure, Refusal
from photochanger.job import OPEN


@administrators
async def console_health(request: Request) -> Response:
    """`GET /console/health`: the dot, and what is behind it."""
    trouble = await examine(services(request))
    return page(request, "health.html", trouble=trouble, state=verdict(trouble))


@administrators
async def test_outcome(request: Request) -> Response:
    """`GET /console/tests/{job_id}`: how a test run stands; asked again until it has ended."""
    job_id = asked_job_id(request)
    async with services(request).db.begin() as conn:
        found, now = await job_detail.of_job(conn, job_id), await moment_now(conn)
    if found is None:
        raise Refusal(Failure.JOB_NOT_FOUND)
    return page(
        request,
        "test_outcome.html",
        now=now,
        job=found,
        open=found.status in OPEN,
        spent_seconds=(now - found.created_at).total_seconds(),
        all_seconds=(found.expires_at - found.created_at).total_seconds(),
    )


@administrators
async def slot_code(request: Request) -> Response:
    """`GET /console/slots/{slot_id}/code`: the QR code that leads guests to the slot's gallery."""
    async with services(request).db.begin() as conn:
        slot = await slots.get(conn, request.path_params["slot_id"])
    if slot is None:
        raise Refusal(Failure.SLOT_NOT_FOUND)
    link = public_url(request, f"/public/slots/{slot.slot_id}")
    return page(request, "slot_code.html", slot=slot, link=link, code=qr_code(link))
