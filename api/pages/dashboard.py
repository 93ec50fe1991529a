"""`GET /`: the 15 slots at a glance. To htmx it gives the board alone, every few seconds.

The filter is in the address (`?q=`, `?problems=1`): what one sees can be sent to a colleague. A slot is switched on and
off from its row; what "Not set up" and "New slot" mean is photochanger/slot_condition.py's.
"""

import asyncio
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from api.access import administrators, session_of
from api.bodies import form_fields
from api.pages.conditions import surroundings
from api.pages.formats import Formats, zone_of
from api.pages.language import language_of, marked, words
from api.pages.rendering import is_part, page
from api.slots import slot_id_of
from api.state import Services, public_url, services
from photochanger import app_settings, slot_edits, slots, window
from photochanger.board import Board, SlotRow, board
from photochanger.db import moment_now
from photochanger.errors import Failure, Refusal
from photochanger.slot_condition import PROBLEMS, Condition, Lack, Surroundings, condition, lacks, untouched

LONGEST_FILTER = 100
LITTLE_DISK_SHARE = 0.1


@dataclass(frozen=True, kw_only=True)
class Pill:
    """How a condition is shown."""

    kind: str
    icon: str
    word: str
    why: str


PILLS = {
    Condition.ACTIVE: Pill(
        kind="ok", icon="circle-check", word=marked("Active"), why=marked("Photos are taken in and changed")
    ),
    Condition.BUSY: Pill(
        kind="info",
        icon="hourglass",
        word=marked("Busy"),
        why=marked("All places are taken: the next photo has to wait"),
    ),
    Condition.FAILING: Pill(
        kind="danger", icon="circle-x", word=marked("Errors"), why=marked("Photos have failed in the last 15 minutes")
    ),
    Condition.LATE: Pill(kind="warn", icon="clock", word=marked("Delay"), why=marked("Photos come late or not at all")),
    Condition.OFF: Pill(
        kind="idle", icon="circle-pause", word=marked("Off"), why=marked("Switched off: photos are refused")
    ),
    Condition.UNCONFIGURED: Pill(
        kind="idle", icon="circle-dashed", word=marked("Not set up"), why=marked("Something is missing for it to work")
    ),
}
LACKS = {
    Lack.SETTINGS: marked("the settings need a look"),
    Lack.TEMPLATE: marked("a template picture is missing"),
    Lack.KEY: marked("the provider's key is missing"),
}

SWITCHED = {True: marked("“%(slot)s” is switched on"), False: marked("“%(slot)s” is switched off")}
NOT_READY = marked("“%(slot)s” cannot be switched on: something in its settings needs a look first.")
MEANWHILE = marked("%(who)s has changed “%(slot)s” meanwhile (%(when)s). Look again before you switch it.")


@dataclass(frozen=True, kw_only=True)
class Line:
    """A slot as the list shows it."""

    row: SlotRow
    condition: Condition
    pill: Pill
    provider: str
    lack: str | None
    untouched: bool
    ingest_host: str
    ingest_path: str


@dataclass(frozen=True, kw_only=True)
class Disk:
    """The disk that holds the pictures."""

    free_bytes: int
    little: bool


@administrators
async def dashboard(request: Request) -> Response:
    """The page, or its board."""
    here, zone = services(request), zone_of(request)
    async with here.db.begin() as conn:
        known = await window.past(conn, job_retention_days=here.settings.job_retention_days)
        seen = await board(conn, known, zone=zone)
        settings = await app_settings.load(conn, result_ttl_hours=here.settings.result_ttl_hours)
        around = await surroundings(conn, here, settings)
    lines = [_line(request, row, around) for row in seen.slots]
    wanted = request.query_params.get("q", "")[:LONGEST_FILTER].strip()
    problems = request.query_params.get("problems") == "1"
    return page(
        request,
        "board.html" if is_part(request) else "dashboard.html",
        now=seen.now,
        part=is_part(request),
        board=seen,
        lines=_chosen(lines, wanted=wanted, problems=problems),
        total=len(lines),
        free=next((line.row for line in lines if line.untouched), None),
        troubled=sum(line.condition in PROBLEMS for line in lines),
        wanted=wanted,
        problems=problems,
        disk=await asyncio.to_thread(_disk, here),
        missing_keys=_missing_keys(here, around, seen),
        simulated=around.simulated,
        without_password=settings.ingest_password_hash is None,
    )


@administrators
async def switch_slot(request: Request) -> Response:
    """`POST …/switch`: on or off, if the slot is still as one saw it. A toast, and the board asks anew."""
    here, slot_id, fields = services(request), slot_id_of(request), await form_fields(request)
    try:
        version, on = int(fields["version"]), {"1": True, "0": False}[fields["is_active"]]
    except (KeyError, ValueError):
        raise Refusal(Failure.INVALID_REQUEST) from None
    said, kind = SWITCHED[on], "ok"
    try:
        async with here.db.begin() as conn:
            by = session_of(request).account
            await slot_edits.switch(conn, slot_id, on=on, version=version, providers=here.providers, by=by)
    except Refusal as refusal:
        if refusal.failure not in {Failure.VALIDATION_FAILED, Failure.VERSION_CONFLICT}:
            raise
        said, kind = MEANWHILE if refusal.failure is Failure.VERSION_CONFLICT else NOT_READY, "danger"
    async with here.db.begin() as conn:
        found, now = await slots.get(conn, slot_id), await moment_now(conn)
    assert found is not None, "no slot is ever removed"
    when = Formats(language=language_of(request), zone=zone_of(request), now=now).ago_text(found.updated_at)
    text = words(language_of(request)).ugettext(said) % {
        "slot": found.display_name,
        "who": found.updated_by,
        "when": when,
    }
    news = {"toast": {"text": text, "kind": kind}, "poll-now": True}
    return Response(status_code=204, headers={"HX-Trigger": json.dumps(news), "Cache-Control": "no-store"})


def _line(request: Request, row: SlotRow, around: Surroundings) -> Line:
    found, lack = condition(row, around), lacks(row, around)
    known = around.providers.by_name.get(row.provider)
    return Line(
        row=row,
        condition=found,
        pill=PILLS[found],
        provider=known.title if known else row.provider,
        lack=LACKS[lack] if lack is not None and row.is_active else None,
        untouched=untouched(row),
        ingest_host=public_url(request, ""),
        ingest_path=f"/ingest/{row.slot_id}",
    )


def _chosen(lines: Sequence[Line], *, wanted: str, problems: bool) -> list[Line]:
    text = wanted.casefold()
    return [
        line
        for line in lines
        if text in f"{line.row.slot_id} {line.row.display_name} {line.provider}".casefold()
        and (not problems or line.condition in PROBLEMS)
    ]


def _missing_keys(here: Services, around: Surroundings, seen: Board) -> list[str]:
    """Providers that slots in use name, without a key."""
    used = {row.provider for row in seen.slots if row.is_active} & set(here.providers.by_name)
    return sorted(here.providers.by_name[name].title for name in used if name not in around.keyed)


def _disk(here: Services) -> Disk | None:
    """None while MEDIA_ROOT is not there."""
    try:
        usage = shutil.disk_usage(here.media.root)
    except OSError:
        return None
    return Disk(free_bytes=usage.free, little=usage.free < usage.total * LITTLE_DISK_SHARE)
