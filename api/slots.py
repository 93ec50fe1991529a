"""The slots as administrators see and save them, and what their forms need to know of the providers."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.access import administrators, session_of
from api.bodies import json_object, moment
from api.request_log import note
from api.state import Services, public_url, services
from photochanger import provider_orders, recent_results, slot_edits, slot_rules, slots, templates
from photochanger.errors import Failure, Refusal
from photochanger.providers import Operation, Provider
from photochanger.recent_results import RecentResult
from photochanger.slot_edits import Keep
from photochanger.slots import Slot

NO_STORE = {"Cache-Control": "no-store"}


@administrators
async def slot_list(request: Request) -> JSONResponse:
    """`GET /api/slots`: all 15, in their order."""
    async with services(request).db.begin() as conn:
        found = await slots.all_slots(conn)
        titles = await templates.titles(conn, {one for slot in found for one in slot.template_media.values()})
    return JSONResponse({"slots": [body_of(request, one, titles) for one in found]}, headers=NO_STORE)


@administrators
async def slot(request: Request) -> JSONResponse:
    """`GET /api/slots/{slot_id}`: the slot, and its last ten results."""
    slot_id = slot_id_of(request)
    async with services(request).db.begin() as conn:
        found = await slots.get(conn, slot_id)
        if found is None:
            raise Refusal(Failure.SLOT_NOT_FOUND)
        return await answer(request, conn, found)


@administrators
async def save_slot(request: Request) -> JSONResponse:
    """`PUT /api/slots/{slot_id}`: all of it or nothing, if it still has the version that was edited."""
    here, slot_id, by = services(request), slot_id_of(request), session_of(request).account
    body = await json_object(request, not_numbers=True)
    given, wrong = slot_rules.read_body(body)
    password_hash = await _password_hash(here, body) if "ingest_password" not in wrong else Keep.KEEP
    async with here.db.begin() as conn:
        saved = await slot_edits.save(
            conn,
            slot_id,
            given,
            version=body.get("version", 0),
            providers=here.providers,
            by=by,
            wrong=wrong,
            password_hash=password_hash,
        )
        return await answer(request, conn, saved)


async def _password_hash(here: Services, body: Mapping[str, Any]) -> str | Keep | None:
    if "ingest_password" not in body:
        return Keep.KEEP
    password = body["ingest_password"]
    return None if password is None else await here.passwords.hashed(password)


def slot_id_of(request: Request) -> str:
    """The slot that the address names. Raises `Refusal` when there can be none."""
    slot_id: str = request.path_params["slot_id"]
    if not slots.SLOT_ID.fullmatch(slot_id):
        raise Refusal(Failure.SLOT_NOT_FOUND)
    note(request, slot=slot_id)
    return slot_id


async def answer(request: Request, conn: AsyncConnection, found: Slot) -> JSONResponse:
    """The slot with its results."""
    titles = await templates.titles(conn, found.template_media.values())
    results = await recent_results.of_slot(conn, found.slot_id)
    shown = [_result(request, one) for one in results]
    return JSONResponse({**body_of(request, found, titles), "recent_results": shown}, headers=NO_STORE)


def body_of(request: Request, found: Slot, titles: Mapping[str, str | None]) -> dict[str, Any]:
    """The slot's document, its version, and what stands beside it. `titles` are its templates'."""
    document = slot_rules.document_of(found)
    return {
        "slot_id": found.slot_id,
        **document,
        "template_media": templates_of(document["template_media"], titles),
        "version": found.version,
        "updated_at": moment(found.updated_at),
        "updated_by": found.updated_by,
        "ingest_url": public_url(request, f"/ingest/{found.slot_id}"),
        "own_ingest_password": found.ingest_password_hash is not None,
        "problems": slot_rules.problems(document, services(request).providers),
    }


def templates_of(template_media: Mapping[str, str], titles: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """Templates by role, as the contract lists them."""
    return [
        {"media_kind": role, "media_object_id": media_object_id, "title": titles.get(media_object_id)}
        for role, media_object_id in sorted(template_media.items())
    ]


def _result(request: Request, one: RecentResult) -> dict[str, Any]:
    return {
        "job_id": one.job_id,
        "result_url": public_url(request, f"/public/results/{one.job_id}"),
        "preview_url": public_url(request, f"/public/results/{one.job_id}/preview"),
        "finished_at": moment(one.finished_at),
        "expires_at": moment(one.expires_at),
    }


@administrators
async def provider_list(request: Request) -> JSONResponse:
    """`GET /api/providers`: what providers.json offers, which keys are there, and the limits in force."""
    here = services(request)
    async with here.db.direct() as conn:
        orders = await provider_orders.load(conn, here.settings, here.providers, box=here.secrets_box)
    shown = {
        name: {
            **_provider(provider),
            "key_configured": name in orders.keys,
            "limits": vars(orders.limits[name]),
        }
        for name, provider in here.providers.by_name.items()
    }
    return JSONResponse({"providers": shown}, headers=NO_STORE)


def _provider(provider: Provider) -> dict[str, Any]:
    return {
        "title": provider.title,
        "default_model": provider.default_model,
        "models": {name: model.capabilities for name, model in provider.models.items()},
        "operations": {name: _operation(operation) for name, operation in provider.operations.items()},
        "default_limits": vars(provider.limits),
    }


def _operation(operation: Operation) -> dict[str, Any]:
    return {
        "title": operation.title,
        "enabled": operation.enabled,
        "media_roles": list(operation.media_roles),
        "requires_public_media": operation.requires_public_media,
        "settings_schema": operation.settings_schema,
    }
