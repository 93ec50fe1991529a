"""`photochanger up`: everything on one machine, in the foreground, until Ctrl-C.

Database (embedded unless DATABASE_URL is set) → migrations → first passwords → supervisord (`deploy/supervisord.conf`).
"""

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from photochanger import admins, embedded, keys, migrate, provider_orders, providers
from photochanger.errors import ConfigurationError
from photochanger.first_start import PASSWORD_FILE, ensure_accounts, ensure_ingest_password
from photochanger.resources import folder
from photochanger.settings import Settings

UP_SECONDS = 40.0
ONLY_HERE = {"DATABASE_URL_FILE", "INGEST_PASSWORD", "INGEST_PASSWORD_FILE", "ADMIN_PASSWORD", "ADMIN_PASSWORD_FILE"}
"""Variables that no process below is told."""


def run() -> int:
    """Start, wait, stop. supervisord's exit code."""
    settings = Settings.from_env()
    known = providers.load()
    _check_port(settings)
    admins.read(admins.file_of(settings))
    asked_to_stop: list[int] = []
    _on_stop(lambda number, _: asked_to_stop.append(number))  # not in the middle of PostgreSQL's own start
    print("starting …", flush=True)
    server = None if settings.database_url else embedded.start(settings.home)
    url = settings.database_url or str(server.get_uri() if server else "")
    try:
        _on_stop(_stop)
        if asked_to_stop:
            return 128 + asked_to_stop[0]
        migrate.migrate(url)
        keys.ensure(settings)
        password = asyncio.run(ensure_ingest_password(settings, url))
        orders = asyncio.run(provider_orders.load_once(settings, known, database_url=url))
        print("".join(f"{told}\n" for told in orders.unreadable), end="", flush=True)
        environment = _environment(settings, url, simulated=not orders.keys and not orders.unreadable)
        with _supervised(settings.home, environment) as supervisord:
            if _comes_up(settings, supervisord):
                # Not before: passwords of accounts that are made while nothing comes up would never be shown.
                accounts = ensure_accounts(settings)
                _say_hello(settings, password, accounts, simulated=environment["SIMULATORS"] == "true")
            return supervisord.wait()
    finally:
        if server is not None:
            embedded.stop(server)


def _on_stop(handler: Callable[[int, FrameType | None], object]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)


def _stop(number: int, _frame: FrameType | None) -> None:
    """Before supervisord runs: what was started is stopped on the way out."""
    raise SystemExit(128 + number)


def _check_port(settings: Settings) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise ConfigurationError([f"port {settings.port} cannot be used ({error.strerror}): set PORT"]) from error


def _environment(settings: Settings, database_url: str, *, simulated: bool) -> dict[str, str]:
    """What the processes are told. While no provider has a key the simulators stand in for all of them."""
    port = os.environ.get("SIMULATORS_PORT", str(_free_port()))
    return {
        **{name: value for name, value in os.environ.items() if name not in ONLY_HERE},
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
        "DATABASE_URL": database_url,
        "PHOTOCHANGER_HOME": str(settings.home),
        "HOST": settings.host,
        "PORT": str(settings.port),
        "API_PROCESSES": os.environ.get("API_PROCESSES", "1"),
        "RUNNER_PROCESSES": os.environ.get("RUNNER_PROCESSES", "2"),
        "SIMULATORS": "true" if simulated else "false",
        "SIMULATORS_PORT": port,
        "SIMULATORS_URL": f"http://127.0.0.1:{port}" if simulated else "",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _say_hello(settings: Settings, password: str | None, accounts: Mapping[str, str], *, simulated: bool) -> None:
    base = settings.own_url
    sample = folder("simulators") / "assets" / "sample.jpg"
    password_file = settings.home / PASSWORD_FILE
    lines = [
        "",
        f"PhotoChanger        {base}   (slots slot-001 … slot-015)",
        f"health              {base}/healthz",
        f"logs                {settings.home / 'log'}",
        "providers           " + ("simulators: no provider key is set" if simulated else "the real ones"),
    ]
    if password is not None:
        lines.append(f"ingest password     {password}   (shown once; also in {password_file})")
    for name, first in accounts.items():
        told = "the one in ADMIN_PASSWORD" if settings.admin_password else f"{first}   (shown once, kept nowhere)"
        lines.append(f"{f'password of {name}':<19} {told}")
    lines += [
        "",
        "Try it:",
        f'  curl -sS -o changed.jpg -F "password=<{password_file}" -F "hash=$(md5sum < {sample} | cut -c1-32)" \\',
        f'       -F "fileToUpload=@{sample};type=image/jpeg" {base}/ingest/slot-001',
        "",
    ]
    print("\n".join(lines), flush=True)


@contextmanager
def _supervised(home: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """supervisord with everything; ended when the block is left, whatever happens."""
    (home / "log").mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(folder("deploy") / "supervisord.conf")]
    if os.geteuid() == 0:
        command += ["-u", "root"]
    with subprocess.Popen(command, env=dict(environment), cwd=home) as supervisord:
        _on_stop(lambda *_: supervisord.terminate())
        try:
            yield supervisord
        finally:
            supervisord.terminate()


def _comes_up(settings: Settings, supervisord: subprocess.Popen[bytes]) -> bool:
    """Wait until photos are taken in and changed; False when supervisord ends before. What takes long is told."""
    tell_at = time.monotonic() + UP_SECONDS
    while supervisord.poll() is None:
        if _is_up(settings):
            return True
        if time.monotonic() > tell_at:
            print(f"still not up: see the logs in {settings.home / 'log'}", flush=True)
            tell_at = float("inf")
        time.sleep(0.2)
    return False


def _is_up(settings: Settings) -> bool:
    connection = http.client.HTTPConnection(urlsplit(settings.own_url).netloc, timeout=2)
    try:
        connection.request("GET", "/healthz")
        health = json.load(connection.getresponse())
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    # Trouble with a provider is told elsewhere, and does not keep photos from being taken in.
    working = all(health.get("checks", {}).get(part) == "ok" for part in ("runners", "cleanup"))
    return health["status"] == "ok" or (health["status"] == "degraded" and working)
