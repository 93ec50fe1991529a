"""The files that processes count in: nothing is lost with a process, nothing piles up, and nothing stops a process."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from photochanger.metrics_files import FOLDER, KINDS
from tests.processes import ROOT
from tests.scrapes import Scrape

COUNT = """
import sys
from pathlib import Path
from prometheus_client import generate_latest
from photochanger import logs, metrics, metrics_files

logs.configure("test")
class Families:
    def collect(self):
        return metrics_files.families()

with metrics_files.shared(Path(sys.argv[1]), "api"):
    for line in sys.stdin:
        word, _, given = line.strip().partition(" ")
        if word == "count":
            for _ in range(int(given)):
                metrics.CLAIMS.labels("gemini").inc()
                metrics.stage("queue", 0.02)
        if word == "wait":
            metrics.IN_HAND.labels("waiting").inc(int(given))
        if word == "tell":
            sys.stdout.write(generate_latest(Families()).decode() + "\\n")
        sys.stdout.write(".\\n")
        sys.stdout.flush()
"""


class Counting:
    """A process that counts in this home's files when it is told to."""

    def __init__(self, home: Path) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", COUNT, str(home)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def say(self, words: str) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(f"{words}\n")
        self.popen.stdin.flush()

    def answer(self) -> str:
        assert self.popen.stdout is not None
        told = ""
        while (line := self.popen.stdout.readline()) != ".\n":
            assert line, self.popen.stderr and self.popen.stderr.read()
            told += line
        return told

    def do(self, words: str) -> str:
        self.say(words)
        return self.answer()

    def scrape(self) -> Scrape:
        return Scrape(self.do("tell"))

    def end(self) -> str:
        """In order; what it has logged."""
        logged = self.popen.communicate(timeout=30)[1]
        assert self.popen.returncode == 0, logged
        return logged

    def kill(self) -> None:
        self.popen.kill()
        self.popen.communicate()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


Start = Callable[[], Counting]


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """Starts one more, which is there when this returns. At the end all are killed."""
    started: list[Counting] = []

    def start() -> Counting:
        one = Counting(home)
        started.append(one)
        one.do("hello")
        return one

    yield start
    for one in started:
        if one.popen.returncode is None:
            one.kill()


@pytest.fixture
def crew(start: Start) -> list[Counting]:
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda _: start(), range(4)))


def files(home: Path) -> set[str]:
    return {path.name for path in (home / FOLDER).glob("*.db")}


def test_processes_that_count_at_once_lose_nothing_and_get_places_of_their_own(
    home: Path, crew: list[Counting]
) -> None:
    for one in crew:
        one.say("count 5000")
    seen = 0.0
    for one in crew:
        one.answer()
        counted = crew[0].scrape().total("photochanger_claims_total")
        assert counted >= seen
        seen = counted
    told = crew[0].scrape()
    assert told.total("photochanger_claims_total", provider="gemini") == 20_000
    assert told.total("photochanger_stage_seconds_count", stage="queue") == 20_000
    assert told.total("photochanger_stage_seconds_bucket", stage="queue", le="0.025") == 20_000
    assert told.total("photochanger_stage_seconds_bucket", stage="queue", le="0.01") == 0
    assert told.total("photochanger_processes", process="api") == 4
    assert files(home) == {f"{kind}_api-{number}.db" for kind in KINDS for number in range(4)}


def test_a_killed_process_leaves_its_counters_and_takes_its_gauges(
    home: Path, crew: list[Counting], start: Start
) -> None:
    for one in crew:
        one.do("count 100")
        one.do("wait 3")
    before = files(home)
    for _ in range(3):
        victim = crew.pop(1)
        victim.say("count 1000000")
        victim.kill()
        told = crew[0].scrape()
        counted = told.total("photochanger_claims_total")
        assert counted >= 400
        assert told.total("photochanger_requests_in_hand", state="waiting") == 9
        assert told.total("photochanger_processes") == 3
        crew.append(start())
        crew[-1].do("wait 3")
        assert crew[0].scrape().total("photochanger_claims_total") == counted
        crew[-1].do("count 7")
        assert crew[0].scrape().total("photochanger_claims_total") == counted + 7
        assert crew[0].scrape().total("photochanger_requests_in_hand", state="waiting") == 12
    assert files(home) == before


def test_a_process_that_ends_in_order_takes_its_gauges_and_the_next_goes_on(crew: list[Counting], start: Start) -> None:
    for one in crew:
        one.do("count 10")
        one.do("wait 1")
        one.end()
    told = start().scrape()
    assert told.total("photochanger_claims_total") == 40
    assert told.total("photochanger_requests_in_hand") == 0
    assert told.total("photochanger_processes") == 1


@pytest.mark.parametrize("junk", [b"", b"\xff" * 64, b"\xff\xff\x00\x00" + b"\0" * 60, b"\x40\0\0\0" + b"\x07" * 400])
def test_a_broken_file_costs_its_own_figures_and_nothing_else(home: Path, start: Start, junk: bytes) -> None:
    first = start()
    first.do("count 5")
    second = start()
    second.do("count 6")
    first.kill()
    (home / FOLDER / "counter_api-0.db").write_bytes(junk)
    assert second.scrape().total("photochanger_claims_total") == 6
    third = start()
    third.do("count 2")
    assert third.scrape().total("photochanger_claims_total") == 8


def test_without_room_for_its_files_a_process_counts_for_itself(home: Path, start: Start) -> None:
    (home / FOLDER).write_text("a file where the folder should be")
    alone = start()
    alone.do("count 3")
    assert alone.scrape().total("photochanger_claims_total") == 3
    logged = [json.loads(line) for line in alone.end().splitlines()]
    assert [line["event"] for line in logged] == ["metrics_not_shared"]


def test_a_file_has_all_its_blocks_before_it_is_mapped(home: Path, crew: list[Counting]) -> None:
    crew[0].do("count 1")
    for path in (home / FOLDER).glob("*.db"):
        figures = path.stat()
        assert figures.st_blocks * 512 >= figures.st_size > 0, path.name
        assert figures.st_mode & 0o007 == 0


def test_figures_of_an_older_release_are_not_told(home: Path, crew: list[Counting]) -> None:
    crew[0].do("count 1")
    crew[1].kill()
    old = "from prometheus_client import Counter; Counter('of_old', 'x', ['a']).labels('b').inc()"
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(home / FOLDER)}
    subprocess.run([sys.executable, "-c", old], env=environment, check=True)
    told = crew[0].scrape()
    assert told.total("photochanger_claims_total") == 1
    assert not any(name.startswith("of_old") for name in told.families)
