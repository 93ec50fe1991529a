"""The cleanup: many expired results at once, a sweep with nothing to do beside many rows, and booths meanwhile."""

import statistics
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.answer import PROVIDER_SECONDS, TAKEN_OFF_SECONDS, TICK_SECONDS
from bench.database import execute, rows, server
from bench.figures import FEW, Figure, percentile
from bench.house import House, house, pictures, started
from bench.photos import photo_file
from bench.queue_rows import add_finished
from cleanup.scope import Scope
from cleanup.sweep import RETENTION, sweep_all
from photochanger import media_root, process
from photochanger.db import Database
from photochanger.media import Media

RESULT_BYTES, PREVIEW_BYTES = 8_000, 2_000
"""Smaller than real ones: removing a file costs by its name much more than by its size, and the disk is not endless."""
EXPIRE = "UPDATE job SET result_expires_at = now() - interval '1 second' WHERE result_path IS NOT NULL"
FORGET = """
    UPDATE job SET result_path = NULL, preview_path = NULL, result_expires_at = now() - interval '1 hour'
    WHERE created_at < (SELECT created_at FROM job ORDER BY created_at DESC OFFSET {living} LIMIT 1)
"""
REVIVE = """
    UPDATE job SET result_path = 'results/' || replace(job_id::text, '-', '') || '.jpg',
                   preview_path = 'previews/' || replace(job_id::text, '-', '') || '.webp'
    WHERE result_sha256 = sha256(job_id::text::bytea)
"""
PATHS = "SELECT result_path, preview_path FROM job WHERE result_path IS NOT NULL"


def measure(*, quick: bool) -> Iterator[Figure]:
    """All its figures."""
    expired, finished, living = (10_000, 200_000, 4_000) if quick else (100_000, 1_000_000, 20_000)
    with server() as base, TemporaryDirectory(prefix="photochanger-bench-media-") as folder:
        with base.database() as url:
            yield from _many_expired(url, Path(folder) / "expired", count=expired)
        with base.database() as url:
            yield from _nothing(url, Path(folder) / "nothing", finished=finished, living=living)
    yield from _beside_booths(count=60_000 if quick else 100_000, rounds=2 if quick else 4)


def _many_expired(url: str, root: Path, *, count: int) -> Iterator[Figure]:
    add_finished(url, count)
    _write_results(url, root)
    execute(url, EXPIRE)
    (seconds,) = process.run(_swept(url, root))
    if any((root / "results").iterdir()):
        raise RuntimeError("results were left")
    whole = 100_000 / count
    yield Figure(
        what=f"a sweep of {count:,} expired results",
        values=[sum(seconds.values())],
        unit="s",
        goal=(FEW, 300 / whole),
        note=f"with a preview each; of it {seconds['expired_results']:.1f} s their own sweep",
    )


def _nothing(url: str, root: Path, *, finished: int, living: int) -> Iterator[Figure]:
    add_finished(url, finished)
    execute(url, FORGET.format(living=living))
    execute(url, "VACUUM (ANALYZE) job")
    _write_results(url, root)
    rounds = process.run(_swept(url, root, times=6))[1:]  # the first one rolls the hours
    ends = [sum(seconds.values()) for seconds in rounds]
    yield Figure(
        what=f"a sweep of nothing, {finished:,} jobs, {living:,} results",
        values=ends,
        unit="s",
        note="; ".join(f"{name} {statistics.median(one[name] for one in rounds) * 1000:.0f} ms" for name in rounds[0]),
    )
    execute(url, FORGET.format(living=0))
    execute(url, "UPDATE job SET result_path = NULL, preview_path = NULL WHERE result_path IS NOT NULL")
    execute(url, "VACUUM (ANALYZE) job")
    for path in (*(root / "results").iterdir(), *(root / "previews").iterdir()):
        path.unlink()
    for what, without in (
        ("… without a living result", ()),
        ("… as in three quarter-hours of four", RETENTION),
    ):
        empty = [sum(seconds.values()) for seconds in process.run(_swept(url, root, times=6, without=without))[1:]]
        yield Figure(what=what, values=empty, unit="s", goal=(FEW, 0.05))


def _beside_booths(*, count: int, rounds: int) -> Iterator[Figure]:
    """The booths' own share of an answer, in turn without and with a sweep of expired results going on."""
    with (
        house(instant=True, delay_seconds=PROVIDER_SECONDS, poll_seconds=TICK_SECONDS) as home,
        photo_file(2) as photo,
    ):
        home.shoot(booths=15, photo=photo)
        add_finished(home.database_url, count)
        alone: list[float] = []
        beside: list[float] = []
        for _ in range(rounds):
            alone.append(_p95(home, photo))
            _fill_house(home)
            with started(["photochanger", "cleanup", "--once"], home.environment, home.folder / "sweep.log"):
                _await_sweep(home, below=count)
                beside.append(_p95(home, photo))
                if not _left(home):
                    raise RuntimeError("the sweep was over before the photos were")
                _await_sweep(home, below=1)
        yield Figure(what="15 booths, 2 MB: own share, 95th percentile", values=alone, unit="s")
        yield Figure(what=f"… beside a sweep of {count:,} results", values=beside, unit="s")
        ratio = statistics.median(beside) / statistics.median(alone)
        yield Figure(what="… times longer", values=[ratio], goal=(FEW, 1.5))


def _p95(home: House, photo: Path) -> float:
    answers = [answer for _ in range(2) for answer in pictures(home.shoot(booths=15, photo=photo))]
    return percentile([answer.seconds - TAKEN_OFF_SECONDS for answer in answers], 0.95)


def _fill_house(home: House) -> None:
    execute(home.database_url, REVIVE)
    _write_results(home.database_url, home.folder / "media")
    execute(home.database_url, EXPIRE)


def _left(home: House) -> int:
    query = "SELECT count(*) FROM job WHERE result_expires_at <= now() AND result_path IS NOT NULL"
    return int(rows(home.database_url, query)[0][0])


def _await_sweep(home: House, *, below: int) -> None:
    give_up = time.monotonic() + 600
    while _left(home) >= below:
        if time.monotonic() > give_up:
            raise RuntimeError((home.folder / "sweep.log").read_text()[-2000:])
        time.sleep(0.05)


def _write_results(url: str, root: Path) -> None:
    Media(root).create_folders()
    contents = {"results": bytes(RESULT_BYTES), "previews": bytes(PREVIEW_BYTES)}

    def write(pair: tuple[str, str]) -> None:
        for path in pair:
            (root / path).write_bytes(contents[path.partition("/")[0]])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, rows(url, PATHS)))


async def _swept(url: str, root: Path, *, times: int = 1, without: Collection[str] = ()) -> list[dict[str, float]]:
    """The seconds of every sweep, each time; as a daemon does it, whose statements are compiled once."""
    found = []
    async with Database(url, connections=4) as db:
        scope = Scope(db=db, media=await media_root.opened(db, root), job_retention_days=90)
        for _ in range(times):
            outcomes = await sweep_all(scope, without=without)
            if outcomes is None or any(outcome.swept is None for outcome in outcomes):
                raise RuntimeError(f"a sweep failed: {outcomes}")
            found.append({outcome.sweep: outcome.seconds for outcome in outcomes})
    return found
