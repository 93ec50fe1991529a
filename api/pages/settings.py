"""`/settings`: what counts for all slots: passwords, deadline, providers' keys and limits, storage, sessions.

Each form is saved by itself, as a whole or not at all. What it answers replaces that form alone: a key that is half
typed in another one stays. What runners, the cleanup daemon and colleagues do arrives as news, every few seconds.
"""

from collections.abc import Mapping

from babel.support import Translations
from sqlalchemy.exc import NoResultFound
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response

from api.access import administrators, session_of
from api.bodies import form_fields
from api.login import clear_session_cookie
from api.pages import setting_fields
from api.pages.fields import value_of
from api.pages.formats import Formats, zone_of
from api.pages.language import language_of, marked, words
from api.pages.setting_words import HASH_CHECKS
from api.pages.settings_view import answer
from api.sessions import PUBLIC_ID
from api.settings import change
from api.state import services
from photochanger import app_settings, audit, provider_checks, purges, sessions, setting_changes, setting_rules
from photochanger.app_settings import AppSettings
from photochanger.errors import Failure, Refusal

SAVED = marked("Saved")
KEY_SAVED, KEY_REMOVED = marked("The key is stored"), marked("The key is removed")
PASSWORD_SAVED = marked("The new password counts from now on")
ASKED = marked("A runner asks the provider")
PURGE_ASKED = marked("The cleanup is planned: only expired results will be removed")
PURGED = marked("The cleanup is done. %(files)s, %(size)s.")
NOTHING_PURGED = marked("The cleanup is done. Nothing had expired.")
SESSION_ENDED, SESSIONS_ENDED = marked("The session has ended"), marked("All other sessions have ended")
MEANWHILE = marked("%(who)s has changed this to “%(value)s” meanwhile. Save again to put yours in its place.")
MEANWHILE_DEFAULT = marked("This was changed to “%(value)s” meanwhile. Save again to put yours in its place.")
PASSWORD_MEANWHILE = marked("%(who)s has set a new password meanwhile. Ask for it, or set yours once more.")


@administrators
async def settings_page(request: Request) -> Response:
    """The page."""
    return await answer(request)


@administrators
async def settings_news(request: Request) -> Response:
    """`GET /settings/news`: what may have changed by itself. `?purge=`: told in a toast once that one is done."""
    return await answer(request, said=await _purged(request))


async def _purged(request: Request) -> str | None:
    asked = request.query_params.get("purge", "")
    if not (asked.isascii() and asked.isdigit() and len(asked) < 10):
        return None
    async with services(request).db.at_once() as conn:
        try:
            found = await purges.get(conn, int(asked))
        except NoResultFound:
            return None
    if found.finished_at is None:
        return None
    if not found.files:
        return NOTHING_PURGED
    formats = Formats(language=language_of(request), zone=zone_of(request), now=found.finished_at)
    files = words(formats.language).ungettext("%(count)s file went", "%(count)s files went", found.files)
    told = {"files": files % {"count": found.files}, "size": formats.size(found.bytes or 0)}
    return words(formats.language).ugettext(PURGED) % told


@administrators
async def save_settings_form(request: Request) -> Response:
    """The deadline, what counts for photos, or a provider's limits and budget; `form` says which."""
    given, here, by = await form_fields(request), services(request), session_of(request).account
    form = given.get("form")
    async with here.db.begin() as conn:
        before = await setting_changes.begin(conn, result_ttl_hours=here.settings.result_ttl_hours)
        edit = setting_fields.edit(given, before, here.providers)
        wrong = setting_rules.mistakes(edit.body, here.providers)
        if edit.conflicts:
            wrong |= await _conflicts(request, conn, edit.conflicts, setting_fields.texts(before, here.providers))
        if not wrong:
            await setting_changes.apply(conn, edit.body, before, password_hash=None, box=None, by=by)
    if wrong:
        return await answer(request, form=form, wrong=wrong, given=given)
    return await answer(request, form=form, said=SAVED)


async def _conflicts(
    request: Request, conn: AsyncConnection, fields: tuple[str, ...], stands: Mapping[str, str]
) -> dict[str, str]:
    """Who has set these fields to what; a limit that went back to its default has no name beside it."""
    changes, catalogue = await app_settings.last_changes(conn), words(language_of(request))
    told = {}
    for field in fields:
        _, who = changes.get(setting_fields.row_of(field), (None, None))
        sentence = catalogue.ugettext(MEANWHILE if who else MEANWHILE_DEFAULT)
        told[field] = sentence % {"who": who, "value": _in_words(catalogue, field, stands[field])}
    return told


def _in_words(catalogue: Translations, field: str, text: str) -> str:
    if field in setting_fields.SINGLE:
        return catalogue.ugettext(HASH_CHECKS.get(text, text))
    if field.endswith(f".{setting_fields.STOP}"):
        return catalogue.ugettext(marked("on") if text else marked("off"))
    return text or catalogue.ugettext(marked("by default"))


@administrators
async def password_form(request: Request) -> Response:
    """A new ingest password: a given one, or one that is made here and shown once; and how long the old one counts."""
    given, here = await form_fields(request), services(request)
    grace = "ingest_password_grace_minutes"
    body = {
        "ingest_password": {"generate": True} if given.get("generate") == "1" else given.get("ingest_password", ""),
        grace: value_of(given.get(grace, ""), setting_fields.SINGLE[grace].schema),
    }

    def unless(before: AppSettings) -> None:
        if str(before.ingest_password_rotated_at or "") != given.get("was.rotated_at"):
            raise Refusal(Failure.VERSION_CONFLICT, facts={"who": before.ingest_password_rotated_by})

    try:
        made = await change(here, body, by=session_of(request).account, unless=unless)
    except Refusal as refusal:
        if refusal.failure is Failure.VERSION_CONFLICT:
            sentence = words(language_of(request)).ugettext(PASSWORD_MEANWHILE) % refusal.facts
            return await answer(request, form="password", wrong={"ingest_password": sentence}, given=given)
        return await answer(request, form="password", wrong=_fields_of(refusal), given=given)
    return await answer(request, form="password", said=PASSWORD_SAVED, made=made.get("ingest_password"))


@administrators
async def key_form(request: Request) -> Response:
    """Store a provider's key, or remove it."""
    given, provider = await form_fields(request), _provider(request)
    remove = given.get("remove") == "1"
    key = None if remove else given.get("key", "").strip()
    try:
        await change(services(request), {"provider_keys": {provider: key}}, by=session_of(request).account)
    except Refusal as refusal:
        return await answer(request, form=f"key-{provider}", wrong=_fields_of(refusal))
    return await answer(request, form=None if remove else f"key-{provider}", said=KEY_REMOVED if remove else KEY_SAVED)


@administrators
async def check_key_form(request: Request) -> Response:
    """Have a runner ask the provider whether the key is good."""
    provider, by = _provider(request), session_of(request).account
    async with services(request).db.begin() as conn:
        await provider_checks.request(conn, provider)
        await audit.record(conn, "provider_check_requested", actor=by, provider=provider)
    return await answer(request, said=ASKED)


@administrators
async def purge_form(request: Request) -> Response:
    """Have the cleanup daemon remove what has expired, now."""
    by = session_of(request).account
    async with services(request).db.begin() as conn:
        purge_id = await purges.request(conn, slot_id=None, by=by)
        await audit.record(conn, "purge_requested", actor=by, purge=purge_id, slot=None)
    return await answer(request, said=PURGE_ASKED)


@administrators
async def end_session_form(request: Request) -> Response:
    """End a session, whose ever it is."""
    public_id, asking = request.path_params["session_id"], session_of(request)
    if not PUBLIC_ID.fullmatch(public_id):
        raise Refusal(Failure.NOT_FOUND)
    async with services(request).db.begin() as conn:
        account = await sessions.end_by_public_id(conn, public_id)
        if account is not None:
            await audit.record(conn, "session_ended", actor=asking.account, account=account, session=public_id)
    if public_id == asking.public_id:
        response = Response(status_code=204, headers={"HX-Redirect": "/login"})
        clear_session_cookie(response, request)
        return response
    return await answer(request, said=SESSION_ENDED)


@administrators
async def end_other_sessions_form(request: Request) -> Response:
    """End all sessions but the one that asks."""
    asking = session_of(request)
    async with services(request).db.begin() as conn:
        accounts = await sessions.end_others(conn, asking.session_id)
        if accounts:
            await audit.record(conn, "sessions_ended", actor=asking.account, accounts=sorted(accounts))
    return await answer(request, said=SESSIONS_ENDED)


def _provider(request: Request) -> str:
    provider: str = request.path_params["provider"]
    if provider not in services(request).providers.by_name:
        raise Refusal(Failure.NOT_FOUND)
    return provider


def _fields_of(refusal: Refusal) -> Mapping[str, str]:
    """What is wrong with a form, by field. Raises what is no matter of fields."""
    if refusal.failure is not Failure.VALIDATION_FAILED:
        raise refusal
    fields: Mapping[str, str] = refusal.facts["fields"]
    return fields
