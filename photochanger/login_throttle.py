"""Guessing passwords is slow: 10 failures of an account or 30 from an address close it for 15 minutes.

An attempt is counted before its password is looked at, and taken off the count when the password was right: however
many come at once, no more than the allowed number are ever checked. The count lies in the database: it holds for all
processes and over restarts. Rows that matter no more are the cleanup daemon's.
"""

import ipaddress
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, delete, func, insert, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.tables import login_failure

MOST_PER_ACCOUNT = 10
MOST_PER_ADDRESS = 30
WINDOW_SECONDS = 15 * 60
LOCK = 41_010
WINDOW: ColumnElement[timedelta] = literal_column(f"interval '{WINDOW_SECONDS} seconds'")


@dataclass(frozen=True, kw_only=True)
class Locked:
    """Not now: an account or an address has failed too often."""

    reason: str
    """`account_locked` or `address_locked`."""
    retry_after_seconds: int


async def gate(conn: AsyncConnection) -> None:
    """Until the end of this transaction no other login moves: neither another attempt nor a change of a password."""
    await conn.execute(select(func.pg_advisory_xact_lock(LOCK)))


async def reserve(conn: AsyncConnection, *, account: str, address: str) -> Locked | None:
    """Count an attempt as failed, for now. `Locked`, and nothing counted, when there were too many."""
    await gate(conn)
    prefix = address_prefix(address)
    for reason, same, most in (
        ("account_locked", login_failure.c.account == account, MOST_PER_ACCOUNT),
        ("address_locked", login_failure.c.address == prefix, MOST_PER_ADDRESS),
    ):
        seconds = await _locked_seconds(conn, same, most=most)
        if seconds is not None:
            return Locked(reason=reason, retry_after_seconds=seconds)
    # Not now(): that is when this transaction began, and it may have waited at the gate.
    await conn.execute(insert(login_failure).values(at=func.clock_timestamp(), account=account, address=prefix))
    return None


async def forgive(conn: AsyncConnection, *, account: str) -> int:
    """The password was right, or whoever has the machine says so: the account's failures are forgotten; how many."""
    return (await conn.execute(delete(login_failure).where(login_failure.c.account == account))).rowcount


async def _locked_seconds(conn: AsyncConnection, same: ColumnElement[bool], *, most: int) -> int | None:
    """How long it is still locked. The last failure closes it when it is the one too many within its window."""
    recent = and_(same, login_failure.c.at > func.now() - WINDOW - WINDOW)
    last = select(func.max(login_failure.c.at)).where(recent).scalar_subquery()
    left = func.ceil(func.extract("epoch", last + WINDOW - func.clock_timestamp()))
    query = select(func.count(), left).where(recent, login_failure.c.at > last - WINDOW)
    failures, seconds = (await conn.execute(query)).one()
    if failures < most or seconds <= 0:
        return None
    return int(seconds)


def address_prefix(address: str) -> str:
    """What counts as one address: an IPv6 network of 64 bits belongs to one person."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
    return str(found)
