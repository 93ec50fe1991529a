"""The files under MEDIA_ROOT.

    ingest/<job_id>            the booth's photo, until its job is final
    work/<job_id>-<claim>…     what a runner is preparing or checking; gone when its step ends
    work/<media_id>…           what an administrator uploads, until it is checked; gone when the request ends
    results/<job_id>.<ext>     changed pictures, until they expire
    previews/<job_id>.webp     beside them
    provider/<media_id>.<ext>  what has a public link for a while: what providers fetch, what administrators upload
    templates/<media_id>.<ext> pictures that slots put beside the photo, until an administrator deletes them
    templates/previews/        their thumbnails, <media_id>.webp

A file is complete and on disk before its row says so; what replaces something gets its name by a rename. Names are our
own, never a client's; nothing is opened through a link (`plain_files.py`).

MEDIA_ROOT is usually a disk of its own. While that is not mounted, the bare folder under it looks the same: the marker,
which lies on the disk and says whose it is, tells them apart (`media_root.py`).
"""

import errno
import os
import re
import secrets
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from photochanger.errors import Failure, Refusal
from photochanger.plain_files import open_new, open_plain, sync_folder

log = structlog.get_logger()

MARKER = ".photochanger-media"
FOLDERS = ("ingest", "work", "work/previews", "results", "previews", "provider", "templates", "templates/previews")
RELATIVE = re.compile(
    r"((ingest|work)/[0-9a-f]{32}|(results|provider|templates)/[0-9a-f]{32}\.(jpg|png|webp)"
    r"|(templates/)?previews/[0-9a-f]{32}\.webp)"
)
LEAST_FREE_BYTES = 500_000_000
LEAST_FREE_SHARE = 0.05
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOENT, errno.EIO}


@dataclass(frozen=True)
class Media:
    """The folder and what lies where in it."""

    root: Path
    root_id: str | None = None
    """What its marker must say. None: it is not looked at."""

    def marker(self) -> str | None:
        """What the marker says; None where there is none that could be read."""
        try:
            descriptor = open_plain(self.root / MARKER)
        except OSError:
            return None
        try:
            return os.read(descriptor, 64).decode("ascii", "replace").strip()
        except OSError:
            return None
        finally:
            os.close(descriptor)

    def is_ours(self) -> bool:
        """Whether this is the folder that this installation's database knows: one small file is read."""
        return self.root_id is None or self.marker() == self.root_id

    def check_root(self) -> None:
        """Raises `Refusal` (`storage_full`), and says why in the log, when this is not the right folder."""
        if self.is_ours():
            return
        found = self.marker()
        why = "it has no marker: is its disk mounted?" if found is None else "it belongs to another installation"
        log.error("media_root_refused", root=str(self.root), why=why, marker=found, wanted=self.root_id)
        raise Refusal(Failure.STORAGE_FULL, "The disk for pictures is not there.")

    def mark(self, *, replace: bool = False) -> None:
        """Say in the folder whose it is, unless it says that of somebody already; with `replace` all the same.

        Raises `OSError` when it cannot be written.
        """
        assert self.root_id is not None
        self.root.mkdir(parents=True, exist_ok=True, mode=0o750)
        draft = self.root / f"{MARKER}.{secrets.token_hex(4)}"
        try:
            with os.fdopen(open_new(draft), "w", encoding="ascii") as file:
                file.write(f"{self.root_id}\n")
                file.flush()
                os.fsync(file.fileno())
            if replace:
                draft.replace(self.root / MARKER)
            else:
                with suppress(FileExistsError):
                    (self.root / MARKER).hardlink_to(draft)
        finally:
            draft.unlink(missing_ok=True)
        sync_folder(self.root)

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
        self.check_root()
        try:
            return open_new(self.path_of(relative))
        except OSError as error:
            raise storage_refusal(error) from error

    def keep(self, finished: Path, relative: str) -> None:
        """Give a complete, fsynced file its final name, durably. Raises `Refusal` (`storage_full`).

        Only for the holder of the job's row lock: it replaces what a holder before it may have left there. Done twice,
        it changes nothing.
        """
        target = self.path_of(relative)
        self.check_root()
        try:
            finished.rename(target)
        except FileNotFoundError as error:
            if not target.parent.is_dir():
                raise storage_refusal(error) from error
            if not target.exists():
                raise
        except OSError as error:
            raise storage_refusal(error) from error
        sync_folder(target.parent)

    def keep_also(self, finished: Path, relative: str) -> None:
        """Give a file a second name, which lives on when the first one goes. Raises `Refusal` (`storage_full`)."""
        try:
            self.path_of(relative).hardlink_to(finished)
        except OSError as error:
            raise storage_refusal(error) from error

    def copy(self, source: str, target: str) -> int | None:
        """A new file with the bytes of another, on disk; how many, or None when there is no such file any more.

        Raises `Refusal` (`storage_full`).
        """
        try:
            reading = open_plain(self.path_of(source))
        except FileNotFoundError:
            return None
        with os.fdopen(reading, "rb") as old, os.fdopen(self.new_file(target), "wb") as new:
            try:
                shutil.copyfileobj(old, new, 1024 * 1024)
                new.flush()
                os.fsync(new.fileno())
                sync_folder(self.path_of(target).parent)
                return new.tell()
            except OSError as error:
                raise storage_refusal(error) from error

    def sync(self, folder: str) -> None:
        """Have the names in one of `FOLDERS` on disk. Raises `Refusal` (`storage_full`)."""
        try:
            sync_folder(self.folder(folder))
        except OSError as error:
            raise storage_refusal(error) from error

    def discard(self, *relatives: str | None) -> None:
        """Remove files that nobody needs any more; what is gone already is no error.

        What cannot be removed because the disk has turned read-only is left to the sweep: no photo fails for it.
        """
        for relative in relatives:
            if relative is not None:
                _unlink(self.path_of(relative))

    def delete(self, *relatives: str | None) -> None:
        """Remove what somebody wants gone; what is gone already is no error. Raises `Refusal` (`storage_full`)."""
        for relative in relatives:
            if relative is not None:
                try:
                    self.path_of(relative).unlink(missing_ok=True)
                except OSError as error:
                    raise storage_refusal(error) from error

    def discard_work(self, name: str) -> None:
        """Remove what a step has left behind under this name."""
        for folder in ("work", "work/previews"):
            for path in self._entries(folder):
                # The first claim's name is the beginning of the tenth's.
                if path.name.startswith(name) and path.name[len(name) : len(name) + 1] in {"", "-", "."}:
                    _unlink(path)

    def _entries(self, folder: str) -> list[Path]:
        try:
            return list(self.folder(folder).iterdir())
        except FileNotFoundError:  # its disk is away, and all that was on it
            return []

    def regular_file(self, relative: str) -> tuple[Path, os.stat_result] | None:
        """The file and its figures; None when it is gone, or a link or anything else than a plain file.

        Whoever opens it afterwards opens it with `open_plain`: by then it may be another.
        """
        path = self.path_of(relative)
        try:
            found = path.lstat()
        except FileNotFoundError:
            return None
        return (path, found) if stat.S_ISREG(found.st_mode) else None

    def check_room(self) -> None:
        """Raises `Refusal` (`storage_full`) below 500 MB or 5 %, and when the folder is gone, another or read-only."""
        self.check_root()
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


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        if error.errno not in FULL:
            raise
        log.warning("file_left_to_the_sweep", path=str(path), error=error.strerror)
