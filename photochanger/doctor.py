"""`photochanger doctor`: looks at an installation as it runs, and says line by line what is in order and what not."""

import asyncio
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import admins, breaker, leases, media_root, migrate, provider_orders, slot_rules, slots
from photochanger.db import UNAVAILABLE, Database
from photochanger.errors import ConfigurationError, Refusal
from photochanger.media import Media
from photochanger.provider_orders import ProviderOrders
from photochanger.providers import Providers
from photochanger.settings import Settings
from photochanger.startup import unreachable

LINK_SECONDS = 5.0


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, whether it is in order, and what is to be known of it."""

    subject: str
    in_order: bool
    told: str


def examine(settings: Settings, providers: Providers, *, database_url: str | None) -> list[Finding]:
    """Everything, whatever is wrong with any of it. `database_url` is None where no database was ever made."""
    schema = _schema(database_url)
    readable = database_url if schema.in_order else None
    orders = asyncio.run(provider_orders.load_once(settings, providers, database_url=readable))
    folders = asyncio.run(_folders(settings, readable))
    findings = [schema, folders, _accounts(settings), _link(settings, providers, orders), _keys(orders)]
    if readable is not None:
        findings += asyncio.run(_rows(providers, orders, readable))
    return findings


def _schema(database_url: str | None) -> Finding:
    if database_url is None:
        return Finding("schema", in_order=False, told="there is no database yet: `photochanger up` makes one")
    try:
        migrate.check_schema(database_url)
    except ConfigurationError as error:
        return Finding("schema", in_order=False, told=str(error))
    except UNAVAILABLE as error:
        return Finding("schema", in_order=False, told=unreachable(error))
    return Finding("schema", in_order=True, told="as this release needs it")


async def _folders(settings: Settings, database_url: str | None) -> Finding:
    known: str | None = None
    if database_url is not None:
        with suppress(*UNAVAILABLE):
            async with Database(database_url, connections=1) as db, db.begin() as conn:
                known = await media_root.known_id(conn)
    media = Media(settings.media_root, known)
    if not media.is_ours():
        told = f"{settings.media_root} lacks its marker, or has another's: is its disk mounted?"
        return Finding("media", in_order=False, told=f"{told} `photochanger adopt-media` takes it all the same")
    try:
        media.check_room()
    except (Refusal, OSError) as error:
        return Finding("media", in_order=False, told=f"{settings.media_root}: {error}")
    marker = "" if database_url is not None else "; whose folder it is, only the database knows"
    return Finding("media", in_order=True, told=f"{settings.media_root} is writable and has room{marker}")


def _keys(orders: ProviderOrders) -> Finding:
    """Whether keys in the database can be read; no key itself."""
    told = "; ".join(orders.unreadable) or f"of {', '.join(sorted(orders.keys)) or 'no provider'}"
    return Finding("keys", in_order=not orders.unreadable, told=told)


def _accounts(settings: Settings) -> Finding:
    try:
        names = sorted(admins.read(admins.file_of(settings)))
    except ConfigurationError as error:
        return Finding("accounts", in_order=False, told=str(error))
    told = ", ".join(names) or "nobody can log in: photochanger set-password NAME makes an account"
    return Finding("accounts", in_order=bool(names), told=told)


def _link(settings: Settings, providers: Providers, orders: ProviderOrders) -> Finding:
    """Whether a public link really leads to this API: an unknown picture must be unknown in our own words."""
    fetching = sorted(
        name
        for name, provider in providers.by_name.items()
        if name in orders.keys and any(operation.requires_public_media for operation in provider.operations.values())
    )
    if settings.public_base_url is None:
        told = "PUBLIC_MEDIA_BASE_URL is not set" + (f", and {', '.join(fetching)} cannot fetch" if fetching else "")
        return Finding("public links", in_order=not fetching, told=told)
    url = f"{settings.public_base_url}/public/provider-media/{'0' * 32}"
    try:
        status, body = _get(url)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Finding("public links", in_order=False, told=f"{url} does not answer: {error}")
    ours = status == 404 and body.get("failure_reason") == "media_not_found"
    return Finding("public links", in_order=ours, told=f"{url} {'leads here' if ours else 'is answered by another'}")


def _get(url: str) -> tuple[int, dict[str, object]]:
    try:
        with urllib.request.urlopen(url, timeout=LINK_SECONDS) as answer:  # noqa: S310 - a checked setting
            return answer.status, {}
    except urllib.error.HTTPError as error:
        with error:
            body = json.loads(error.read(10_000))
        return error.code, body if isinstance(body, dict) else {}


async def _rows(providers: Providers, orders: ProviderOrders, database_url: str) -> list[Finding]:
    try:
        async with Database(database_url, connections=1) as db, db.begin() as conn:
            return [
                await _runners(conn),
                await _circuits(conn),
                *await _slots(conn, providers, orders),
            ]
    except UNAVAILABLE:
        return []  # told already


async def _runners(conn: AsyncConnection) -> Finding:
    alive = await leases.alive(conn)
    return Finding("runners", in_order=alive > 0, told=f"{alive} alive")


async def _circuits(conn: AsyncConnection) -> Finding:
    open_now = await breaker.open_circuits(conn)
    told = ", ".join(f"{circuit.provider} {circuit.model}" for circuit in open_now)
    return Finding("circuits", in_order=not open_now, told=(told and f"open: {told}") or "all closed")


async def _slots(conn: AsyncConnection, providers: Providers, orders: ProviderOrders) -> list[Finding]:
    """Slots that their provider would refuse, or whose provider has no key. One that is switched off harms nobody."""
    findings = []
    for slot in await slots.all_slots(conn):
        problems = slot_rules.problems(slot_rules.document_of(slot), providers)
        told = [f"{place}: {sentence}" for place, sentence in sorted(problems.items())]
        if slot.is_active and slot.provider not in orders.keys:
            told.append(f"there is no key for {slot.provider}")
        if told:
            state = "" if slot.is_active else "is switched off; "
            findings.append(Finding(slot.slot_id, in_order=not slot.is_active, told=state + "; ".join(told)))
    if not any(not finding.in_order for finding in findings):
        findings.append(Finding("slots", in_order=True, told="all active ones can be served"))
    return findings


def report(findings: list[Finding], say: Callable[[str], None]) -> int:
    """Tell them; the exit code: 0 when all is in order."""
    for finding in findings:
        say(f"{'ok  ' if finding.in_order else 'BAD '} {finding.subject:<14}{finding.told}")
    return 0 if all(finding.in_order for finding in findings) else 1
