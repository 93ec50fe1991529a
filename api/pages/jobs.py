"""`/jobs/{job_id}`: one photo's way through the house, and what can be done with it."""

import asyncio
from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response

from api.access import administrators
from api.job_detail import asked_job_id, with_neighbours
from api.pages import log_filters, way
from api.pages.advice import ADVICE
from api.pages.formats import Formats, zone_of
from api.pages.language import language_of
from api.pages.looks import STATES
from api.pages.rendering import is_part, page
from api.pages.way import Span
from api.pictures import PictureResponse
from api.state import services
from photochanger import job_detail
from photochanger.db import moment_now
from photochanger.errors import Failure, Refusal
from photochanger.job import FINAL, OPEN

LOOK_ON_SECONDS = 90
"""So long after its end a page still looks for what comes then: that the answer is out."""


@administrators
async def job_page(request: Request) -> Response:
    """One photo: its way, its attempts, its result, and its neighbours in the log with the same filters."""
    here, job_id = services(request), asked_job_id(request)
    filters = log_filters.read(request)
    async with here.db.begin() as conn:
        found, newer, older = await with_neighbours(conn, job_id, wanted=filters.wanted)
        now = await moment_now(conn)
    photo = await asyncio.to_thread(here.media.regular_file, found.photo_path)
    fmt = Formats(language=language_of(request), zone=zone_of(request), now=now)
    steps = way.steps(found.timeline, arrived=found.created_at, deadline=found.expires_at, fmt=fmt)
    deadline_seconds = (found.expires_at - found.created_at).total_seconds()
    in_work = found.status in OPEN
    spans = way.spans(steps, deadline_seconds=deadline_seconds, until=now if in_work else None, fmt=fmt)
    answered = any(step.event in way.ENDS for step in steps)
    just_ended = found.finished_at is not None and (now - found.finished_at).total_seconds() < LOOK_ON_SECONDS
    provider = here.providers.by_name.get(found.provider)
    return page(
        request,
        "job_part.html" if is_part(request) else "job.html",
        now=now,
        job=found,
        look=STATES[found.status],
        provider=provider.title if provider else found.provider,
        steps=steps,
        spans=spans,
        shares=_shares(spans),
        deadline_x=1000 * deadline_seconds / max(deadline_seconds, sum(span.seconds for span in spans), 0.001),
        photo_there=photo is not None,
        open=in_work,
        poll_seconds=1 if in_work else 5 if just_ended and not answered else None,
        may_replay=found.status in FINAL and (photo is not None or found.result_there),
        advice=ADVICE.get(Failure.of(found.failure_reason)) if found.failure_reason else None,
        newer=newer,
        older=older,
        query=filters.query,
        deadline_seconds=deadline_seconds,
    )


def _shares(spans: Iterable[Span]) -> list[tuple[str, str, float]]:
    """What the time was spent with, each kind once: its name in the styles, its word, its seconds."""
    totals: dict[str, tuple[str, float]] = {}
    for span in spans:
        _, seconds = totals.get(span.kind, (span.word, 0.0))
        totals[span.kind] = (span.word, seconds + span.seconds)
    return [(kind, word, seconds) for kind, (word, seconds) in totals.items()]


@administrators
async def job_photo(request: Request) -> Response:
    """The photo as the booth sent it, while it is there."""
    here, job_id = services(request), asked_job_id(request)
    async with here.db.begin() as conn:
        photo = await job_detail.photo_of(conn, job_id)
    file = None if photo is None else await asyncio.to_thread(here.media.regular_file, photo.path)
    if photo is None or file is None:
        raise Refusal(Failure.PHOTO_GONE)
    return PictureResponse(
        file[0], media_type=photo.mime, stat_result=file[1], headers={"Cache-Control": "private, no-store"}
    )
