"""Files of ours on the disk: opened to be read or made anew, and never through a link.

A name is looked at and opened in one step. Between a look by name and an opening by name somebody could put a link
there, and another program's file would go out as a picture.
"""

import errno
import os
import stat
from pathlib import Path

FILE_MODE = 0o640
NO_PLAIN_FILE = {errno.ELOOP, errno.ENXIO}
"""What opening a link, or a socket or pipe, comes to."""


def open_plain(path: Path) -> int:
    """A descriptor to read from. Raises `FileNotFoundError` also for a link and for anything else than a plain file."""
    try:
        # A pipe would hold us up until somebody writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in NO_PLAIN_FILE:
            raise _not_plain(path) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_plain(path)
    return descriptor


def open_new(path: Path) -> int:
    """A descriptor of a new, empty file. Raises `OSError` where there is something already."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)


def read(path: Path) -> bytes:
    """All of it. Raises as `open_plain`."""
    with os.fdopen(open_plain(path), "rb") as file:
        return file.read()


def sync_folder(folder: Path) -> None:
    """Have the names in it on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _not_plain(path: Path) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "not a plain file", str(path))
