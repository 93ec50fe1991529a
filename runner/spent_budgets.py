"""Which providers' monthly budgets forbid to buy more. Each runner looks at most every 10 s.

So far, and by what is in flight, a budget may be overshot.
"""

import time

from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import budgets
from photochanger.providers import Provider, Providers

LOOK_AGAIN_SECONDS = 10.0


class SpentBudgets:
    """What one runner knows of them."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, bool]] = {}

    async def forbid(self, conn: AsyncConnection, provider: Provider) -> bool:
        """Whether nothing more is to be bought of this provider this month."""
        looked, forbidden = self._known.get(provider.name, (float("-inf"), False))
        if time.monotonic() - looked > LOOK_AGAIN_SECONDS:
            found = await budgets.all_budgets(conn, Providers({provider.name: provider}))
            forbidden = any(budget.forbids for budget in found)
            self._known[provider.name] = (time.monotonic(), forbidden)
        return forbidden
