"""`POST /api/jobs/{job_id}/replay`: an administrator has a final job run again."""

import asyncio
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from api.access import administrators
from api.bodies import json_object
from api.job_detail import asked_job_id
from api.orders import accepted, age_seconds, take_in
from api.photo_file import photo_file
from api.state import services
from photochanger import app_settings, replays, slots
from photochanger.errors import Failure, Refusal
from photochanger.job import Source, new_job_id
from photochanger.photo import new_photo

SETTINGS = ("now", "snapshot")


@administrators
async def replay(request: Request) -> JSONResponse:
    """202 with the new job's id, and whether it is made from the photo or from the result.

    With the slot's settings as they are, or with `{"settings": "snapshot"}` those of the first time. 409 while the job
    is in work, 410 when nothing is left of it. Works on a slot that is switched off, too.
    """
    arrived = time.monotonic()
    here, old_id = services(request), asked_job_id(request)
    wanted = await _wanted_settings(request)
    await asyncio.to_thread(here.media.check_room)
    async with here.db.begin() as conn:
        old = await replays.original(conn, old_id)
        slot = await slots.get(conn, old.slot_id)
        admin = await app_settings.load(conn, result_ttl_hours=here.settings.result_ttl_hours)
    assert slot is not None
    snapshot = slot.snapshot() if wanted == "now" else dict(old.snapshot)
    if mistakes := here.providers.mistakes(snapshot["provider"], snapshot["operation"], snapshot["settings"]):
        raise Refusal(Failure.VALIDATION_FAILED, "These settings cannot be used any more.", facts={"fields": mistakes})

    job_id = new_job_id()
    seconds = slot.sync_response_seconds or admin.sync_response_seconds
    deadline = arrived + seconds
    async with photo_file(here, job_id) as file:
        stored, origin = await asyncio.to_thread(replays.take_again, here.media, old, path=file.path)
        photo = new_photo(
            here.providers,
            stored,
            job_id=job_id,
            source=Source.UI_TEST,
            snapshot={**snapshot, "result_ttl_hours": admin.result_ttl_hours},
            booth_fields=old.booth_fields,
            age_seconds=age_seconds(arrived),
            sync_response_seconds=seconds,
            replay_of=old_id,
        )
        facts: dict[str, Any] = {"replay_of": old_id, "from": origin, "settings": wanted, "replay": job_id}
        state = await take_in(request, file, photo, admin, deadline=deadline, event="job_replayed", on=old_id, **facts)
    return accepted(request, state, deadline=deadline, **{"from": origin, "replay_of": old_id})


async def _wanted_settings(request: Request) -> str:
    body = await json_object(request, optional=True)
    wanted = body.pop("settings", SETTINGS[0])
    fields = dict.fromkeys(body, "There is no such field.")
    if not isinstance(wanted, str) or wanted not in SETTINGS:
        fields["settings"] = f"It must be one of {', '.join(SETTINGS)}."
    if fields:
        raise Refusal(Failure.VALIDATION_FAILED, facts={"fields": fields})
    return str(wanted)
