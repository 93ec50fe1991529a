"""Looking at and removing files, a folder or a batch at a time.

Nothing is believed of a folder that is not the right one: `Media.check_root` comes before and after, so that a disk
that goes away in between neither loses a file nor lets a row be told that it has gone.
"""

import asyncio
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from cleanup.scope import Scope, Swept
from photochanger.media import FOLDERS, Media

log = structlog.get_logger()

NAME_CHARACTERS = 32
"""Every file's name begins with the id of its job or media object."""


@dataclass(kw_only=True)
class Removed:
    """What a removal came to. `kept`: what could not be removed, and is tried again at the next sweep."""

    files: int = 0
    bytes: int = 0
    kept: set[str] = field(default_factory=set)

    def swept(self, count: int) -> Swept:
        """So many things went, with these files."""
        return Swept(count=count, files=self.files, bytes=self.bytes)


async def remove(scope: Scope, relatives: Iterable[str]) -> Removed:
    """Remove files by their paths under MEDIA_ROOT; what has gone already is no error. A dry run removes nothing.

    Raises `Refusal` when MEDIA_ROOT is not the right folder: then no row may be told that a file has gone.
    """
    return await asyncio.to_thread(_remove, scope.media, list(relatives), dry_run=scope.dry_run)


async def names_in(scope: Scope, folder: str, *, links: bool = False) -> list[str]:
    """The names of the plain files of one of `FOLDERS`; with `links` those of links too. No file is looked at.

    Raises `OSError`, and `Refusal` when MEDIA_ROOT is not the right folder.
    """
    return await asyncio.to_thread(_names_in, scope.media, folder, links=links)


async def older_than(scope: Scope, folder: str, names: Iterable[str], *, seconds: float) -> list[str]:
    """Those of these files that were last written so long ago."""
    return await asyncio.to_thread(_older_than, scope.media.folder(folder), list(names), seconds)


def id_of(name: str) -> str | None:
    """The id that a file's name begins with; None for a name that was not made here."""
    beginning = name[:NAME_CHARACTERS]
    ours = len(beginning) == NAME_CHARACTERS and set(beginning) <= set("0123456789abcdef")
    return beginning if ours else None


def _remove(media: Media, relatives: list[str], *, dry_run: bool) -> Removed:
    removed = Removed()
    media.check_root()
    for relative in relatives:
        try:
            path = _path(media, relative)
            size = path.lstat().st_size
            if not dry_run:
                path.unlink()
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            log.error("file_not_removed", path=relative, error=type(error).__name__)
            removed.kept.add(relative)
        else:
            removed.files += 1
            removed.bytes += size
    media.check_root()
    return removed


def _path(media: Media, relative: str) -> Path:
    """Also for names that were not made here, but lie there. Raises `ValueError` for what would lead elsewhere."""
    folder, _, name = relative.rpartition("/")
    if folder not in FOLDERS or name in {"", ".", ".."}:
        raise ValueError(f"not a path of ours: {relative!r}")
    return media.folder(folder) / name


def _names_in(media: Media, folder: str, *, links: bool) -> list[str]:
    media.check_root()
    with os.scandir(media.folder(folder)) as entries:
        names = [
            entry.name for entry in entries if entry.is_file(follow_symlinks=False) or (links and entry.is_symlink())
        ]
    media.check_root()
    return names


def _older_than(folder: Path, names: list[str], seconds: float) -> list[str]:
    before = time.time() - seconds
    found = []
    for name in names:
        try:
            if (folder / name).lstat().st_mtime < before:
                found.append(name)
        except FileNotFoundError:
            continue
    return found
