"""The queue by itself: claim and finish through the real functions, with and without a million finished jobs.

Beside it, in turn within each round, procrastinate with tasks that do nothing.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator

from bench.crew import crew
from bench.database import Server, execute, rows, server
from bench.figures import FEW, MANY, Figure, ratios
from bench.procrastinate_worker import defer, prepare
from bench.queue_rows import add_finished, add_queued

PROCESSES = 2
LANES = 4
BATCH_LANES = 8
Spent = dict[str, list[float]]


def measure(*, quick: bool) -> Iterator[Figure]:
    """All its figures."""
    rounds, count, million = (2, 2_000, 100_000) if quick else (3, 3_000, 1_000_000)
    spent: dict[str, Spent] = defaultdict(lambda: defaultdict(list))
    with server() as base, base.database() as empty, base.database() as full, base.database(migrated=False) as other:
        asyncio.run(prepare(other))
        add_finished(full, million)
        for _ in range(rounds):
            _round(base, empty, spent["one"], mode="one", count=count)
            _round(base, full, spent["one full"], mode="one", count=count)
            _round(base, empty, spent["batch"], mode="batch", count=count)
            _round(base, full, spent["batch full"], mode="batch", count=count)
            _admit(base, empty, spent["admit"], count=count // 3)
            _yardstick(base, other, spent["procrastinate"], count=count // 3)
    theirs = spent["procrastinate"]
    full_name = f"{million:,} finished jobs"
    for mode, told, goal, times in (
        ("one", "one by one", 2500, 5),
        ("batch", "claims of 16", None, 12),
    ):
        ours, crowded = spent[mode], spent[f"{mode} full"]
        rate_goal = (MANY, goal) if goal else None
        yield Figure(what=f"claim + finish, {told}", values=ours["rate"], unit="jobs/s", goal=rate_goal)
        yield Figure(what=f"… beside {full_name}", values=crowded["rate"], unit="jobs/s")
        slower = ratios(ours["rate"], crowded["rate"])
        yield Figure(what="… times slower by them", values=slower, goal=(FEW, 1.2))
        faster = ratios(ours["rate"], theirs["rate"])
        yield Figure(what="… times procrastinate's rate", values=faster, goal=(MANY, times))
        cpu_goal = (FEW, 0.5) if mode == "one" else None
        yield Figure(what="… CPU a job, worker + database", values=ours["cpu"], unit="ms", goal=cpu_goal)
        yield Figure(what="… of it the database", values=ours["database cpu"], unit="ms")
        yield Figure(what="… WAL a job, full pages left out", values=ours["wal"], unit="bytes", goal=(FEW, 1500))
    admitted = spent["admit"]
    yield Figure(what="photos taken in (intake.admit)", values=admitted["rate"], unit="jobs/s")
    yield Figure(what="… CPU a job, worker + database", values=admitted["cpu"], unit="ms")
    yield Figure(what="… WAL a job, full pages left out", values=admitted["wal"], unit="bytes")
    yield Figure(what="procrastinate", values=theirs["rate"], unit="jobs/s", note=_how(count))
    yield Figure(what="… CPU a job, worker + database", values=theirs["cpu"], unit="ms")
    yield Figure(what="… WAL a job, full pages left out", values=theirs["wal"], unit="bytes")


def _how(count: int) -> str:
    return (
        f"{PROCESSES} processes with {LANES} lanes each ({BATCH_LANES} finishing where claims are of 16), {count} jobs "
        "a round, fsync on; results recorded; the jobs' inputs come with the claim."
    )


def _round(base: Server, url: str, spent: Spent, *, mode: str, count: int) -> None:
    add_queued(url, count)
    database_before, wal_before = base.cpu_seconds(), base.wal_bytes()
    lanes = BATCH_LANES if mode == "batch" else LANES
    told = crew("bench.queue_worker", mode, url, str(lanes), processes=PROCESSES)
    database, wal = base.cpu_seconds() - database_before, base.wal_bytes() - wal_before
    if told.total("jobs") != count or rows(url, "SELECT count(*) FROM job WHERE status IN ('queued', 'running')")[0][0]:
        raise RuntimeError(f"{told.total('jobs')} of {count} jobs were finished")
    _note(spent, count=count, seconds=told.seconds, worker=told.total("cpu_seconds"), database=database, wal=wal)


def _admit(base: Server, url: str, spent: Spent, *, count: int) -> None:
    database_before, wal_before = base.cpu_seconds(), base.wal_bytes()
    told = crew("bench.intake_worker", url, str(LANES), str(count // PROCESSES), processes=PROCESSES)
    database, wal = base.cpu_seconds() - database_before, base.wal_bytes() - wal_before
    _note(spent, count=count, seconds=told.seconds, worker=told.total("cpu_seconds"), database=database, wal=wal)
    execute(url, "DELETE FROM job WHERE status = 'queued'")


def _yardstick(base: Server, url: str, spent: Spent, *, count: int) -> None:
    asyncio.run(defer(url, count=count))
    database_before, wal_before = base.cpu_seconds(), base.wal_bytes()
    told = crew("bench.procrastinate_worker", url, str(LANES), processes=PROCESSES)
    database, wal = base.cpu_seconds() - database_before, base.wal_bytes() - wal_before
    _note(spent, count=count, seconds=told.seconds, worker=told.total("cpu_seconds"), database=database, wal=wal)


def _note(spent: Spent, *, count: int, seconds: float, worker: float, database: float, wal: float) -> None:
    spent["rate"].append(count / seconds)
    spent["cpu"].append((worker + database) * 1000 / count)
    spent["database cpu"].append(database * 1000 / count)
    spent["wal"].append(wal / count)
