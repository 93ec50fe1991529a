"""Whether a provider takes our key: its driver's free question, for the settings page, for a person, and now and then.

A driver has `methods(base_url, *, key, http)`, which lists what the account may use, or `check_key(base_url, *, key,
model, http)`. Both raise `ProviderFailed`.
"""

import asyncio
from types import ModuleType

import structlog
from aiohttp import ClientSession

from photochanger import provider_checks
from photochanger.db import UNAVAILABLE
from photochanger.provider_checks import Taken
from photochanger.providers import Provider
from runner.body import clean
from runner.driver import FAILURE_OF, Outcome, ProviderFailed
from runner.workshop import Workshop

log = structlog.get_logger()

LOOK_SECONDS = 1.0
CHECK_SECONDS = 20.0
"""Less than provider_checks.HELD_SECONDS: nobody else has taken it up."""


async def ask(
    driver: ModuleType, provider: Provider, *, base_url: str, key: str | None, http: ClientSession
) -> list[str]:
    """Ask the provider, free of charge; what it says of the account, if anything. Raises `ProviderFailed`."""
    if hasattr(driver, "methods"):
        return [": ".join(method) for method in await driver.methods(base_url, key=key, http=http)]
    await driver.check_key(base_url, key=key, model=provider.model({}).name, http=http)
    return []


async def keep_checking(shop: Workshop) -> None:
    """Make the checks that are asked for or due, one runner each, until cancelled."""
    async with asyncio.TaskGroup() as checks:
        while True:
            try:
                async with shop.db.begin() as conn:
                    taken = await provider_checks.take_due(conn, configured=shop.administration.keys)
                if taken:
                    await shop.administration.look()  # the key that is asked about may be newer than what we know
                for one in taken:
                    checks.create_task(_check(shop, one))
            except UNAVAILABLE as error:
                log.warning("look_for_checks_failed", error=type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)


async def _check(shop: Workshop, taken: Taken) -> None:
    provider = shop.providers.by_name.get(taken.provider)
    if provider is None:
        return  # of another release's providers.json
    key = shop.administration.key(provider.name)
    base_url = shop.administration.base_url(provider)
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await ask(shop.drivers[provider.name], provider, base_url=base_url, key=key, http=shop.http)
        good, sentence = True, "The key is good."
    except ProviderFailed as failed:
        good, sentence = False, f"{FAILURE_OF[failed.outcome].sentence} {_first_capital(clean(failed.reason, key=key))}"
    except TimeoutError:
        good, sentence = False, FAILURE_OF[Outcome.TIMEOUT].sentence
    except Exception:
        log.exception("provider_check_crashed", provider=provider.name)
        good, sentence = False, "The check failed on our side."
    try:
        async with shop.db.begin() as conn:
            counted = await provider_checks.record(conn, taken, good=good, sentence=sentence)
    except UNAVAILABLE as error:
        log.warning("check_not_recorded", provider=provider.name, error=type(error).__name__)
        return  # another takes it up when this one's time is over
    log.info("provider_checked", provider=provider.name, good=good, sentence=sentence, counted=counted)


def _first_capital(words: str) -> str:
    return words[:1].upper() + words[1:]
