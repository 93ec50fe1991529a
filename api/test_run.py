"""`POST /api/slots/{slot_id}/test-run`: an administrator tries a slot's form, saved or not, on a photo of their own.

The same way as a booth's: the same checks of the picture, the same queue and runners. Its figures are kept apart, and
its result is in no public gallery.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from api.access import administrators
from api.bodies import parsed_object
from api.endings import discard_photo, ending
from api.jobs import job_response
from api.orders import accepted, age_seconds, take_in
from api.photo_file import photo_file
from api.request_log import note
from api.state import Services, services
from api.upload import MAX_FORM_BYTES, Form, Upload, UploadReader
from photochanger import app_settings, slots, unsaved_slot
from photochanger.app_settings import AppSettings
from photochanger.errors import Failure, Refusal
from photochanger.job import Source, new_job_id
from photochanger.photo import new_photo
from photochanger.slots import Slot

PAYLOAD_FIELD = "slot_payload"
TEST_FORM = Form(photo_field="test_image", max_field_bytes=200 * 1024, hashes=frozenset())
MOST_BYTES = 20 * 1024 * 1024
"""What any slot may allow: the form that says how much this one does may come behind the photo."""


@dataclass(frozen=True, kw_only=True)
class _Place:
    slot: Slot
    admin: AppSettings

    @property
    def seconds(self) -> int:
        return self.slot.sync_response_seconds or self.admin.sync_response_seconds


@administrators
async def test_run(request: Request) -> JSONResponse:
    """202 with the job's id and where to ask on; with `?wait=1` the job itself, when it has ended.

    Works on a slot that is switched off, too. 422 names each field of `slot_payload` that cannot be taken.
    """
    arrived = time.monotonic()
    here = services(request)
    waits = _waits(request)
    saved = await _saved(here, request.path_params["slot_id"])
    note(request, slot=saved.slot.slot_id)
    _check_declared_length(request)
    await asyncio.to_thread(here.media.check_room)

    job_id = new_job_id()
    async with photo_file(here, job_id) as file:
        reader = UploadReader(
            request,
            form=TEST_FORM,
            media=here.media,
            photo_path=file.path,
            limit_bytes=MOST_BYTES,
            seconds=saved.seconds,
            turns=here.turns,
        )
        upload = await reader.read()
        tried, unsaved = await _tried(here, saved, upload)
        stored = await upload.stored(here.media)
        if stored.size_bytes > tried.slot.size_limit_bytes:
            raise Refusal(Failure.PAYLOAD_TOO_LARGE, f"The slot takes photos of up to {tried.slot.size_limit_mb} MB.")
        photo = new_photo(
            here.providers,
            stored,
            job_id=job_id,
            source=Source.UI_TEST,
            snapshot=_snapshot(tried, unsaved=unsaved),
            booth_fields={},
            age_seconds=age_seconds(arrived),
            sync_response_seconds=tried.seconds,
        )
        deadline = arrived + tried.seconds
        state = await take_in(
            request, file, photo, tried.admin, deadline=deadline, event="slot_tested", unsaved=unsaved
        )
    if not waits:
        return accepted(request, state, deadline=deadline)
    state = await ending(here.db, here.waiting, job_id, deadline=deadline)
    discard_photo(here.media, state)
    return await job_response(request, job_id, whole=True)


def _waits(request: Request) -> bool:
    wait = request.query_params.get("wait", "0")
    if wait not in {"0", "1"}:
        raise Refusal(Failure.VALIDATION_FAILED, facts={"fields": {"wait": "It must be 0 or 1."}})
    return wait == "1"


async def _saved(here: Services, slot_id: str) -> _Place:
    async with here.db.direct() as conn:
        slot = await slots.get(conn, slot_id)
        admin = await app_settings.load(conn, result_ttl_hours=here.settings.result_ttl_hours)
    if slot is None:
        raise Refusal(Failure.SLOT_NOT_FOUND)
    return _Place(slot=slot, admin=admin)


def _check_declared_length(request: Request) -> None:
    declared = request.headers.get("content-length")
    if declared is not None and int(declared) > MOST_BYTES + MAX_FORM_BYTES:
        raise Refusal(Failure.PAYLOAD_TOO_LARGE, f"Photos of up to {MOST_BYTES // 1024 // 1024} MB are taken.")


async def _tried(here: Services, saved: _Place, upload: Upload) -> tuple[_Place, bool]:
    """The slot as the form has it, and whether it came with one."""
    strangers = set(upload.fields) - {PAYLOAD_FIELD}
    if strangers:
        raise Refusal(Failure.VALIDATION_FAILED, facts={"fields": dict.fromkeys(strangers, "There is no such part.")})
    raw = upload.fields.get(PAYLOAD_FIELD)
    form: dict[str, Any] = {} if raw is None else parsed_object(raw, what=f"The part {PAYLOAD_FIELD}")
    async with here.db.begin() as conn:
        slot = await unsaved_slot.with_form(conn, here.providers, saved.slot, form)
    return _Place(slot=slot, admin=saved.admin), raw is not None


def _snapshot(tried: _Place, *, unsaved: bool) -> dict[str, Any]:
    """What the job keeps of it. Settings that were never saved are no version of the slot."""
    snapshot = {**tried.slot.snapshot(), "result_ttl_hours": tried.admin.result_ttl_hours}
    return {**snapshot, "slot_version": None} if unsaved else snapshot
