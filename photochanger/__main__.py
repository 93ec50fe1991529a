"""`photochanger up | migrate | check | …`: the commands of the core, and those the other packages bring."""

import argparse
import asyncio
import sys
from importlib.metadata import entry_points

from cryptography.fernet import MultiFernet

from photochanger import admin_commands, doctor, keys, media_root, migrate, providers, secret_store, up
from photochanger.command import Command
from photochanger.db import UNAVAILABLE, Database
from photochanger.errors import ConfigurationError
from photochanger.settings import Settings
from photochanger.startup import (
    CONFIGURATION_EXIT,
    UNREACHABLE_EXIT,
    database_url,
    known_database_url,
    ready_database_url,
    unreachable,
)


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    del parser


def _migrate(_arguments: argparse.Namespace) -> int:
    applied = migrate.migrate(database_url(Settings.from_env()))
    print("\n".join(f"applied {name}" for name in applied) or "the schema is up to date")
    return 0


def _check(_arguments: argparse.Namespace) -> int:
    settings = Settings.from_env()
    known = providers.load()
    ready_database_url(settings)
    print(f"settings, schema and {len(known.by_name)} provider(s) are in order")
    return 0


def _doctor(_arguments: argparse.Namespace) -> int:
    settings = Settings.from_env()
    findings = doctor.examine(settings, providers.load(), database_url=known_database_url(settings))
    return doctor.report(findings, print)


def _adopt_media(_arguments: argparse.Namespace) -> int:
    settings = Settings.from_env()
    url = ready_database_url(settings)

    async def adopt() -> None:
        async with Database(url, connections=1) as db:
            await media_root.adopt(db, settings.media_root)

    try:
        asyncio.run(adopt())
    except OSError as error:
        raise ConfigurationError([f"{settings.media_root} cannot be marked: {error.strerror}"]) from error
    print(f"{settings.media_root} is this installation's folder for pictures from now on")
    return 0


def _secrets(_arguments: argparse.Namespace) -> int:
    settings = Settings.from_env()
    names = asyncio.run(_rotate(keys.secrets_box(settings), ready_database_url(settings)))
    print(f"encrypted anew with the first key of SECRETS_KEY: {', '.join(names) or 'nothing is stored'}")
    return 0


async def _rotate(box: MultiFernet, url: str) -> list[str]:
    async with Database(url, connections=1) as db, db.begin() as conn:
        return await secret_store.rotate(conn, box, by="command")


def _secrets_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["rotate"], help="encrypt all stored secrets with the first key anew")


def _keys(_arguments: argparse.Namespace) -> int:
    settings = Settings.from_env()
    for path in keys.ensure(settings):
        print(f"made {path}")
    keys.signing_key(settings)
    keys.secrets_box(settings)
    return 0


CORE = [
    Command("up", "start everything under supervisor, in the foreground", _no_arguments, lambda _: up.run()),
    Command("migrate", "bring the database's schema to this release", _no_arguments, _migrate),
    Command(
        "adopt-media",
        "take MEDIA_ROOT as the right folder, though its marker is missing or another",
        _no_arguments,
        _adopt_media,
    ),
    Command("keys", "make the keys that sign sessions and encrypt secrets, where there are none", _no_arguments, _keys),
    *admin_commands.COMMANDS,
    Command(
        "secrets", "encrypt stored secrets anew, when SECRETS_KEY has a new first key", _secrets_arguments, _secrets
    ),
    Command(
        "doctor", "look at a running installation, and say what is in order and what is not", _no_arguments, _doctor
    ),
    Command(
        "check", "read settings and providers.json, look at the schema, and say what is wrong", _no_arguments, _check
    ),
]


def _commands(wanted: list[str]) -> list[Command]:
    """The one that is wanted, so that its package alone is imported; all of them for the help text."""
    brought = {entry.name: entry for entry in entry_points(group="photochanger.commands")}
    core = {command.name: command for command in CORE}
    names = [name for name in wanted if name in core or name in brought] or sorted([*core, *brought])
    return [core[name] if name in core else brought[name].load() for name in names]


def main() -> int:
    """The console script."""
    parser = argparse.ArgumentParser(prog="photochanger", description=__doc__)
    names = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _commands(sys.argv[1:2]):
        added = names.add_parser(command.name, help=command.help, description=command.help)
        command.add_arguments(added)
        added.set_defaults(run=command.run)
    arguments = parser.parse_args()
    try:
        code: int = arguments.run(arguments)
    except ConfigurationError as error:
        sys.stderr.write(f"photochanger: {error}\n")
        return CONFIGURATION_EXIT
    except UNAVAILABLE as error:
        sys.stderr.write(f"photochanger: {unreachable(error)}\n")
        return UNREACHABLE_EXIT
    return code


if __name__ == "__main__":
    sys.exit(main())
