"""A whole installation in real processes, for a benchmark: database, simulators, API and runner processes.

with house(apis=1, runners=2) as home:
    answers = home.shoot(booths=15, photo=path)
    home.cpu_seconds()  # by the kind of process
"""

import asyncio
import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench.database import Server, rows, server
from photochanger import app_settings
from photochanger.db import Database
from photochanger.passwords import hash_password
from simulators.booth import SLOTS, Plan, run_booths
from simulators.booth_report import Answer, Report
from simulators.gemini import KEY

PASSWORD = "bench-password"
START_SECONDS = 30.0
IN_WORK = 1000


@dataclass(frozen=True, kw_only=True)
class House:
    """Everything is up."""

    url: str
    simulators_url: str
    database: Server
    database_url: str
    folder: Path
    environment: Mapping[str, str]
    """What its processes are told, for one more of them."""
    processes: Mapping[str, list[psutil.Process]] = field(default_factory=dict)
    """By kind: `api`, `runner`, `simulators`, and what a benchmark adds."""

    def shoot(
        self, *, booths: int, photo: Path, count: int = 1, url: str | None = None, slots: Sequence[str] = SLOTS
    ) -> Report:
        """Let booths take photos, all at once; at least nine of ten must become pictures."""
        plan = Plan(
            url=url or self.url,
            password=PASSWORD,
            booths=booths,
            slots=slots[:booths],
            count=count,
            photo=photo,
            unique=True,
        )
        report = asyncio.run(run_booths(plan))
        if len(pictures(report)) < 0.9 * booths * count:
            raise RuntimeError(f"too few photos became pictures: {report.figures()['outcomes']}")
        return report

    def cpu_seconds(self) -> dict[str, float]:
        """Spent so far, by kind; `pictures` are the runners' children, `booths` is this process."""
        spent = {kind: sum(_cpu(one) for one in ones) for kind, ones in self.processes.items()}
        spent["pictures"] = sum(_cpu(child) for child in self.picture_children())
        spent["database"] = self.database.cpu_seconds()
        spent["booths"] = _cpu(psutil.Process())
        return spent

    def picture_children(self) -> list[psutil.Process]:
        """Of all runners."""
        return [child for runner in self.processes.get("runner", []) for child in runner.children()]

    def log(self, name: str) -> str:
        """What a process wrote: `api-0`, `runner-1`."""
        return (self.folder / f"{name}.log").read_text()


def pictures(report: Report) -> list[Answer]:
    """The good answers."""
    return [answer for answer in report.answers if answer.problem is None]


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def megabytes(processes: Sequence[psutil.Process], *, shared: bool = True) -> float:
    """What they hold resident, the sum; with `shared=False` what they share is counted once, by share (PSS)."""
    return sum((one.memory_info().rss if shared else one.memory_full_info().pss) for one in processes) / 1e6


def transactions(home: House) -> int:
    """So far in the installation's database, by a look from outside it."""
    name = home.database_url.split("?")[0].rpartition("/")[2]
    query = f"SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '{name}'"
    return int(rows(home.database.url, query)[0][0])


@contextmanager
def house(
    *, apis: int = 1, runners: int = 2, instant: bool = True, delay_seconds: float = 0.0, poll_seconds: float = 1.0
) -> Iterator[House]:
    """Start it, and stop it whatever happens. `instant`: the provider answers at once with a ready picture."""
    folder = Path(tempfile.mkdtemp(prefix="photochanger-bench-house-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        base = stack.enter_context(server())
        database_url = stack.enter_context(base.database())
        asyncio.run(_administer(database_url))
        listening = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0), backlog=1024)))
        fd, url = listening.fileno(), f"http://127.0.0.1:{listening.getsockname()[1]}"
        simulators_port = free_port()
        simulators_url = f"http://127.0.0.1:{simulators_port}/gemini"
        environment = {
            **os.environ,
            "DATABASE_URL": database_url,
            "PHOTOCHANGER_HOME": str(folder),
            "SIGNING_KEY": "a key for benchmarks, it signs nothing of worth",
            "MEDIA_ROOT": str(folder / "media"),
            "JOB_POLL_SECONDS": str(poll_seconds),
            "GEMINI_API_KEY": KEY,
            "GEMINI_BASE_URL": simulators_url,
            "TURBOTEXT_API_KEY": KEY,
            "TURBOTEXT_BASE_URL": simulators_url.replace("gemini", "turbotext"),
            "PUBLIC_MEDIA_BASE_URL": url,
        }
        flags = ["--instant"] if instant else []
        told = ["--port", str(simulators_port), "--delay", str(delay_seconds), *flags]
        kinds = {
            "simulators": (1, ["simulators", *told]),
            "api": (apis, ["api", "--fd", str(fd)]),
            "runner": (runners, ["runner"]),
        }
        processes = {
            kind: [
                psutil.Process(stack.enter_context(started(command, environment, folder / f"{kind}-{number}.log", fd)))
                for number in range(count)
            ]
            for kind, (count, command) in kinds.items()
        }
        home = House(
            url=url,
            simulators_url=simulators_url,
            database=base,
            database_url=database_url,
            folder=folder,
            environment=environment,
            processes=processes,
        )
        await_answer(home.url, "/livez")
        await_answer(simulators_url.removesuffix("/gemini"), "/__emu/violations")
        _await_runners(home, runners)
        yield home


@contextmanager
def started(command: Sequence[str], environment: Mapping[str, str], log: Path, *inherited: int) -> Iterator[int]:
    """`python -m command…` in a process of its own; its pid."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=inherited,
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def await_answer(url: str, path: str) -> None:
    """Until this path is answered, whatever the answer."""
    host, _, port = url.removeprefix("http://").partition(":")
    give_up = time.monotonic() + START_SECONDS
    while True:
        connection = http.client.HTTPConnection(host, int(port), timeout=2)
        try:
            connection.request("GET", path)
            connection.getresponse().read()
            return
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.05)
        finally:
            connection.close()


def _await_runners(home: House, count: int) -> None:
    give_up = time.monotonic() + START_SECONDS
    while rows(home.database_url, "SELECT count(*) FROM runner")[0][0] < count:
        if time.monotonic() > give_up:
            raise RuntimeError(f"the runners do not come up: {home.log('runner-0')[-500:]}")
        time.sleep(0.1)


async def _administer(database_url: str) -> None:
    async with Database(database_url, connections=1) as db, db.begin() as conn:
        kept = await asyncio.to_thread(hash_password, PASSWORD.encode())
        await app_settings.store(conn, "ingest.password_hash", kept, by="bench")
        await app_settings.store(conn, "ingest.photos_in_work_per_slot", IN_WORK, by="bench")
