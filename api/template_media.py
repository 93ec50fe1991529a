"""Template media for administrators: register, list, look at, delete."""

import asyncio
import unicodedata
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.access import administrators, session_of
from api.bodies import moment
from api.picture_form import uploaded_picture
from api.pictures import PictureResponse, or_unchanged
from api.request_log import note
from api.state import services
from photochanger import audit, templates
from photochanger.errors import Failure, Refusal
from photochanger.placing import put_in_place
from photochanger.templates import Template

MAX_TITLE_CHARACTERS = 200
NO_STORE = {"Cache-Control": "no-store"}
CONTROLS = {"Cc", "Cs", "Zl", "Zp"}


@administrators
async def register_template(request: Request) -> Response:
    """201 with the new template; 200 with the one that has this picture already."""
    here, account = services(request), session_of(request).account
    async with uploaded_picture(request) as uploaded:
        title = _title(uploaded.fields.get("title", b""))
        async with here.db.begin() as conn:
            template = await templates.register(
                conn, media_object_id=uploaded.media_id, title=title, picture=uploaded.checked, by=account
            )
            is_new = template.media_object_id == uploaded.media_id
            if is_new:
                await audit.record(conn, "template_registered", actor=account, **_facts(template))
            # Also under an old id: should its file have been lost, here it is again.
            files = {uploaded.preview: template.preview_path, uploaded.file: template.path}
            await put_in_place(here.media, files, are_new=is_new)
    note(request, template=template.media_object_id, new=is_new)
    return JSONResponse(_body(template), 201 if is_new else 200, headers=NO_STORE)


@administrators
async def template_list(request: Request) -> Response:
    """All of them, the newest first, each with the slots that use it."""
    async with services(request).db.at_once() as conn:
        found = await templates.all_templates(conn)
    return JSONResponse({"templates": [_body(template) for template in found]}, headers=NO_STORE)


@administrators
async def template_file(request: Request) -> Response:
    """The picture itself."""
    template = await _template(request)
    return _picture(request, template.path, mime=template.mime, tag=template.media_object_id)


@administrators
async def template_preview(request: Request) -> Response:
    """Its thumbnail, a WEBP."""
    template = await _template(request)
    return _picture(request, template.preview_path, mime="image/webp", tag=f"{template.media_object_id}-preview")


@administrators
async def delete_template(request: Request) -> Response:
    """204; 409 while a slot uses it. The row goes first: a file that a crash leaves behind is swept as an orphan."""
    here, account = services(request), session_of(request).account
    async with here.db.begin() as conn:
        template = await templates.delete(conn, request.path_params["media_object_id"])
        await audit.record(conn, "template_deleted", actor=account, **_facts(template))
    note(request, template=template.media_object_id)
    await asyncio.to_thread(here.media.discard, template.path, template.preview_path)
    return Response(status_code=204, headers=NO_STORE)


async def _template(request: Request) -> Template:
    async with services(request).db.at_once() as conn:
        return await templates.get(conn, request.path_params["media_object_id"])


def _picture(request: Request, relative: str, *, mime: str, tag: str) -> Response:
    """Kept by the browser, asked for again each time: who has logged out gets nothing more."""
    found = services(request).media.regular_file(relative)
    if found is None:
        raise Refusal(Failure.MEDIA_LOST, "The template's file is missing.")
    path, figures = found
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"}
    return or_unchanged(request, PictureResponse(path, media_type=mime, stat_result=figures, headers=headers))


def _title(given: bytes) -> str | None:
    """Text of one line, or None for an empty one. Raises `Refusal` (`validation_failed`)."""
    try:
        title = given.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise _wrong_title("The title must be UTF-8.") from None
    if len(title) > MAX_TITLE_CHARACTERS:
        raise _wrong_title(f"The title may have {MAX_TITLE_CHARACTERS} characters.")
    if any(unicodedata.category(character) in CONTROLS for character in title):
        raise _wrong_title("The title must be one line without control characters.")
    return title or None


def _wrong_title(sentence: str) -> Refusal:
    return Refusal(Failure.VALIDATION_FAILED, facts={"fields": {"title": sentence}})


def _facts(template: Template) -> dict[str, Any]:
    return {"template": template.media_object_id, "title": template.title, "bytes": template.bytes}


def _body(template: Template) -> dict[str, Any]:
    return {
        "media_object_id": template.media_object_id,
        "title": template.title,
        "mime": template.mime,
        "bytes": template.bytes,
        "width": template.width,
        "height": template.height,
        "created_at": moment(template.created_at),
        "created_by": template.created_by,
        "used_by": list(template.used_by),
    }
