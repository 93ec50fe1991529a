"""Guessing passwords is slow: 10 failures of an account or 30 from an address close it for 15 minutes.

    reserve ──> Turn, counted like a failure ──┬── release   the password was right
       └─────> Locked                          └── fail      it was wrong: a failure from now on

However many come at once, no more than the allowed number are ever checked; who comes while others are being checked is
sent away for the moment, not for 15 minutes. A turn whose process died in the middle counts as a failure soon after:
its row lies ahead in time until it ends. The count lies in the database: it holds for all processes and over restarts.
Rows that matter no more are the cleanup daemon's.
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, func, insert, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.tables import login_failure

MOST_PER_ACCOUNT = 10
MOST_PER_ADDRESS = 30
WINDOW_SECONDS = 15 * 60
TURN_SECONDS = 10
"""Longer than a check waits for its turn and takes."""
CROWD_SECONDS = 5
"""When to come again who has come while others were being checked."""
LOCK = 41_010
WINDOW: ColumnElement[timedelta] = literal_column(f"interval '{WINDOW_SECONDS} seconds'")
TURN: ColumnElement[timedelta] = literal_column(f"interval '{TURN_SECONDS} seconds'")
# Not now(): that is when a transaction began, and it may have waited at the gate.
NOW: ColumnElement[datetime] = func.clock_timestamp()
ENDED = login_failure.c.at <= NOW
"""A failure; else a turn that is not over."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One password that may be looked at."""

    account: str
    address: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Locked:
    """Not now: an account or an address has failed too often, or has too many passwords being checked."""

    reason: str
    """`account_locked`, `address_locked`, `account_crowded` or `address_crowded`."""
    retry_after_seconds: int


async def gate(conn: AsyncConnection) -> None:
    """Until the end of this transaction no other login moves: neither another attempt nor a change of a password."""
    await conn.execute(select(func.pg_advisory_xact_lock(LOCK)))


async def reserve(conn: AsyncConnection, *, account: str, address: str) -> Turn | Locked:
    """A turn, which counts as a failure until it is over. `Locked`, and nothing counted, when there were too many."""
    await gate(conn)
    prefix = address_prefix(address)
    for kind, same, most in (
        ("account", login_failure.c.account == account, MOST_PER_ACCOUNT),
        ("address", login_failure.c.address == prefix, MOST_PER_ADDRESS),
    ):
        seconds = await _locked_seconds(conn, same, most=most)
        if seconds is not None:
            return Locked(reason=f"{kind}_locked", retry_after_seconds=seconds)
        if await _counted(conn, same) >= most:
            return Locked(reason=f"{kind}_crowded", retry_after_seconds=CROWD_SECONDS)
    row = insert(login_failure).values(at=NOW + TURN, account=account, address=prefix)
    at = (await conn.execute(row.returning(login_failure.c.at))).scalar_one()
    return Turn(account=account, address=prefix, at=at)


async def release(conn: AsyncConnection, turn: Turn) -> None:
    """It is over, and was no failure."""
    this = and_(*(login_failure.c[name] == value for name, value in vars(turn).items()))
    await conn.execute(delete(login_failure).where(this))


async def fail(conn: AsyncConnection, turn: Turn) -> None:
    """It is over: the password was wrong."""
    await release(conn, turn)
    await conn.execute(insert(login_failure).values(at=NOW, account=turn.account, address=turn.address))


async def forgive(conn: AsyncConnection, *, account: str) -> int:
    """The password was right, or whoever has the machine says so: the account's failures are forgotten; how many."""
    return (await conn.execute(delete(login_failure).where(login_failure.c.account == account, ENDED))).rowcount


async def forgive_address(conn: AsyncConnection, *, address: str) -> int:
    """Whoever has the machine says so: failures from this address are forgotten, of whatever account; how many."""
    same = login_failure.c.address == address_prefix(address)
    return (await conn.execute(delete(login_failure).where(same, ENDED))).rowcount


async def _locked_seconds(conn: AsyncConnection, same: ColumnElement[bool], *, most: int) -> int | None:
    """How long it is still locked. The last failure closes it when it is the one too many within its window."""
    recent = and_(same, ENDED, login_failure.c.at > NOW - WINDOW - WINDOW)
    last = select(func.max(login_failure.c.at)).where(recent).scalar_subquery()
    left = func.ceil(func.extract("epoch", last + WINDOW - NOW))
    query = select(func.count(), left).where(recent, login_failure.c.at > last - WINDOW)
    failures, seconds = (await conn.execute(query)).one()
    if failures < most or seconds <= 0:
        return None
    return int(seconds)


async def _counted(conn: AsyncConnection, same: ColumnElement[bool]) -> int:
    """Failures of the last 15 minutes, and turns that are not over."""
    query = select(func.count()).select_from(login_failure).where(same, login_failure.c.at > NOW - WINDOW)
    return int((await conn.execute(query)).scalar_one())


def address_prefix(address: str) -> str:
    """What counts as one address: an IPv6 network of 64 bits belongs to one person."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
    return str(found)
