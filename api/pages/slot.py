"""`/slots/{slot_id}`: one slot's form, its link, its tests, its last results and versions."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.access import administrators, session_of
from api.bodies import form_fields
from api.pages import mistakes
from api.pages.fields import OPERATIONS, ROLES
from api.pages.language import language_of, marked, words
from api.pages.rendering import page
from api.pages.slot_form import body_of, first_plan, plan_form, roles_of, shown_of
from api.slots import slot_id_of
from api.state import public_url, services
from photochanger import app_settings, recent_results, slot_edits, slot_history, slot_rules, slots, templates
from photochanger.db import moment_now
from photochanger.errors import Failure, Refusal
from photochanger.slot_edits import Keep
from photochanger.slots import Slot

SAVED, RESTORED = marked("Saved"), marked("Version %(version)s is restored")
BOOTH_FIELDS = ("password", "hash", "fileToUpload")


@administrators
async def slot_page(request: Request) -> Response:
    """The whole page, with the slot as it is saved."""
    async with services(request).db.begin() as conn:
        found = await _found(request, conn)
        return await _page(request, conn, found, slot_rules.document_of(found))


@administrators
async def slot_form(request: Request) -> Response:
    """The form as it was sent, with the fields of the provider and operation that it names now. Saves nothing.

    With `?check=1` it says what is wrong with it, too.
    """
    known = services(request).providers
    body, refusal = body_of(known, await form_fields(request)), None
    if request.query_params.get("check") == "1":
        given, wrong = slot_rules.read_body(body)
        fields = {**slot_rules.problems(given, known), **wrong}
        refusal = Refusal(Failure.VALIDATION_FAILED, facts={"fields": fields}) if fields else None
    async with services(request).db.begin() as conn:
        found = await _found(request, conn)
        return await _page(request, conn, found, shown_of(body), template="slot_form.html", refusal=refusal)


@administrators
async def slot_payload(request: Request) -> Response:
    """The form as the `slot_payload` of a test run."""
    slot_id_of(request)
    body = body_of(services(request).providers, await form_fields(request))
    kept = {name: value for name, value in body.items() if name != "ingest_password"}
    return JSONResponse(kept, headers={"Cache-Control": "no-store"})


@administrators
async def save_slot_form(request: Request) -> Response:
    """Save it; the form again, with a toast, or with what is wrong and where."""
    here, by = services(request), session_of(request).account
    slot_id, body = slot_id_of(request), body_of(here.providers, await form_fields(request))
    given, wrong = slot_rules.read_body(body)
    password: str | Keep | None = Keep.KEEP
    if "ingest_password" in body and "ingest_password" not in wrong:
        wanted = body["ingest_password"]
        password = None if wanted is None else await here.passwords.hashed(wanted)
    try:
        async with here.db.begin() as conn:
            saved = await slot_edits.save(
                conn,
                slot_id,
                given,
                version=0 if "version" in wrong else body["version"],
                providers=here.providers,
                by=by,
                wrong=wrong,
                password_hash=password,
            )
            document = slot_rules.document_of(saved)
            return await _page(request, conn, saved, document, template="slot_form.html", said=SAVED)
    except Refusal as refusal:
        if refusal.failure not in {Failure.VALIDATION_FAILED, Failure.VERSION_CONFLICT}:
            raise
        async with here.db.begin() as conn:
            found = await _found(request, conn)
            return await _page(request, conn, found, shown_of(body), template="slot_form.html", refusal=refusal)


@administrators
async def restore_slot(request: Request) -> Response:
    """Make an earlier version the slot's again."""
    here, by, fields = services(request), session_of(request).account, await form_fields(request)
    slot_id = slot_id_of(request)
    try:
        wanted, version = int(fields.get("wanted", "")), int(fields.get("version", ""))
    except ValueError:
        raise Refusal(Failure.INVALID_REQUEST) from None
    refusal = None
    async with here.db.begin() as conn:
        try:
            await slot_edits.restore(conn, slot_id, wanted=wanted, version=version, providers=here.providers, by=by)
        except Refusal as refused:
            if refused.failure not in {Failure.VALIDATION_FAILED, Failure.VERSION_CONFLICT}:
                raise
            refusal = refused
    async with here.db.begin() as conn:
        found = await _found(request, conn)
        return await _page(
            request,
            conn,
            found,
            slot_rules.document_of(found),
            template="slot_form.html",
            said=None if refusal else RESTORED,
            refusal=refusal,
            facts={"version": wanted},
        )


async def _found(request: Request, conn: AsyncConnection) -> Slot:
    found = await slots.get(conn, slot_id_of(request))
    if found is None:
        raise Refusal(Failure.SLOT_NOT_FOUND)
    return found


async def _page(
    request: Request,
    conn: AsyncConnection,
    found: Slot,
    document: Mapping[str, Any],
    *,
    template: str = "slot.html",
    said: str | None = None,
    refusal: Refusal | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Response:
    here, language = services(request), language_of(request)
    admin = await app_settings.load(conn, result_ttl_hours=here.settings.result_ttl_hours)
    fallback = document["fallback"] or first_plan(here.providers, other_than=document["provider"])
    plan = plan_form(here.providers, document, prefix="")
    shown = words(language).ugettext(said) % (facts or {}) if said else None
    return page(
        request,
        template,
        status=200,  # htmx lays only good answers over the page, and a form that is wrong is the page to see
        now=await moment_now(conn),
        headers={"HX-Trigger": json.dumps({"toast": {"text": shown}})} if shown else None,
        slot=found,
        document=document,
        edited_version=document.get("version", found.version),
        plan=plan,
        model=plan.provider.model(document["settings"]).name if _names_model(plan.provider, document) else None,
        fallback=plan_form(here.providers, fallback, prefix="fallback."),
        providers=list(here.providers.by_name.values()),
        operation_words=OPERATIONS,
        roles=[(role, ROLES.get(role)) for role in roles_of(here.providers, document)],
        templates={one.media_object_id: one for one in await templates.all_templates(conn)},
        versions=await slot_history.versions(conn, found.slot_id),
        changed=slot_rules.changed,
        results=await recent_results.of_slot(conn, found.slot_id, limit=admin.gallery_size),
        default_seconds=admin.sync_response_seconds,
        ingest_host=public_url(request, ""),
        ingest_path=f"/ingest/{found.slot_id}",
        booth_fields=BOOTH_FIELDS,
        wrong=mistakes.told(refusal.facts.get("fields", {}), language=language) if refusal else {},
        conflict=_conflict(refusal, found) if refusal else None,
    )


def _names_model(provider: Any, document: Mapping[str, Any]) -> bool:
    return document["settings"].get("model", provider.default_model) in provider.models


def _conflict(refusal: Refusal, found: Slot) -> Slot | None:
    """The slot as somebody else has saved it meanwhile."""
    return found if refusal.failure is Failure.VERSION_CONFLICT else None
