"""The files under MEDIA_ROOT.

    ingest/<job_id>            the booth's photo, until its job is final
    work/<job_id>-<claim>…     what a runner is preparing or checking; gone when its step ends
    results/<job_id>.<ext>     changed pictures, until they expire
    previews/<job_id>.webp     beside them
    provider/<media_id>.<ext>  what a provider fetches by a public link, until its job's deadline
    templates/<media_id>.<ext> pictures that slots put beside the photo, until an administrator deletes them

A file gets its final name by a rename, when it is complete and on disk, and only then its row. Names are our own, never
a client's; nothing is opened through a link.
"""

import errno
import os
import re
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from photochanger.errors import Failure, Refusal

FOLDERS = ("ingest", "work", "work/previews", "results", "previews", "provider", "templates")
RELATIVE = re.compile(
    r"(ingest/[0-9a-f]{32}|(results|provider|templates)/[0-9a-f]{32}\.(jpg|png|webp)|previews/[0-9a-f]{32}\.webp)"
)
FILE_MODE = 0o640
LEAST_FREE_BYTES = 500_000_000
LEAST_FREE_SHARE = 0.05
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOENT, errno.EIO}


@dataclass(frozen=True)
class Media:
    """The folder and what lies where in it."""

    root: Path

    def create_folders(self) -> None:
        """At start-up. Raises `OSError` when MEDIA_ROOT cannot be written."""
        for name in FOLDERS:
            (self.root / name).mkdir(parents=True, exist_ok=True, mode=0o750)

    def folder(self, name: str) -> Path:
        """One of `FOLDERS`."""
        return self.root / name

    def path_of(self, relative: str) -> Path:
        """Where a row's path lies. Raises `ValueError` for one that was not made here."""
        if not RELATIVE.fullmatch(relative):
            raise ValueError(f"not a path of ours: {relative!r}")
        return self.root / relative

    def new_file(self, relative: str) -> int:
        """A descriptor of a new, empty file. Raises `Refusal` (`storage_full`) when there is no room or no folder."""
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            return os.open(self.path_of(relative), flags, FILE_MODE)
        except OSError as error:
            raise storage_refusal(error) from error

    def keep(self, finished: Path, relative: str) -> None:
        """Give a complete, fsynced file its final name, durably. Raises `Refusal` (`storage_full`).

        Only for the holder of the job's row lock: it replaces what a holder before it may have left there. Done twice,
        it changes nothing.
        """
        target = self.path_of(relative)
        try:
            finished.rename(target)
        except FileNotFoundError as error:
            if not target.parent.is_dir():
                raise storage_refusal(error) from error
            if not target.exists():
                raise
        except OSError as error:
            raise storage_refusal(error) from error
        _sync_folder(target.parent)

    def keep_also(self, finished: Path, relative: str) -> None:
        """Give a file a second name, which lives on when the first one goes. Raises `Refusal` (`storage_full`)."""
        try:
            self.path_of(relative).hardlink_to(finished)
        except OSError as error:
            raise storage_refusal(error) from error

    def copy(self, source: str, target: str) -> int | None:
        """A new file with the bytes of another; how many, or None when there is no such file any more.

        Raises `Refusal` (`storage_full`).
        """
        if self.regular_file(source) is None:
            return None
        try:
            reading = os.open(self.path_of(source), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with os.fdopen(reading, "rb") as old, os.fdopen(self.new_file(target), "wb") as new:
            try:
                shutil.copyfileobj(old, new, 1024 * 1024)
                return new.tell()
            except OSError as error:
                raise storage_refusal(error) from error

    def discard(self, *relatives: str | None) -> None:
        """Remove files; what is gone already is no error."""
        for relative in relatives:
            if relative is not None:
                with suppress(FileNotFoundError):
                    self.path_of(relative).unlink()

    def discard_work(self, name: str) -> None:
        """Remove what a step has left behind under this name."""
        for folder in ("work", "work/previews"):
            for ending in ("", "-*", ".*"):  # the first claim's name is the beginning of the tenth's
                for path in self.folder(folder).glob(f"{name}{ending}"):
                    path.unlink(missing_ok=True)

    def regular_file(self, relative: str) -> tuple[Path, os.stat_result] | None:
        """The file and its figures; None when it is gone, or a link or anything else than a plain file."""
        path = self.path_of(relative)
        try:
            found = path.lstat()
        except FileNotFoundError:
            return None
        return (path, found) if stat.S_ISREG(found.st_mode) else None

    def check_room(self) -> None:
        """Raises `Refusal` (`storage_full`) below 500 MB or 5 %, and when the folder is gone or read-only."""
        try:
            usage = shutil.disk_usage(self.folder("ingest"))
            writable = os.access(self.folder("ingest"), os.W_OK)
        except OSError as error:
            raise storage_refusal(error) from error
        if not writable or usage.free < max(LEAST_FREE_BYTES, usage.total * LEAST_FREE_SHARE):
            raise Refusal(Failure.STORAGE_FULL)


def storage_refusal(error: OSError) -> Exception:
    """What an error while writing means to the one who waits: `storage_full`, or the error itself if it is another."""
    return Refusal(Failure.STORAGE_FULL) if error.errno in FULL else error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
