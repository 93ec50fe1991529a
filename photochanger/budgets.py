"""Monthly budgets of providers: what a calendar month's attempts have cost, beside what they may cost.

The setting `providers.budgets` has them: `{"gemini": {"usd_per_month": 50, "stop": true}}`. From 80 % on everyone is
told; with `stop` nothing more is bought once it is used up. What is counted are attempts that have ended, so a budget
may be overshot by what is in flight. Test runs cost as much as other photos and count like them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import Text, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger.providers import Provider, Providers
from photochanger.tables import app_settings, hourly_attempts, hourly_watermark, job_attempt, job_input

NAME = "providers.budgets"
WARNING_SHARE = 0.8
MOST_USD = 1_000_000

State = Literal["ok", "warning", "spent"]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a provider's month may cost, and how it stands."""

    provider: str
    usd_spent: Decimal
    usd_limit: Decimal
    stop: bool

    @property
    def share(self) -> float:
        """1 where it is just used up."""
        return float(self.usd_spent / self.usd_limit)

    @property
    def state(self) -> State:
        """`warning` from 80 % on."""
        return "spent" if self.share >= 1 else "warning" if self.share >= WARNING_SHARE else "ok"

    @property
    def forbids(self) -> bool:
        """Nothing more is to be bought this month."""
        return self.stop and self.state == "spent"


def sentence(provider: Provider) -> str:
    """What a booth is told."""
    return f"The monthly budget of {provider.title} is used up."


def mistakes(value: Any, providers: Providers) -> dict[str, str]:
    """What is wrong with the setting: a sentence by field; dots lead inwards. Nothing: it can be stored."""
    if not isinstance(value, dict):
        return {NAME: "This must be an object: a budget by provider."}
    wrong: dict[str, str] = {}
    for name, budget in value.items():
        wrong |= {f"{NAME}.{name}{field}": told for field, told in _mistakes(name, budget, providers).items()}
    return wrong


def _mistakes(name: str, budget: Any, providers: Providers) -> dict[str, str]:
    provider = providers.by_name.get(name)
    if provider is None:
        return {"": "There is no such provider."}
    if not priced(provider):
        return {"": "providers.json has no prices for this provider: what it costs is not known."}
    if not isinstance(budget, dict):
        return {"": "This must be an object."}
    wrong = {f".{field}": "There is no such field." for field in budget.keys() - {"usd_per_month", "stop"}}
    limit = budget.get("usd_per_month")
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit <= MOST_USD:
        wrong[".usd_per_month"] = f"This must be a number above 0, up to {MOST_USD}."
    if not isinstance(budget.get("stop", False), bool):
        wrong[".stop"] = "This must be true or false."
    return wrong


def priced(provider: Provider) -> bool:
    """Whether providers.json knows what its pictures cost."""
    prices = [model.capabilities.get("price", {}) for model in provider.models.values()]
    return any(price.get("per_picture_usd") or price.get("per_million_tokens_usd") for price in prices)


_SETTING = select(app_settings.c.value).where(app_settings.c.name == NAME)


async def all_budgets(conn: AsyncConnection, providers: Providers) -> list[Budget]:
    """Each that is set, by provider, as it stands now."""
    configured: Mapping[str, Any] = (await conn.execute(_SETTING)).scalar_one_or_none() or {}
    return [
        Budget(
            provider=name,
            usd_spent=await month_usd(conn, providers.by_name[name]),
            usd_limit=Decimal(str(budget["usd_per_month"])),
            stop=budget.get("stop", False),
        )
        for name, budget in sorted(configured.items())
        if name in providers.by_name
    ]


_PROVIDER = bindparam("of_provider", type_=Text)
_MONTH = func.date_trunc("month", func.now(), bindparam("zone", type_=Text))
_ROLLED_UNTIL = select(hourly_watermark.c.rolled_until).scalar_subquery()
_ROLLED = (
    select(func.coalesce(func.sum(hourly_attempts.c.cost_usd), 0))
    .where(hourly_attempts.c.provider == _PROVIDER, hourly_attempts.c.hour >= _MONTH)
    .scalar_subquery()
)
_SINCE = (
    select(func.coalesce(func.sum(job_attempt.c.cost_usd), 0))
    .join_from(job_input, job_attempt, job_attempt.c.job_id == job_input.c.job_id)
    .where(job_attempt.c.provider == _PROVIDER, job_input.c.created_at >= func.greatest(_ROLLED_UNTIL, _MONTH))
    .scalar_subquery()
)
_MONTH_USD = select(_ROLLED + _SINCE)
"""One statement: the watermark and both sums are of one moment."""


async def month_usd(conn: AsyncConnection, provider: Provider) -> Decimal:
    """What the attempts of this calendar month's photos have cost, in the zone in which the provider's days turn."""
    found = await conn.execute(_MONTH_USD, {"of_provider": provider.name, "zone": provider.limits.day_zone})
    return Decimal(found.scalar_one())
