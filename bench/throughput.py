"""Photos a second with a provider that answers at once; beside it, in turn, the bare forwarder of forwarder.py."""

import os
import socket
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import psutil

from bench.figures import FEW, MANY, Figure, ratios
from bench.house import House, await_answer, house, pictures, started
from bench.photos import photo_file

FORWARDERS = 2
GOALS = {2: 20, 10: 6}
LOAD = {2: (40, 6), 10: (16, 1)}
"""Megabytes → booths, and the photos each takes in a round."""
ORDER = ("api", "runner", "pictures", "database", "simulators", "booths", "forwarder")


def measure(*, quick: bool) -> Iterator[Figure]:
    """All its figures."""
    with house(apis=1, runners=2, poll_seconds=0.25) as home, _forwarding(home) as (beside, url):
        for megabytes, goal in GOALS.items():
            booths, count = LOAD[megabytes]
            with photo_file(megabytes) as photo:
                home.shoot(booths=15, photo=photo)
                home.shoot(booths=15, photo=photo, url=url)
                ours = _rounds(beside, photo, booths=booths, count=count, rounds=2 if quick else 3, other_url=url)
            yield from _told(megabytes, goal, ours)
            yield Figure(
                what="… CPU of a photo: our processes",
                values=[sum(one) for one in zip(*(ours[kind] for kind in ORDER[:4]), strict=True)],
                unit="ms",
                note=_how(booths, count),
            )


def _told(megabytes: int, goal: int, ours: dict[str, list[float]]) -> Iterator[Figure]:
    yield Figure(what=f"photos of {megabytes} MB", values=ours["rate"], unit="/s", goal=(MANY, goal))
    yield Figure(what="… not answered with a picture, a round", values=ours["lost"], goal=(FEW, 0))
    yield Figure(what="… bare forwarder", values=ours["forwarder rate"], unit="/s")
    half = (MANY, 0.5) if megabytes == 2 else None
    yield Figure(what="… share of the forwarder's", values=ratios(ours["rate"], ours["forwarder rate"]), goal=half)
    for kind in ORDER:
        yield Figure(what=f"… CPU of a photo: {kind}", values=ours[kind], unit="ms")


def _how(booths: int, count: int) -> str:
    return (
        f"1 API, 2 runner processes, {FORWARDERS} forwarder processes, 1 simulator; {booths} booths with {count} "
        "photos each a round on the same cores; poll tick 0.25 s; forwarder: its own CPU only."
    )


def _rounds(
    home: House, photo: Path, *, booths: int, count: int, rounds: int, other_url: str
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    photos = booths * count
    for _ in range(rounds):
        before = home.cpu_seconds()
        report = home.shoot(booths=booths, count=count, photo=photo)
        after = home.cpu_seconds()
        found["rate"].append(len(pictures(report)) / report.seconds)
        found["lost"].append(photos - len(pictures(report)))
        for kind in ORDER[:-1]:
            found[kind].append((after[kind] - before[kind]) * 1000 / photos)
        other = home.shoot(booths=booths, count=count, photo=photo, url=other_url)
        found["forwarder rate"].append(len(pictures(other)) / other.seconds)
        found["forwarder"].append((home.cpu_seconds()["forwarder"] - after["forwarder"]) * 1000 / photos)
    return found


@contextmanager
def _forwarding(home: House) -> Iterator[tuple[House, str]]:
    """The house with forwarders beside it, and their address."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=1024)) as listening:
        fd = listening.fileno()
        command = ["bench.forwarder", str(fd), home.simulators_url]
        with (
            started(command, os.environ, home.folder / "forwarder-0.log", fd) as first,
            started(command, os.environ, home.folder / "forwarder-1.log", fd) as second,
        ):
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            await_answer(url, "/livez")
            both = [psutil.Process(first), psutil.Process(second)]
            yield replace(home, processes={**home.processes, "forwarder": both}), url
