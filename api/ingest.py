"""`POST /ingest/{slot_id}`: a booth's photo comes in, its request is held, the changed picture goes out.

Each check is made before more work is done: the slot, room on disk, the declared length and the idempotency key before
the body is read; the password as soon as its part has arrived; the size while the photo streams to disk; then its type
and pixels from its first bytes, its hash, and last, in one transaction, duplicates and the slot's limit.
"""

import asyncio
import time

import structlog
from starlette.requests import Request
from starlette.responses import Response

from api.counting import counted, for_slot, taken_in
from api.endings import discard_photo, ending
from api.photo_file import photo_file
from api.pictures import result_response
from api.request_log import note
from api.state import Services, public_url, services
from api.throttle import address_of
from api.upload import BOOTH_FORM, HASHES, MAX_FORM_BYTES, Upload, UploadReader
from photochanger import app_settings, intake, slots
from photochanger.app_settings import AppSettings
from photochanger.errors import Failure, Refusal
from photochanger.intake import Admission
from photochanger.job import Source, Status, new_job_id
from photochanger.job_state import JobState
from photochanger.photo import NewPhoto, new_photo
from photochanger.slots import Slot

log = structlog.get_logger()

MAX_KEY_CHARACTERS = 255


@counted
async def ingest(request: Request) -> Response:
    """The whole of one photo's way, as the booth sees it."""
    arrived = time.monotonic()
    here = services(request)
    slot, admin = await _slot(here, request.path_params["slot_id"])
    seconds = slot.sync_response_seconds or admin.sync_response_seconds
    key = _checked_headers(request, slot)
    await asyncio.to_thread(here.media.check_room)

    job_id = new_job_id()
    note(request, slot=slot.slot_id)
    for_slot(request, slot)
    async with photo_file(here, job_id) as file:
        upload = await _read(request, here, slot, admin, file.path, seconds)
        received = time.monotonic()
        photo = await _checked_photo(here, slot, admin, upload, job_id=job_id, key=key, arrived=arrived)
        async with here.db.transaction() as conn:
            admission = await intake.admit(conn, photo, in_work_limit=admin.photos_in_work_per_slot)
            file.job_deadline = None if admission.joined else arrived + seconds
    note(request, job=admission.job_id, joined=admission.joined, received_seconds=round(time.monotonic() - arrived, 4))
    taken_in(request, arrived=arrived, received=received)

    state = await ending(here.db, here.waiting, admission.job_id, deadline=arrived + seconds, joined=admission.joined)
    return _answer(request, here, state, admission)


async def _slot(here: Services, slot_id: str) -> tuple[Slot, AppSettings]:
    """The slot and the settings, as they are at this moment."""
    if not slots.SLOT_ID.fullmatch(slot_id):
        raise Refusal(Failure.SLOT_NOT_FOUND)
    async with here.db.direct() as conn:
        slot = await slots.get(conn, slot_id)
        admin = await app_settings.load(conn, result_ttl_hours=here.settings.result_ttl_hours)
    if slot is None:
        raise Refusal(Failure.SLOT_NOT_FOUND)
    if not slot.is_active:
        raise Refusal(Failure.SLOT_DISABLED)
    return slot, admin


def _checked_headers(request: Request, slot: Slot) -> str | None:
    """The idempotency key, if there is one."""
    declared = request.headers.get("content-length")
    if declared is not None and int(declared) > slot.size_limit_bytes + MAX_FORM_BYTES:
        raise Refusal(Failure.PAYLOAD_TOO_LARGE, f"The slot takes photos of up to {slot.size_limit_mb} MB.")
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= MAX_KEY_CHARACTERS and key.isascii() and key.isprintable()):
        raise Refusal(Failure.INVALID_REQUEST, "Idempotency-Key must be 1 to 255 printable ASCII characters.")
    return key


async def _read(
    request: Request, here: Services, slot: Slot, admin: AppSettings, photo_path: str, seconds: float
) -> Upload:
    own = slot.ingest_password_hash
    kept = admin.ingest_password_hashes if own is None else (own,)
    address = address_of(request)

    async def check_password(candidate: bytes) -> None:
        await here.passwords.check(candidate, kept=kept, address=address)

    reader = UploadReader(
        request,
        form=BOOTH_FORM,
        media=here.media,
        photo_path=photo_path,
        limit_bytes=slot.size_limit_bytes,
        seconds=seconds,
        check_password=check_password,
        turns=here.turns,
    )
    upload = await reader.read()
    for name in ("password", "hash"):
        if name not in upload.fields:
            raise Refusal(Failure.INVALID_REQUEST, f"The part {name} is missing.")
    return upload


async def _checked_photo(
    here: Services, slot: Slot, admin: AppSettings, upload: Upload, *, job_id: str, key: str | None, arrived: float
) -> NewPhoto:
    stored = await upload.stored(here.media)
    _check_hash(upload, admin)
    return new_photo(
        here.providers,
        stored,
        job_id=job_id,
        source=Source.INGEST,
        snapshot={**slot.snapshot(), "result_ttl_hours": admin.result_ttl_hours},
        booth_fields=upload.kept_fields(),
        idempotency_key=key,
        age_seconds=time.monotonic() - arrived,
        sync_response_seconds=slot.sync_response_seconds or admin.sync_response_seconds,
    )


def _check_hash(upload: Upload, admin: AppSettings) -> None:
    """The booth's hash against the file's, by its length: MD5, SHA-1 or SHA-256."""
    if admin.hash_check == "off":
        return
    given = upload.fields["hash"].decode("ascii", "replace").strip().lower()
    name = HASHES.get(len(given))
    if name is not None and upload.digests.get(name) == given:
        return
    if admin.hash_check == "warn":
        log.warning("hash_mismatch_accepted", hash_length=len(given))
        return
    raise Refusal(
        Failure.HASH_MISMATCH,
        "hash must be the MD5, SHA-1 or SHA-256 of the file in hex. If the booth's software sends something else, "
        "an administrator can switch the check: setting ingest.hash_check (reject, warn, off).",
    )


def _answer(request: Request, here: Services, state: JobState, admission: Admission) -> Response:
    if state.status is Status.DONE:
        headers = {
            "Cache-Control": "no-store",
            "X-Job-Id": state.job_id,
            "X-Result-Url": public_url(request, f"/public/results/{state.job_id}"),
        }
        if admission.joined:
            headers["X-Duplicate-Of"] = state.job_id
        return result_response(here.media, state, headers=headers)
    discard_photo(here.media, state)
    assert state.failure_reason is not None
    raise Refusal(
        Failure.of(state.failure_reason),
        state.failure_details,
        job_id=state.job_id,
        retry_after_seconds=state.retry_after_seconds,
    )
