"""Whether each provider takes our key: asked by a runner, free of charge, when somebody wants to know and now and then.

    requested or due --take--> taken (one runner, for half a minute at most) --record--> good or not, and a sentence

The moment of a check is when it was taken: what is asked for meanwhile, or changed, is checked again. A row goes when
its key changes; runners make it anew for each provider that has a key.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Text, and_, any_, bindparam, column, delete, func, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.errors import Failure
from photochanger.tables import provider_check

EVERY_SECONDS = 300
HELD_SECONDS = 30
"""Longer than a check takes: one whose runner died is taken up by another."""
MOST_CHARACTERS = 300


@dataclass(frozen=True, kw_only=True)
class ProviderCheck:
    """What is known of a provider's key. `good` and `sentence` are None until it has been checked."""

    provider: str
    requested_at: datetime | None
    checked_at: datetime | None
    good: bool | None
    sentence: str | None

    @property
    def failure(self) -> Failure | None:
        """Why it is not good."""
        told = self.sentence or ""
        return None if self.good is not False else next((one for one in Failure if told.startswith(one.sentence)), None)

    @property
    def reason(self) -> str:
        """What the provider, or its driver, has said of it in its own words; empty where there is nothing."""
        failure = self.failure
        return (self.sentence or "").removeprefix(failure.sentence).strip() if failure is not None else ""

    @property
    def waits(self) -> bool:
        """Somebody has asked, and no runner has answered yet."""
        return self.requested_at is not None and (self.checked_at is None or self.requested_at > self.checked_at)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A check that is this runner's to make."""

    provider: str
    taken_at: datetime


def sentence_of(failure: Failure | None, reason: str = "") -> str:
    """What is recorded: the failure's own sentence, then the provider's words. None: the key is good."""
    if failure is None:
        return "The key is good."
    return f"{failure.sentence} {reason[:1].upper()}{reason[1:]}".rstrip()


async def latest(conn: AsyncConnection) -> Mapping[str, ProviderCheck]:
    """By provider."""
    columns = [provider_check.c[name] for name in ProviderCheck.__dataclass_fields__]
    return {row.provider: ProviderCheck(**row._mapping) for row in await conn.execute(select(*columns))}  # noqa: SLF001


async def request(conn: AsyncConnection, provider: str) -> None:
    """Ask for one."""
    asked = insert(provider_check).values(provider=provider, requested_at=func.clock_timestamp())
    now = {"requested_at": func.clock_timestamp()}
    await conn.execute(asked.on_conflict_do_update(index_elements=[provider_check.c.provider], set_=now))


async def forget(conn: AsyncConnection, provider: str) -> None:
    """The key has changed: what was found out about it, or is being found out just now, does not count."""
    await conn.execute(delete(provider_check).where(provider_check.c.provider == provider))


_CONFIGURED = (
    func.unnest(bindparam("configured", type_=ARRAY(Text)))
    .table_valued(column("provider", Text), name="configured")
    .render_derived()
)
_MISSING = insert(provider_check).from_select(
    ["provider"],
    select(_CONFIGURED.c.provider).where(
        _CONFIGURED.c.provider.not_in(select(provider_check.c.provider).scalar_subquery())
    ),
)
_ADD_MISSING = _MISSING.on_conflict_do_nothing()
_CHECKED_AT = func.coalesce(provider_check.c.checked_at, literal_column("'-infinity'::timestamptz"))
_DUE = or_(
    provider_check.c.requested_at > _CHECKED_AT,
    and_(
        provider_check.c.provider == any_(bindparam("configured", type_=ARRAY(Text))),
        func.now() - literal_column(f"interval '{EVERY_SECONDS} seconds'") > _CHECKED_AT,
    ),
)
_FREE = or_(
    provider_check.c.taken_at.is_(None),
    provider_check.c.taken_at < func.now() - literal_column(f"interval '{HELD_SECONDS} seconds'"),
)
_TAKE = (
    update(provider_check)
    .where(
        provider_check.c.provider.in_(
            select(provider_check.c.provider).where(_DUE, _FREE).with_for_update(skip_locked=True)
        )
    )
    .values(taken_at=func.clock_timestamp())
    .returning(provider_check.c.provider, provider_check.c.taken_at)
)


async def take_due(conn: AsyncConnection, *, configured: Collection[str]) -> list[Taken]:
    """Take what is to be checked now: what was asked for, and these providers every 5 minutes. Each goes to one."""
    these = {"configured": list(configured)}
    await conn.execute(_ADD_MISSING, these)
    return [Taken(**row._mapping) for row in await conn.execute(_TAKE, these)]  # noqa: SLF001


async def record(conn: AsyncConnection, taken: Taken, *, good: bool, sentence: str) -> bool:
    """What the provider said. False when the key has changed meanwhile, or another has taken the check over."""
    this = (provider_check.c.provider == taken.provider, provider_check.c.taken_at == taken.taken_at)
    said = {"checked_at": taken.taken_at, "taken_at": None, "good": good, "sentence": sentence[:MOST_CHARACTERS]}
    return (await conn.execute(update(provider_check).where(*this).values(said))).rowcount == 1
