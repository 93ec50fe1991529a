"""Sessions of administrators: a row each, so that logging out ends one at once and everywhere.

What a browser (cookie) or a program (bearer token) holds is the session's random id, signed with SIGNING_KEY: what was
not signed here costs no query. The row has the id's SHA-256 only: who reads the database does not become an
administrator.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from itsdangerous import BadSignature, Signer
from sqlalchemy import and_, func, insert, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.tables import session

Kind = Literal["cookie", "bearer"]
IDLE_SECONDS = 8 * 3600
LONGEST_SECONDS = 7 * 24 * 3600
SEEN_EVERY_SECONDS = 60
PUBLIC_ID_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Session:
    """One login that still counts. `session_id` is the id's SHA-256."""

    session_id: bytes
    kind: Kind
    account: str
    created_at: datetime
    last_seen_at: datetime
    address: str | None
    user_agent: str | None

    @property
    def public_id(self) -> str:
        """Names it in lists: a part of the hash, from which nobody gets to the token."""
        return self.session_id[:PUBLIC_ID_BYTES].hex()

    @property
    def ends_at(self) -> datetime:
        """When it ends by itself, unless it is used before."""
        idle = self.last_seen_at + timedelta(seconds=IDLE_SECONDS)
        return min(idle, self.created_at + timedelta(seconds=LONGEST_SECONDS))


class Tokens:
    """Signs new ids and recognises them. What else is derived from SIGNING_KEY is derived here."""

    def __init__(self, signing_key: str) -> None:
        self._signer = Signer(signing_key, salt="photochanger.session", digest_method=hashlib.sha256)
        self._key = signing_key.encode()

    def new(self) -> str:
        """A token nobody can guess: 256 random bits and their signature."""
        return self._signer.sign(secrets.token_urlsafe(32)).decode("ascii")

    def session_id(self, token: str) -> bytes | None:
        """The id that the row would have; None for a token that was not signed here."""
        try:
            return hashlib.sha256(self._signer.unsign(token.encode("utf-8", "replace"))).digest()
        except BadSignature:
            return None

    def csrf_token(self, session_id: bytes) -> str:
        """What a page puts into its forms, and no page of others can know."""
        return hmac.digest(self._key, b"photochanger.csrf\0" + session_id, hashlib.sha256).hex()

    def mark(self, text: str) -> str:
        """Stands for a text that is not to be kept, and is the same for the same text."""
        message = b"photochanger.mark\0" + text.encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, message, hashlib.sha256).hex()[:32]


_COLUMNS = [session.c[name] for name in Session.__dataclass_fields__]
_COUNTS = and_(
    session.c.revoked_at.is_(None),
    session.c.last_seen_at > func.now() - literal_column(f"interval '{IDLE_SECONDS} seconds'"),
    session.c.created_at > func.now() - literal_column(f"interval '{LONGEST_SECONDS} seconds'"),
)


async def begin(
    conn: AsyncConnection, tokens: Tokens, *, account: str, kind: Kind, address: str | None, user_agent: str | None
) -> str:
    """Open one for this account; its token, which is shown once."""
    token = tokens.new()
    await conn.execute(
        insert(session).values(
            session_id=tokens.session_id(token),
            kind=kind,
            account=account,
            address=address,
            user_agent=user_agent and user_agent[:300],
        )
    )
    return token


async def find(conn: AsyncConnection, session_id: bytes) -> Session | None:
    """The session, if it still counts; seen now, noted to the minute."""
    row = (await conn.execute(select(*_COLUMNS).where(session.c.session_id == session_id, _COUNTS))).one_or_none()
    if row is None:
        return None
    stale = session.c.last_seen_at < func.now() - literal_column(f"interval '{SEEN_EVERY_SECONDS} seconds'")
    await conn.execute(update(session).where(session.c.session_id == session_id, stale).values(last_seen_at=func.now()))
    return Session(**row._mapping)  # noqa: SLF001


async def end(conn: AsyncConnection, session_id: bytes) -> bool:
    """Log out. False when it had ended before."""
    ended = await conn.execute(
        update(session)
        .where(session.c.session_id == session_id, session.c.revoked_at.is_(None))
        .values(revoked_at=func.now())
    )
    return ended.rowcount == 1


async def end_by_public_id(conn: AsyncConnection, public_id: str) -> str | None:
    """End the session of this name, whose ever it is; its account. None when there is none that counts."""
    named = func.substr(session.c.session_id, 1, PUBLIC_ID_BYTES) == bytes.fromhex(public_id)
    ended = await conn.execute(
        update(session).where(named, _COUNTS).values(revoked_at=func.now()).returning(session.c.account)
    )
    account: str | None = ended.scalar_one_or_none()
    return account


async def end_all(conn: AsyncConnection, *, account: str) -> int:
    """End all of this account's; how many there were."""
    whose = and_(session.c.account == account, session.c.revoked_at.is_(None))
    return (await conn.execute(update(session).where(whose).values(revoked_at=func.now()))).rowcount


async def end_others(conn: AsyncConnection, session_id: bytes) -> list[str]:
    """End all but this one, whose ever they are; the account of each that ended."""
    others = and_(session.c.session_id != session_id, _COUNTS)
    ended = update(session).where(others).values(revoked_at=func.now()).returning(session.c.account)
    return list((await conn.execute(ended)).scalars())


async def open_sessions(conn: AsyncConnection, *, account: str | None = None) -> list[Session]:
    """Those that still count, the last seen first; of one account or of all."""
    query = select(*_COLUMNS).where(_COUNTS).order_by(session.c.last_seen_at.desc())
    if account is not None:
        query = query.where(session.c.account == account)
    return [Session(**row._mapping) for row in await conn.execute(query)]  # noqa: SLF001
