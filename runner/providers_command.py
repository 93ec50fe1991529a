"""`photochanger providers [NAME]`: what providers.json offers, and what a provider itself says, free of charge."""

import argparse
import asyncio

from photochanger import provider_orders, providers
from photochanger.command import Command
from photochanger.providers import Provider
from photochanger.settings import Settings
from photochanger.startup import known_database_url
from runner.driver import ProviderFailed
from runner.key_checks import ask
from runner.workshop import load_drivers, open_session


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="ask this provider whether its key is good, and what it offers")


def _run(arguments: argparse.Namespace) -> int:
    settings, known = Settings.from_env(), providers.load()
    if arguments.name is not None and arguments.name not in known.by_name:
        print(f"there is no {arguments.name!r} in providers.json, only: {', '.join(known.by_name)}")
        return 2
    orders = asyncio.run(provider_orders.load_once(settings, known, database_url=known_database_url(settings)))
    for told in orders.unreadable:
        print(told)
    if arguments.name is None:
        for provider in known.by_name.values():
            print("\n".join(_lines(provider, has_key=provider.name in orders.keys)))
        return 0
    return asyncio.run(_ask(settings, known.by_name[arguments.name], known, key=orders.keys.get(arguments.name)))


def _lines(provider: Provider, *, has_key: bool) -> list[str]:
    lines = [f"{provider.name}: {provider.title}, {'key configured' if has_key else 'no key'}"]
    for operation in provider.operations.values():
        needs = f"; needs {', '.join(operation.media_roles)}" if operation.media_roles else ""
        lines.append(f"  {operation.name}: {operation.title}{needs}{'' if operation.enabled else '; switched off'}")
    for model in provider.models.values():
        fate = f"retired, replaced by {model.replacement}" if model.retired else f"about {model.usual_seconds:g} s"
        lines.append(f"  {model.name}: {fate}")
    return lines


async def _ask(settings: Settings, provider: Provider, known: providers.Providers, *, key: str | None) -> int:
    """Whether the key is good, and what the account has where the provider says so."""
    base_url = settings.provider_base_url(provider.name) or provider.base_url
    async with open_session() as http:
        try:
            driver = load_drivers(known)[provider.name]
            for line in await ask(driver, provider, base_url=base_url, key=key, http=http):
                print(line)
        except ProviderFailed as failed:
            print(f"{provider.name}: {failed.outcome}: {failed.reason}")
            return 1
    print(f"{provider.name}: the key is good")
    return 0


command = Command("providers", "what providers.json offers, and what a provider itself says", _add_arguments, _run)
