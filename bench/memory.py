"""Memory: an API process with many waiting requests, with large uploads at once; a runner with 16 photos in work."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.database import execute, rows
from bench.figures import FEW, Figure
from bench.house import PASSWORD, House, house, megabytes, transactions
from bench.photos import photo_file
from simulators.booth import SLOTS, Plan, run_booths

SAMPLE_SECONDS = 0.02
WATCHED_SECONDS = 6.0
ARRIVE_SECONDS = 60.0
PLACES = 16
CROWD = 128
"""So many come at once, and wait beside those that came before."""


def measure(*, quick: bool) -> Iterator[Figure]:
    """All its figures."""
    with photo_file(2) as small, photo_file(15) as large:
        for waiting, goal in ((128, 220), (500, 300)):
            if not (quick and waiting == 500):
                yield from _waiting(small, waiting=waiting, goal=goal)
        yield _uploads(small, large)
        for photo, told in ((small, 2), (large, 15)):
            yield from _runner(photo, megabytes_of_photo=told)


@dataclass
class Peak:
    """The most that processes held together while it was watched."""

    value: float = 0.0


@contextmanager
def _watched(processes: Sequence[psutil.Process], *, shared: bool = True) -> Iterator[Peak]:
    peak, ended = Peak(), threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            with suppress(psutil.NoSuchProcess):
                peak.value = max(peak.value, megabytes(processes, shared=shared))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()


def _waiting(photo: Path, *, waiting: int, goal: int) -> Iterator[Figure]:
    """Nobody works on the jobs: all the requests wait."""
    with house(runners=0) as home, _watched(home.processes["api"]) as peak:
        queries, cpu = asyncio.run(_held(home, photo, booths=waiting))
        yield Figure(
            what=f"{waiting} waiting ingests of 2 MB: API's peak RSS", values=[peak.value], unit="MB", goal=(FEW, goal)
        )
        yield Figure(what="… queries a second, at a tick of 1 s", values=[queries], unit="/s", goal=(FEW, 1.1))
        yield Figure(what="… CPU of the waiting API process", values=[cpu * 100], unit="% of a core")


async def _held(home: House, photo: Path, *, booths: int) -> tuple[float, float]:
    """Queries and CPU seconds a second while they wait."""
    shooting, come = [], 0
    while come < booths:
        crowd = min(CROWD, booths - come)
        plan = Plan(url=home.url, password=PASSWORD, booths=crowd, slots=SLOTS, photo=photo, unique=True)
        shooting.append(asyncio.create_task(run_booths(plan)))
        come += crowd
        await _all_queued(home, come)
    began, queries, cpu = time.monotonic(), transactions(home), home.cpu_seconds()["api"]
    await asyncio.sleep(WATCHED_SECONDS)
    took, queries, cpu = time.monotonic() - began, transactions(home) - queries, home.cpu_seconds()["api"] - cpu
    for crowd_shooting in shooting:
        crowd_shooting.cancel()
    await asyncio.gather(*shooting, return_exceptions=True)
    return queries / took, cpu / took


async def _all_queued(home: House, count: int) -> None:
    give_up = time.monotonic() + ARRIVE_SECONDS
    while rows(home.database_url, "SELECT count(*) FROM job WHERE status = 'queued'")[0][0] < count:
        if time.monotonic() > give_up:
            raise RuntimeError(f"the {count} photos were not taken in within {ARRIVE_SECONDS:.0f} s")
        await asyncio.sleep(0.2)
    await asyncio.sleep(2)  # until the connections have told what they did


def _uploads(small: Path, large: Path) -> Figure:
    with house(runners=0) as home:
        for path in (small, large, large):  # a process that has seen a photo of each size
            asyncio.run(_received(home, path, booths=1))
        before = megabytes(home.processes["api"])
        with _watched(home.processes["api"]) as peak:
            asyncio.run(_received(home, large, booths=16))
        return Figure(
            what="16 uploads of 15 MB at once: RSS they add", values=[peak.value - before], unit="MB", goal=(FEW, 25)
        )


async def _received(home: House, photo: Path, *, booths: int) -> None:
    execute(home.database_url, "TRUNCATE job CASCADE")
    plan = Plan(url=home.url, password=PASSWORD, booths=booths, slots=SLOTS[:booths], photo=photo, unique=True)
    shooting = asyncio.create_task(run_booths(plan))
    await _all_queued(home, booths)
    shooting.cancel()
    with suppress(asyncio.CancelledError):
        await shooting


def _runner(photo: Path, *, megabytes_of_photo: int) -> Iterator[Figure]:
    """One runner with all its places taken: the provider takes 2 s."""
    with house(runners=1, delay_seconds=2.0) as home:
        home.shoot(booths=2, photo=photo)
        runner = home.processes["runner"]
        with _watched(runner) as peak, _watched([*runner, *home.picture_children()], shared=False) as all_of_it:
            home.shoot(booths=PLACES, count=2, photo=photo)
        yield Figure(
            what=f"{PLACES} photos of {megabytes_of_photo} MB in work: runner's peak RSS",
            values=[peak.value],
            unit="MB",
            goal=(FEW, 250),
        )
        yield Figure(what="… with its picture children (PSS)", values=[all_of_it.value], unit="MB")
