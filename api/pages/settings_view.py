"""What the settings page shows: its forms, and what changes by itself beside them (its news)."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response

from api.pages import browsers, mistakes, setting_fields
from api.pages.deadline import model_times
from api.pages.formats import Formats, zone_of
from api.pages.key_states import ADVICE, KeyState, key_states
from api.pages.language import language_of, words
from api.pages.rendering import is_part, page
from api.pages.setting_words import HASH_CHECKS, LIMIT_WORDS, NO_CHANGES, Teller
from api.state import services
from photochanger import (
    app_settings,
    audit,
    budgets,
    provider_checks,
    provider_orders,
    purges,
    secret_store,
    sessions,
    slots,
    storage_figures,
)
from photochanger.db import moment_now

SHOWN_LINES = 30
FORMS = ("password", "deadline", "photos")
"""And for each provider `key-<name>` and `limits-<name>`."""


async def answer(
    request: Request,
    *,
    form: str | None = None,
    said: str | None = None,
    said_kind: str = "ok",
    made: str | None = None,
    wrong: Mapping[str, str] | None = None,
    given: Mapping[str, str] | None = None,
) -> Response:
    """The page; to htmx this form alone and the news, so that what is typed elsewhere on the page stays.

    `said` goes into a toast. `wrong`: what keeps the form from being saved, in the core's words or the page's.
    """
    here, language = services(request), language_of(request)
    async with here.db.begin() as conn:
        shown = await _everything(request, conn, whole=not is_part(request) or form is not None)
    named, _, provider = (form or "").partition("-")
    known = form in FORMS or (named in {"key", "limits"} and provider in here.providers.by_name)
    toast = {"toast": {"text": words(language).ugettext(said), "kind": said_kind}} if said else None
    return page(
        request,
        "settings_answer.html" if is_part(request) else "settings.html",
        headers={"HX-Trigger": json.dumps(toast)} if toast else None,
        **shown,
        form=form if known else None,
        form_kind=named,
        form_provider=provider,
        saved=said is not None and not wrong,
        made=made,
        wrong=mistakes.told(wrong or {}, language=language),
        given=given or {},
    )


async def _everything(request: Request, conn: AsyncConnection, *, whole: bool) -> dict[str, Any]:
    """`whole`: with the forms, which ask for more than the news."""
    here = services(request)
    moment = await moment_now(conn)
    now = await app_settings.load(conn, result_ttl_hours=here.settings.result_ttl_hours)
    orders = await provider_orders.load(conn, here.settings, here.providers, box=here.secrets_box)
    every_slot = await slots.all_slots(conn)
    states = key_states(
        here.providers,
        here.settings,
        orders,
        stored=await secret_store.stored(conn),
        checks=await provider_checks.latest(conn),
        slots=every_slot,
        now=moment,
    )
    waiting = await purges.waiting(conn)
    formats = Formats(language=language_of(request), zone=zone_of(request), now=moment)
    tell = Teller(
        formats=formats, providers=here.providers, slot_names={one.slot_id: one.display_name for one in every_slot}
    )
    lines = await audit.latest(conn, limit=SHOWN_LINES, without=NO_CHANGES)
    return {
        "now": moment,
        "settings": now,
        "keys": states,
        "simulated": orders.simulated,
        "may_stand_in": here.settings.simulators_url is not None,
        "advice": ADVICE,
        "budgets": {one.provider: one for one in await budgets.all_budgets(conn, here.providers)},
        "storage": {figure.name: figure for figure in await storage_figures.latest(conn)},
        "purge": waiting[0] if waiting else None,
        "last_purge": await purges.last_finished(conn),
        "sessions": await sessions.open_sessions(conn),
        "browser_of": browsers.called,
        "lines": [tell.line(line) for line in lines],
        "tell": tell,
        **(await _of_forms(request, conn, now, states, every_slot) if whole else {}),
    }


async def _of_forms(
    request: Request,
    conn: AsyncConnection,
    now: app_settings.AppSettings,
    states: list[KeyState],
    every_slot: list[slots.Slot],
) -> dict[str, Any]:
    here = services(request)
    priced = [one.provider for one in states if budgets.priced(one.provider)]
    return {
        "texts": setting_fields.texts(now, here.providers),
        "field_of_limit": setting_fields.limit_field,
        "field_of_budget": setting_fields.budget_field,
        "limit_words": LIMIT_WORDS,
        "hash_checks": HASH_CHECKS,
        "models": await model_times(conn, every_slot, here.providers),
        "own_deadlines": sum(one.is_active and one.sync_response_seconds is not None for one in every_slot),
        "own_passwords": sum(one.ingest_password_hash is not None for one in every_slot),
        "spent": {one.name: await budgets.month_usd(conn, one) for one in priced},
        "can_store_keys": here.secrets_box is not None,
    }
