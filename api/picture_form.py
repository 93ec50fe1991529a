"""A picture that an administrator uploads: read to disk once, checked as a booth's photo is, then made plain.

    the form ──UploadReader──> work/<media_id> ──read_header──> ──picture child──> work/<media_id>.<ext>, its preview

The child decodes it: what comes out is upright, in sRGB and without metadata. Nothing of it stays in `work/`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request

from api.request_log import note
from api.state import services
from api.upload import MAX_FORM_BYTES, Form, UploadReader
from photochanger.errors import Failure, PictureError, Refusal
from photochanger.images import CheckedResult
from photochanger.media import storage_refusal
from photochanger.picture_header import read_header
from photochanger.provider_media import new_media_id

FORM = Form(photo_field="file", max_field_bytes=64 * 1024, hashes=frozenset())
LIMIT_BYTES = 15 * 1024 * 1024
READING_SECONDS = 900.0
"""More than the largest form takes at the least rate: an upload that is too slow is found to be so before."""


@dataclass(frozen=True, kw_only=True)
class UploadedPicture:
    """A picture that may be kept, with its preview; both synced, and gone when the context ends if they are not."""

    media_id: str
    checked: CheckedResult
    file: Path
    preview: Path
    fields: dict[str, bytes]


@asynccontextmanager
async def uploaded_picture(request: Request) -> AsyncIterator[UploadedPicture]:
    """The picture in the form's part `file`, under a new id.

    Raises `Refusal`: what a booth's photo is refused for (400, 408, 413, 415), also when it cannot be decoded, and 503.
    """
    here = services(request)
    declared = request.headers.get("content-length")
    if declared is not None and int(declared) > LIMIT_BYTES + MAX_FORM_BYTES:
        raise Refusal(Failure.PAYLOAD_TOO_LARGE, f"A picture may have {LIMIT_BYTES // (1024 * 1024)} MB.")
    await asyncio.to_thread(here.media.check_room)
    media_id = new_media_id()
    received = f"work/{media_id}"
    try:
        reader = UploadReader(
            request,
            form=FORM,
            media=here.media,
            photo_path=received,
            limit_bytes=LIMIT_BYTES,
            seconds=READING_SECONDS,
            turns=here.turns,
        )
        form = await reader.read()
        if form.photo_bytes is None:
            raise Refusal(Failure.INVALID_REQUEST, f"The part {FORM.photo_field} is missing.")
        note(request, bytes_in=form.photo_bytes)
        work, previews = here.media.folder("work"), here.media.folder("work/previews")
        source = here.media.path_of(received)
        await asyncio.to_thread(read_header, source)
        try:
            checked = await here.pictures.check_result(source, work, name=media_id, preview_folder=previews)
        except PictureError as error:
            raise Refusal(Failure.INVALID_IMAGE, str(error)) from error
        except OSError as error:
            raise storage_refusal(error) from error
        yield UploadedPicture(
            media_id=media_id,
            checked=checked,
            file=work / checked.file_name,
            preview=previews / checked.preview_name,
            fields=form.fields,
        )
    finally:
        here.media.discard_work(media_id)
