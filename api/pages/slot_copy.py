"""`POST /slots/{slot_id}/copy`: another slot gets what makes this one's pictures. A part of the page."""

import json
import re

from starlette.requests import Request
from starlette.responses import Response

from api.access import administrators, session_of
from api.bodies import form_fields
from api.pages.language import language_of, marked, words
from api.pages.rendering import page
from api.slots import slot_id_of
from api.state import services
from photochanger import slot_edits, slots
from photochanger.errors import Failure, Refusal

COPIED = marked("“%(other)s” makes the same pictures now")
REFUSALS = {
    Failure.VERSION_CONFLICT: marked("%(who)s has changed “%(other)s” meanwhile. Look at it before you copy over it."),
    Failure.VALIDATION_FAILED: marked("Nothing is copied: something in this slot's saved settings needs a look first."),
}
TARGET = re.compile(r"(slot-\d{3})/([1-9]\d{0,8})", re.ASCII)
"""The other slot, and its version as one saw it."""


@administrators
async def copy_slot_form(request: Request) -> Response:
    """Copy what is saved; the part again, with the other slots as they are now, and a toast."""
    here, by, slot_id = services(request), session_of(request).account, slot_id_of(request)
    wanted = TARGET.fullmatch((await form_fields(request)).get("to", ""))
    if wanted is None:
        raise Refusal(Failure.INVALID_REQUEST)
    to, version = wanted[1], int(wanted[2])
    said, kind = COPIED, "ok"
    try:
        async with here.db.begin() as conn:
            await slot_edits.copy(conn, slot_id, to=to, version=version, providers=here.providers, by=by)
    except Refusal as refusal:
        if refusal.failure not in REFUSALS:
            raise
        said, kind = REFUSALS[refusal.failure], "danger"
    async with here.db.begin() as conn:
        found = await slots.all_slots(conn)
    this, other = ({one.slot_id: one for one in found}[name] for name in (slot_id, to))
    text = words(language_of(request)).ugettext(said) % {"other": other.display_name, "who": other.updated_by}
    return page(
        request,
        "slot_copy.html",
        headers={"HX-Trigger": json.dumps({"toast": {"text": text, "kind": kind}})},
        slot=this,
        others=[one for one in found if one is not this],
    )
