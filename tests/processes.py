"""The product's processes as they are in a studio: started, signalled, killed and frozen, and read by their logs."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from sqlalchemy import select, update

from photochanger import app_settings
from photochanger.db import Database
from photochanger.media import Media
from photochanger.tables import job, slot
from simulators.gemini import KEY
from tests.booths import photo_bytes, post_photo
from tests.invariants import assert_all_holds, given
from tests.queue_rows import until
from tests.serving import PASSWORD_HASH, SECRETS_KEY, SIGNING_KEY
from tests.simulated import Simulators, simulated

PHOTO = photo_bytes()
ROOT = Path(__file__).parents[1]
UP_SECONDS = 30.0
"""Until a process is there, on a machine with much else to do."""
CRASH_MARKS = ("\nTraceback", "never retrieved", "never awaited", "job_crashed", "request_crashed", "sweep_failed")


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process and what it has logged."""

    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def lines(self, event: str, **facts: Any) -> list[dict[str, Any]]:
        """Its log lines of this event with these facts."""
        lines = [json.loads(line) for line in self.text().splitlines() if line.startswith("{") and line.endswith("}")]
        return [line for line in lines if line["event"] == event and facts.items() <= line.items()]

    async def told(self, event: str, *, seconds: float = UP_SECONDS, **facts: Any) -> dict[str, Any]:
        """The first such line, as soon as it is there."""
        give_up = time.monotonic() + seconds
        while not (found := self.lines(event, **facts)):
            assert self.popen.poll() is None, f"ended with {self.popen.returncode}: {self.text()[-4000:]}"
            assert time.monotonic() < give_up, f"no {event}: {self.text()[-4000:]}"
            await asyncio.sleep(0.02)
        return found[0]

    def terminate(self) -> None:
        self.popen.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9, and its last breath."""
        self.popen.kill()
        self.popen.wait()

    def freeze(self) -> None:
        self.popen.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.popen.send_signal(signal.SIGCONT)

    async def exit_code(self, *, seconds: float = 20.0) -> int:
        """Its exit code, once it has ended; fails when it has not within these seconds."""
        return await asyncio.to_thread(self.popen.wait, seconds)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.pid).children(recursive=True)


@dataclass(kw_only=True)
class Station:
    """A folder, a database and the processes on both. API processes share one socket, as under supervisor."""

    folder: Path
    environment: Mapping[str, str]
    socket: socket.socket
    processes: list[Process] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    @property
    def media(self) -> Media:
        return Media(Path(self.environment["MEDIA_ROOT"]))

    def start(
        self, module: str, *arguments: str, fds: tuple[int, ...] = (), told: Mapping[str, str] | None = None
    ) -> Process:
        """`python -m module arguments` in its own session, logging to a file of its own."""
        log = self.folder / f"{module}-{len(self.processes)}.log"
        with log.open("wb") as stderr:
            popen = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                env={**self.environment, **(told or {})},
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                pass_fds=fds,
                start_new_session=True,
            )
        process = Process(popen=popen, log=log)
        self.processes.append(process)
        return process

    def start_api(self, **environment: str) -> Process:
        return self.start("api", "--fd", str(self.socket.fileno()), fds=(self.socket.fileno(),), told=environment)

    async def api(self, **environment: str) -> Process:
        """An API process that answers, whoever else does."""
        process = self.start_api(**environment)
        give_up = time.monotonic() + UP_SECONDS
        while not process.lines("request_finished", path="/are-you-there"):
            assert process.popen.poll() is None, process.text()
            assert time.monotonic() < give_up, process.text()
            with suppress(OSError):  # another one that is just ending
                await asyncio.to_thread(self._ask)
        return process

    def _ask(self) -> None:
        with socket.create_connection(self.socket.getsockname(), timeout=0.2) as client:
            client.sendall(b"GET /are-you-there HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            client.recv(64)

    async def runner(self, **environment: str) -> Process:
        """A runner that looks for work."""
        process = self.start("runner", told=environment)
        await process.told("runner_started")
        return process

    async def runners(self, count: int, **environment: str) -> list[Process]:
        """Some, started at once; their hearts have beaten long enough to judge each other."""
        processes = [self.start("runner", told=environment) for _ in range(count)]
        for process in processes:
            await process.told("runner_started")
        return processes

    def holder(self, runner: str) -> Process:
        """The process behind the name of a runner as a job's row has it."""
        return next(process for process in self.processes if process.pid == int(runner.split(":")[1]))

    def assert_no_crashes(self) -> None:
        """No process has told of a mistake of ours."""
        for process in self.processes:
            assert not [mark for mark in CRASH_MARKS if mark in f"\n{process.text()}"], process.text()

    def end(self) -> None:
        """kill -9 whatever still runs."""
        for process in self.processes:
            if process.popen.poll() is None:
                process.kill()
        self.socket.close()


def environment_for(folder: Path, database_url: str | None, **told: str) -> dict[str, str]:
    """What processes on this folder and database are told, and nothing of the environment of the tests but PATH."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PHOTOCHANGER_HOME": str(folder / "home"),
        "SIGNING_KEY": SIGNING_KEY,
        "SECRETS_KEY": SECRETS_KEY,
        "MEDIA_ROOT": str(folder / "media"),
        "JOB_POLL_SECONDS": "0.1",
        "GEMINI_API_KEY": KEY,
        **({} if database_url is None else {"DATABASE_URL": database_url}),
        **told,
    }


@asynccontextmanager
async def station(folder: Path, database_url: str, *, simulators_url: str) -> AsyncIterator[Station]:
    """A station with `serving.PASSWORD`, on which nothing runs yet. At its end everything is killed."""
    async with Database(database_url, connections=2) as db, db.begin() as conn:
        await app_settings.store(conn, "ingest.password_hash", PASSWORD_HASH, by="test")
    told = environment_for(folder, database_url, GEMINI_BASE_URL=f"{simulators_url}/gemini")
    Media(Path(told["MEDIA_ROOT"])).create_folders()
    found = Station(folder=folder, environment=told, socket=socket.create_server(("127.0.0.1", 0), backlog=1024))
    try:
        yield found
        found.assert_no_crashes()
    finally:
        found.end()


@dataclass(frozen=True, kw_only=True)
class Studio:
    """A station on which nothing runs yet, and simulators that do."""

    station: Station
    simulators: Simulators
    http: httpx.AsyncClient
    db: Database
    answers: list[httpx.Response] = field(default_factory=list)

    async def post(self, photo: bytes = PHOTO, **given: Any) -> httpx.Response:
        answer = await post_photo(self.http, self.station.url, photo, **given)
        self.answers.append(answer)
        return answer

    async def posts(self, count: int, photo: bytes = PHOTO) -> list[asyncio.Task[httpx.Response]]:
        """Different photos to different slots, once the API has taken them all in."""
        posting = [
            asyncio.create_task(self.post(photo + b"%d" % number, slot=f"slot-{number:03}"))
            for number in range(1, count + 1)
        ]
        await self.until(lambda rows: len(rows) == count)
        return posting

    async def until(self, holds: Callable[[list[Any]], bool], *, seconds: float = 10.0) -> list[Any]:
        """The rows of all jobs, as soon as this holds for them."""
        rows: list[Any] = []

        async def seen() -> bool:
            async with self.db.at_once() as conn:
                rows[:] = list(await conn.execute(select(job)))
            return holds(rows)

        await until(seen, seconds=seconds)
        return rows

    async def calls(self, *, in_flight: int) -> None:
        """Wait until the provider has so many calls, each of them whole, and has answered none of them."""

        async def reached() -> bool:
            requests = await self.simulators.read("requests")
            return sum("behaviour" in one and one["status"] is None for one in requests) == in_flight

        await until(reached, seconds=10)

    async def assert_all_holds(self, *, killed: bool = False) -> None:
        calls = (await self.simulators.read("gemini/stats"))["requests"]
        answers = [given(answer) for answer in self.answers]
        media, url = self.station.media, self.station.url
        await assert_all_holds(self.db, media, answers, url=url, http=self.http, calls=calls, killed=killed)

    async def set_slots(self, **settings: Any) -> None:
        async with self.db.begin() as conn:
            await conn.execute(update(slot).values(settings={"prompt": "a portrait", **settings}))


@asynccontextmanager
async def opened(folder: Path, database_url: str, *, http: httpx.AsyncClient) -> AsyncIterator[Studio]:
    """A studio on this folder and database. At its end no simulator may have seen a malformed request."""
    async with (
        Database(database_url, connections=20) as db,
        simulated() as simulators,
        station(folder, database_url, simulators_url=simulators.url) as found,
    ):
        yield Studio(station=found, simulators=simulators, http=http, db=db)
        assert await simulators.violations() == []
