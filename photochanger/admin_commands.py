"""`photochanger set-password NAME`, `unlock NAME`, `remove-account NAME`: accounts, for whoever has the machine.

`unlock --address ADDRESS` lets in again who is kept out by the failures of an address: a studio behind one router.
"""

import argparse
import asyncio
import getpass
import ipaddress
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import admins, audit, login_throttle, sessions
from photochanger.command import Command
from photochanger.db import UNAVAILABLE, Database
from photochanger.errors import ConfigurationError
from photochanger.passwords import MOST_BYTES
from photochanger.settings import Settings
from photochanger.startup import ready_database_url

T = TypeVar("T")

CONSOLE = "console"
"""Who did it, in the audit trail."""


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the account, as it logs in: serg")


def _password_arguments(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument(
        "--password-stdin",
        action="store_true",
        help="read it from standard input, every byte of it; only one line break at its end, as echo adds it, is none",
    )


def _set_password(arguments: argparse.Namespace) -> int:
    settings, name = Settings.from_env(), arguments.name.lower()
    password = _from_stdin() if arguments.password_stdin else _from_terminal(name)
    new = admins.set_passwords(admins.file_of(settings), {name: password})
    print(f"{name}: {'a new account' if new else 'the password is set'}", flush=True)
    ended = _out(settings, name, event="password_set")
    print(f"{ended} session(s) ended")
    return 0


def _remove_account(arguments: argparse.Namespace) -> int:
    settings, name = Settings.from_env(), arguments.name.lower()
    if not admins.remove(admins.file_of(settings), name):
        raise ConfigurationError([f"there is no account {name}"])
    print(f"{name}: the account is removed", flush=True)
    print(f"{_out(settings, name, event='account_removed')} session(s) ended")
    return 0


def _unlock_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="the account, as it logs in: serg")
    parser.add_argument("--address", help="from where too many wrong passwords came, whatever the account: 192.168.0.7")


def _unlock(arguments: argparse.Namespace) -> int:
    settings = Settings.from_env()
    name = None if arguments.name is None else arguments.name.lower()
    address = None if arguments.address is None else _address(arguments.address)
    if name is None and address is None:
        raise ConfigurationError(["unlock what? An account's NAME, or --address"])
    if name is not None and name not in admins.read(admins.file_of(settings)):
        raise ConfigurationError([f"there is no account {name}"])

    async def forgive(conn: AsyncConnection) -> None:
        if name is not None:
            failures = await login_throttle.forgive(conn, account=name)
            await audit.record(conn, "account_unlocked", actor=CONSOLE, account=name, failures=failures)
        if address is not None:
            failures = await login_throttle.forgive_address(conn, address=address)
            await audit.record(conn, "address_unlocked", actor=CONSOLE, address=address, failures=failures)

    _in_database(settings, forgive)
    print(f"{' and '.join(one for one in (name, address) if one is not None)} may log in again")
    return 0


def _address(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError as error:
        raise ConfigurationError([f"{text} is no address"]) from error
    return login_throttle.address_prefix(text)


def _out(settings: Settings, name: str, *, event: str) -> int:
    """Forget the account's failed logins, and end its sessions; how many there were.

    The accounts' file is written before: a login that is just being checked finds another password there, or is ended.
    """

    async def end(conn: AsyncConnection) -> int:
        await login_throttle.forgive(conn, account=name)
        ended = await sessions.end_all(conn, account=name)
        await audit.record(conn, event, actor=CONSOLE, account=name, sessions_ended=ended)
        return ended

    return _in_database(settings, end)


def _in_database(settings: Settings, change: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """Make this change while no login moves. Raises `ConfigurationError` when that is not possible."""

    async def changed(url: str) -> T:
        async with Database(url, connections=1) as db, db.begin() as conn:
            await login_throttle.gate(conn)
            return await change(conn)

    try:
        return asyncio.run(changed(ready_database_url(settings)))
    except UNAVAILABLE as error:
        sentence = "the database cannot be reached: sessions and failed logins are as they were. Run it again later."
        raise ConfigurationError([sentence]) from error


def _from_stdin() -> bytes:
    password = sys.stdin.buffer.read(MOST_BYTES + 3)
    return password.removesuffix(b"\n").removesuffix(b"\r") if password.endswith(b"\n") else password


def _from_terminal(name: str) -> bytes:
    if not sys.stdin.isatty():
        raise ConfigurationError(["there is no terminal to ask on: use --password-stdin"])
    first = getpass.getpass(f"New password of {name}: ")
    if getpass.getpass("Once more: ") != first:
        raise ConfigurationError(["these were two different passwords: nothing is changed"])
    return first.encode("utf-8", "surrogateescape")


COMMANDS = [
    Command(
        "set-password",
        "give an administrator a new password, or make the account; its sessions end",
        _password_arguments,
        _set_password,
    ),
    Command("unlock", "let an administrator in again after too many wrong passwords", _unlock_arguments, _unlock),
    Command("remove-account", "remove an administrator; the account's sessions end", _name, _remove_account),
]
