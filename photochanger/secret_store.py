"""Secrets at rest: provider keys, encrypted with SECRETS_KEY (`keys.secrets_box`).

Each has its name inside its ciphertext: whoever can write rows cannot put one secret in another's place. The last four
characters stand beside it for people; nothing else of a secret is ever shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography.fernet import InvalidToken, MultiFernet
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import audit
from photochanger.errors import ConfigurationError, PhotoChangerError
from photochanger.tables import secret

SHOWN_FROM_CHARACTERS = 12
"""Of a shorter secret the last four would be too much."""


class UnreadableSecretError(PhotoChangerError):
    """It was encrypted with a key that is not in SECRETS_KEY, or under another name."""


@dataclass(frozen=True, kw_only=True)
class StoredSecret:
    """What may be known of one."""

    name: str
    last_four: str
    """Empty for a short one."""
    updated_at: datetime
    updated_by: str


def provider_key(provider: str) -> str:
    """The name of a provider's API key."""
    return f"provider.{provider}.api_key"


def last_four(value: str) -> str:
    """What may be shown of it."""
    return value[-4:] if len(value) >= SHOWN_FROM_CHARACTERS else ""


def sealed(box: MultiFernet, name: str, value: str) -> bytes:
    """The ciphertext."""
    return box.encrypt(f"{name}={value}".encode())


def opened(box: MultiFernet, name: str, ciphertext: bytes) -> str:
    """The secret. Raises `UnreadableSecretError`."""
    try:
        inside, _, value = box.decrypt(ciphertext).decode().partition("=")
    except (InvalidToken, UnicodeDecodeError):
        raise UnreadableSecretError(f"{name} was encrypted with another SECRETS_KEY") from None
    if inside != name:
        raise UnreadableSecretError(f"{name} has another secret's ciphertext")
    return value


async def stored(conn: AsyncConnection) -> Mapping[str, StoredSecret]:
    """All there are, by name."""
    columns = [secret.c[name] for name in StoredSecret.__dataclass_fields__]
    return {row.name: StoredSecret(**row._mapping) for row in await conn.execute(select(*columns))}  # noqa: SLF001


async def store(conn: AsyncConnection, box: MultiFernet, name: str, value: str, *, by: str) -> None:
    """Keep it, instead of what had this name."""
    values = {"ciphertext": sealed(box, name, value), "last_four": last_four(value), "updated_by": by}
    row = insert(secret).values(name=name, updated_at=func.now(), **values)
    again = row.on_conflict_do_update(index_elements=[secret.c.name], set_={**values, "updated_at": func.now()})
    await conn.execute(again)


async def remove(conn: AsyncConnection, name: str) -> bool:
    """False when there was none."""
    return (await conn.execute(delete(secret).where(secret.c.name == name))).rowcount == 1


async def rotate(conn: AsyncConnection, box: MultiFernet, *, by: str) -> list[str]:
    """Encrypt all anew with the first key of SECRETS_KEY; their names. All or nothing, in the caller's transaction.

    Raises `ConfigurationError` naming those that no key opens. Who changed a secret last stays as it is.
    """
    rows = (
        await conn.execute(select(secret.c.name, secret.c.ciphertext).order_by(secret.c.name).with_for_update())
    ).all()
    unreadable = []
    for row in rows:
        try:
            anew = sealed(box, row.name, opened(box, row.name, row.ciphertext))
        except UnreadableSecretError as error:
            unreadable.append(str(error))
        else:
            await conn.execute(update(secret).where(secret.c.name == row.name).values(ciphertext=anew))
    if unreadable:
        raise ConfigurationError(unreadable)
    names = [row.name for row in rows]
    await audit.record(conn, "secrets_rotated", actor=by, names=names)
    return names
