"""The two keys of an installation: one signs sessions, one encrypts what the database must not show.

SIGNING_KEY and SECRETS_KEY come from the environment, else from `PHOTOCHANGER_HOME/secrets/`, where `photochanger up`
and `photochanger keys` make them. All hosts of one installation must have the same.
"""

import os
import secrets
import stat
from pathlib import Path

from cryptography.fernet import Fernet, MultiFernet

from photochanger.errors import ConfigurationError
from photochanger.plain_files import sync_folder
from photochanger.settings import Settings

FOLDER = "secrets"
OTHERS_MAY = stat.S_IRWXO | stat.S_IWGRP


def ensure(settings: Settings) -> list[Path]:
    """Make the files that are missing, readable by their owner alone; those that were made."""
    folder = settings.home / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = []
    for name, given, new in (
        ("signing_key", settings.signing_key, secrets.token_urlsafe(48)),
        ("secrets_key", settings.secrets_key, Fernet.generate_key().decode("ascii")),
    ):
        if given is None and write_private(folder / name, new):
            made.append(folder / name)
    return made


def signing_key(settings: Settings) -> str:
    """What signs sessions. Raises `ConfigurationError` when there is none."""
    return settings.signing_key or _from_file(settings, "signing_key")


def secrets_box(settings: Settings) -> MultiFernet:
    """What encrypts and decrypts secrets: the first key encrypts, each decrypts. Raises `ConfigurationError`."""
    text = settings.secrets_key or _from_file(settings, "secrets_key")
    try:
        return MultiFernet([Fernet(key.strip()) for key in text.split(",")])
    except ValueError as error:
        raise ConfigurationError(["SECRETS_KEY: must be Fernet keys with commas between"]) from error


def secrets_box_if_any(settings: Settings) -> MultiFernet | None:
    """As `secrets_box`, but None where no key was ever made: an installation whose keys are in the environment only.

    Raises `ConfigurationError` for a key that is none, or that others may read.
    """
    if settings.secrets_key is None and not (settings.home / FOLDER / "secrets_key").exists():
        return None
    return secrets_box(settings)


def write_private(path: Path, text: str) -> bool:
    """A new file for its owner alone, complete or not there. False when there is one already."""
    draft = _draft(path, text)
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def replace_private(path: Path, text: str) -> None:
    """Put this in the place of what there is, for its owner alone: one or the other, whatever happens meanwhile."""
    draft = _draft(path, text)
    try:
        draft.replace(path)
    except OSError:
        draft.unlink()
        raise
    sync_folder(path.parent)


def _draft(path: Path, text: str) -> Path:
    """The whole text beside its place. root leaves it to the owner of the folder, whose processes are to read it."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            if os.geteuid() == 0:
                owner = path.parent.stat()
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        draft.unlink()
        raise
    return draft


def check_private(path: Path) -> None:
    """Raises `ConfigurationError` for a secret that others on this machine may read."""
    if path.stat().st_mode & OTHERS_MAY:
        raise ConfigurationError([f"{path} may be read by others: chmod 600 {path}"])


def _from_file(settings: Settings, name: str) -> str:
    path = settings.home / FOLDER / name
    try:
        check_private(path)
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        sentence = f"{name.upper()} is not set and {path} cannot be read: `photochanger keys` makes one"
        raise ConfigurationError([sentence]) from error
