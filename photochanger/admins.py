"""Accounts of administrators: `PHOTOCHANGER_HOME/secrets/runtime_credentials.json`, one name and one bcrypt hash each.

    {"serg": {"password_hash": "$2b$12$…", "updated_at": "2026-11-05T18:00:00.000Z"}}

A file and not a table: who has lost every password gets in again with nothing but the machine. Commands write it whole
or not at all; processes read it afresh as soon as it is another one.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from photochanger import moments
from photochanger.errors import ConfigurationError
from photochanger.keys import FOLDER, check_private, replace_private
from photochanger.passwords import hash_password, weakness
from photochanger.settings import Settings

FILE = "runtime_credentials.json"
NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
BCRYPT = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")
NOBODYS_HASH = "$2b$12$ZBIZ1mE55wwBLI6v7oTehOVZPDAkdlDybSUs5AFGDg4ZhT4Udg0wy"
"""Of a password that nobody knows: who names an unknown account waits as long as for a wrong password."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """Who may administer."""

    name: str
    password_hash: str
    updated_at: str


class Accounts:
    """The accounts as they are now, for a process that asks often."""

    def __init__(self, settings: Settings) -> None:
        self._path = file_of(settings)
        self._seen: tuple[int, ...] | None = None
        self._accounts: Mapping[str, Account] = {}

    def find(self, name: str) -> Account | None:
        """The account of this name. Raises `ConfigurationError` while the file cannot be used."""
        return self.current().get(name)

    def current(self) -> Mapping[str, Account]:
        """All of them, by name; none while there is no file. Raises `ConfigurationError`."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._seen, self._accounts = None, {}
            return self._accounts
        seen = (found.st_mtime_ns, found.st_ino, found.st_size, found.st_mode)
        if seen != self._seen:
            self._accounts = read(self._path)
            self._seen = seen
        return self._accounts


def file_of(settings: Settings) -> Path:
    """Where this installation's accounts are."""
    return settings.home / FOLDER / FILE


def read(path: Path) -> dict[str, Account]:
    """All accounts, by name; none when there is no file. Raises `ConfigurationError` when others may read it, or it is
    broken.
    """
    try:
        check_private(path)
        loaded = json.loads(path.read_text(encoding="utf-8"))
        return {name: _account(name, entry) for name, entry in loaded.items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigurationError([f"{path} cannot be read ({error.strerror})"]) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        sentence = f"{path} is broken: repair it, or remove it and set the passwords anew (photochanger set-password)"
        raise ConfigurationError([sentence]) from error


def _account(name: str, entry: Any) -> Account:
    account = Account(name=name, password_hash=entry["password_hash"], updated_at=str(entry["updated_at"]))
    if not (NAME.fullmatch(name) and BCRYPT.fullmatch(account.password_hash)):
        raise ValueError(name)
    return account


def set_passwords(path: Path, passwords: Mapping[str, bytes]) -> list[str]:
    """Give these accounts these passwords, all at once; who of them is new. Raises `ConfigurationError`: a weak one."""
    for name, password in passwords.items():
        if not NAME.fullmatch(name):
            raise ConfigurationError([f"{name!r} is no name: up to 64 of a-z, 0-9, . _ @ -"])
        if sentence := weakness(password):
            raise ConfigurationError([f"the password {sentence}"])
    kept = {name: hash_password(password) for name, password in passwords.items()}
    with _changing(path) as accounts:
        new = [name for name in kept if name not in accounts]
        now = moments.written(datetime.now(UTC))
        for name, password_hash in kept.items():
            accounts[name] = Account(name=name, password_hash=password_hash, updated_at=now)
    return new


def remove(path: Path, name: str) -> bool:
    """Forget the account. False when there is none of this name."""
    with _changing(path) as accounts:
        return accounts.pop(name, None) is not None


@contextmanager
def _changing(path: Path) -> Iterator[dict[str, Account]]:
    """All accounts, to be changed by one process at a time and written when the block ends well."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        accounts = read(path)
        yield accounts
        document = {
            account.name: {"password_hash": account.password_hash, "updated_at": account.updated_at}
            for account in accounts.values()
        }
        replace_private(path, json.dumps(document, indent=2) + "\n")
    finally:
        os.close(folder)
