"""`/slots/{slot_id}`: one slot's form, its link, its tests, its last results and versions."""

import json
from collections.abc import Mapping
from itertools import pairwise
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
from api.pages.slot_form import (
    body_of,
    carried,
    first_plan,
    in_words,
    plan_form,
    roles_of,
    shown_of,
    with_own_operations,
)
from api.slots import slot_id_of
from api.state import public_url, services
from photochanger import app_settings, recent_results, slot_edits, slot_history, slot_rules, slots, templates
from photochanger.db import moment_now
from photochanger.errors import Failure, Refusal
from photochanger.slot_edits import Keep
from photochanger.slots import Slot

MOST_TEMPLATES = 24
"""So many of them can be chosen from, the newest first."""
SAVED, RESTORED = marked("Saved"), marked("Version %(version)s is restored")


@administrators
async def slot_page(request: Request) -> Response:
    """The whole page, with the slot as it is saved."""
    async with services(request).db.begin() as conn:
        found = await _found(request, conn)
        return await _page(request, conn, found)


@administrators
async def slot_form(request: Request) -> Response:
    """The form as it was sent, with the fields of the provider and operation that it names now. Saves nothing.

    With `?check=1` it says what is wrong with it, too.
    """
    known, fields = services(request).providers, await form_fields(request)
    check, refusal = request.query_params.get("check") == "1", None
    changed = request.headers.get("hx-trigger-name")
    body = body_of(known, fields if check else with_own_operations(known, fields, changed=changed))
    if check:
        given, wrong = slot_rules.read_body(body)
        wrong = {**slot_rules.problems(given, known), **wrong}
        refusal = Refusal(Failure.VALIDATION_FAILED, facts={"fields": wrong}) if wrong else None
    async with services(request).db.begin() as conn:
        found = await _found(request, conn)
        return await _form(request, conn, found, shown_of(body), typed=fields, refusal=refusal)


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
    slot_id, fields = slot_id_of(request), await form_fields(request)
    body = body_of(here.providers, fields)
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
            return await _form(request, conn, saved, document, said=SAVED)
    except Refusal as refusal:
        if refusal.failure not in {Failure.VALIDATION_FAILED, Failure.VERSION_CONFLICT}:
            raise
        async with here.db.begin() as conn:
            found = await _found(request, conn)
            return await _form(request, conn, found, shown_of(body), typed=fields, refusal=refusal)


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
        return await _form(
            request,
            conn,
            found,
            slot_rules.document_of(found),
            said=None if refusal else RESTORED,
            refusal=refusal,
            facts={"version": wanted},
        )


async def _found(request: Request, conn: AsyncConnection) -> Slot:
    found = await slots.get(conn, slot_id_of(request))
    if found is None:
        raise Refusal(Failure.SLOT_NOT_FOUND)
    return found


async def _page(request: Request, conn: AsyncConnection, found: Slot) -> Response:
    """The whole page, with the slot as it is saved."""
    admin = await app_settings.load(conn, result_ttl_hours=services(request).settings.result_ttl_hours)
    document = slot_rules.document_of(found)
    return page(
        request,
        "slot.html",
        **await _form_context(request, conn, found, document),
        said=None,
        results=await recent_results.of_slot(conn, found.slot_id, limit=admin.gallery_size),
        others=[one for one in await slots.all_slots(conn) if one.slot_id != found.slot_id],
    )


async def _form(
    request: Request,
    conn: AsyncConnection,
    found: Slot,
    document: Mapping[str, Any],
    *,
    typed: Mapping[str, str] | None = None,
    said: str | None = None,
    refusal: Refusal | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Response:
    """The form alone, with this document in it. A form that is wrong is a good answer: htmx shows no other."""
    text = words(language_of(request)).ugettext(said) % (facts or {}) if said else None
    return page(
        request,
        "slot_form.html",
        headers={"HX-Trigger": json.dumps({"toast": {"text": text}})} if text else None,
        **await _form_context(request, conn, found, document, typed=typed, refusal=refusal),
        said=text,
    )


async def _form_context(
    request: Request,
    conn: AsyncConnection,
    found: Slot,
    document: Mapping[str, Any],
    *,
    typed: Mapping[str, str] | None = None,
    refusal: Refusal | None = None,
) -> dict[str, Any]:
    here = services(request)
    admin = await app_settings.load(conn, result_ttl_hours=here.settings.result_ttl_hours)
    plan = plan_form(here.providers, document, prefix="")
    fallback = document["fallback"] or first_plan(here.providers, other_than=document["provider"])
    fallback_plan = plan_form(here.providers, fallback, prefix="fallback.")
    shown = (plan, fallback_plan) if document["fallback"] else (plan,)
    kept = await slot_history.versions(conn, found.slot_id)
    conflict = refusal is not None and refusal.failure is Failure.VERSION_CONFLICT
    return {
        "now": await moment_now(conn),
        "slot": found,
        "document": document,
        "edited_version": document.get("version", found.version),
        "plan": plan,
        "model": plan.provider.model(document["settings"]).name if _names_model(plan.provider, document) else None,
        "fallback": fallback_plan,
        "carried": carried(typed or {}, *shown),
        "providers": list(here.providers.by_name.values()),
        "operation_words": OPERATIONS,
        "roles": [(role, ROLES.get(role)) for role in roles_of(here.providers, document)],
        "templates": (await templates.all_templates(conn))[:MOST_TEMPLATES],
        "versions": [
            (one, in_words(slot_rules.changed(before.document, one.document)) if before else [])
            for one, before in pairwise([*kept, None])
            if one is not None
        ],
        "default_seconds": admin.sync_response_seconds,
        "ingest_host": public_url(request, ""),
        "ingest_path": f"/ingest/{found.slot_id}",
        "wrong": mistakes.told(refusal.facts.get("fields", {}), language=language_of(request)) if refusal else {},
        "conflict": in_words(slot_rules.changed(slot_rules.document_of(found), document)) if conflict else None,
    }


def _names_model(provider: Any, document: Mapping[str, Any]) -> bool:
    return document["settings"].get("model", provider.default_model) in provider.models
