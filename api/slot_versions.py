"""A slot's history: its last 20 versions, one of them restored; and a slot's settings copied to another."""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from api.access import administrators, session_of
from api.bodies import json_object, moment
from api.slots import NO_STORE, answer, slot_id_of, templates_of
from api.state import services
from photochanger import json_rules, slot_edits, slot_history, slot_rules, templates
from photochanger.errors import Failure, Refusal
from photochanger.slot_history import SlotVersion

VERSION = re.compile(r"[1-9][0-9]{0,8}")


@administrators
async def version_list(request: Request) -> JSONResponse:
    """`GET /api/slots/{slot_id}/versions`: the newest first, each with what it changed."""
    slot_id = slot_id_of(request)
    async with services(request).db.begin() as conn:
        kept = await slot_history.versions(conn, slot_id)
        ids = {one for version in kept for one in version.document["template_media"].values()}
        titles = await templates.titles(conn, ids)
    shown = [_version(one, before, titles) for one, before in pairwise([*kept, None]) if one is not None]
    return JSONResponse({"versions": shown}, headers=NO_STORE)


def _version(one: SlotVersion, before: SlotVersion | None, titles: Mapping[str, str | None]) -> dict[str, Any]:
    document = one.document
    return {
        "version": one.version,
        "saved_at": moment(one.saved_at),
        "saved_by": one.saved_by,
        "changed": None if before is None else slot_rules.changed(before.document, document),
        "document": {**document, "template_media": templates_of(document["template_media"], titles)},
    }


@administrators
async def restore_version(request: Request) -> JSONResponse:
    """`POST /api/slots/{slot_id}/versions/{version}/restore`: what stood then, checked again, as a new version."""
    here, slot_id, by = services(request), slot_id_of(request), session_of(request).account
    wanted = request.path_params["version"]
    if not VERSION.fullmatch(wanted):
        raise Refusal(Failure.NOT_FOUND)
    version = await _version_in_body(request)
    async with here.db.begin() as conn:
        restored = await slot_edits.restore(
            conn, slot_id, wanted=int(wanted), version=version, providers=here.providers, by=by
        )
        return await answer(request, conn, restored)


@administrators
async def copy_slot(request: Request) -> JSONResponse:
    """`POST /api/slots/{slot_id}/copy-to/{other}`: the other slot makes the same pictures from now on."""
    here, slot_id, by = services(request), slot_id_of(request), session_of(request).account
    version = await _version_in_body(request)
    async with here.db.begin() as conn:
        changed = await slot_edits.copy(
            conn, slot_id, to=request.path_params["other"], version=version, providers=here.providers, by=by
        )
        return await answer(request, conn, changed)


async def _version_in_body(request: Request) -> int:
    """Of the slot that is to be changed, as its editor knows it."""
    body = await json_object(request, not_numbers=True)
    slot_rules.refuse(json_rules.mistakes(slot_rules.VERSION_BODY, body))
    version: int = body["version"]
    return version
