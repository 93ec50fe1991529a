"""Which providers' monthly budgets forbid to buy more. Each runner looks at most every 10 s.

So far, and by what is in flight, a budget may be overshot. No photo waits for it: while the database cannot say how a
budget stands, what was known last counts.
"""

import time

import structlog

from photochanger import budgets
from photochanger.db import UNAVAILABLE, Database
from photochanger.providers import Provider, Providers
from runner.driver import Outcome, ProviderFailed

log = structlog.get_logger()

LOOK_AGAIN_SECONDS = 10.0


class SpentBudgets:
    """What one runner knows of them."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, bool]] = {}
        """By provider: when it was looked at, and whether nothing more is to be bought this month."""

    async def check(self, db: Database, provider: Provider) -> None:
        """Raises `ProviderFailed` where the month's money is spent."""
        known = self._known.get(provider.name)
        if known is None or time.monotonic() - known[0] > LOOK_AGAIN_SECONDS:
            forbidden = known is not None and known[1]
            if known is not None:
                self._known[provider.name] = (time.monotonic(), forbidden)  # others need not look meanwhile
            known = (time.monotonic(), await self._forbidden(db, provider, before=forbidden))
            self._known[provider.name] = known
        if known[1]:
            sentence = budgets.sentence(provider)
            raise ProviderFailed(Outcome.QUOTA_EXHAUSTED, sentence, public=sentence)

    async def _forbidden(self, db: Database, provider: Provider, *, before: bool) -> bool:
        try:
            async with db.at_once() as conn:
                found = await budgets.all_budgets(conn, Providers({provider.name: provider}))
        except UNAVAILABLE as error:
            log.warning("budget_unknown", provider=provider.name, error=type(error).__name__)
            return before
        return any(budget.forbids for budget in found)
