"""Statistics and dashboard over HTTP, beside a million jobs of 30 days: before their hours are rolled, and after."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import structlog

from bench.database import execute, server
from bench.figures import FEW, Figure
from bench.stats_rows import add_month, add_years
from photochanger import hourly, process, providers
from tests.administrators import browser
from tests.serving import Api, serve_api, settings_for

YEARS = 3
MONTH = "window_minutes=43200"
FRAGMENT = "dashboard, what is polled"
ASKED = {
    "dashboard": ("/", 100),
    FRAGMENT: ("/", 50),
    "overview, the last hour": ("/api/stats/overview?window_minutes=60", 300),
    "overview, 30 days": (f"/api/stats/overview?{MONTH}", 300),
    "a slot, the last hour": ("/api/stats/slot-004?window_minutes=60", 100),
    "a slot, a day": ("/api/stats/slot-004?window_minutes=1440", 100),
    "a slot, 30 days": (f"/api/stats/slot-004?{MONTH}", 100),
    "global, a day": ("/api/stats/global?window_minutes=1440", None),
    "global, 30 days": (f"/api/stats/global?{MONTH}", None),
    "export of 30 days": ("/api/stats/export.csv", None),
    "page, 15 minutes": ("/statistics?minutes=15", 100),
    "page, the last hour": ("/statistics?minutes=60", 100),
    "page, 6 hours": ("/statistics?minutes=360", 100),
    "page, a day": ("/statistics?minutes=1440", 100),
    "page, a day, with the chart as a table": ("/statistics?minutes=1440&table=1", None),
    "page, 7 days": ("/statistics?minutes=10080", 100),
    "page, 30 days": ("/statistics?minutes=43200", 100),
    "page of a slot, a day": ("/statistics?minutes=1440&slot_id=slot-004", 100),
}
"""What is asked, and the most milliseconds it may take. Pages as a browser gets them, compressed."""


@dataclass
class Asking:
    """An API process that is asked, by an administrator."""

    api: Api
    http: httpx.AsyncClient
    headers: dict[str, str]
    rounds: int
    refused: set[str] = field(default_factory=set)

    async def milliseconds(self, what: str, *, part: bool = False) -> list[float]:
        """One after the other, after one that warms up. `part`: as htmx asks."""
        first = await self.once(what, part=part)
        return [first] if what in self.refused else [await self.once(what, part=part) for _ in range(self.rounds)]

    async def once(self, what: str, *, part: bool = False) -> float:
        """Milliseconds."""
        began = time.perf_counter()
        headers = {**self.headers, **({"HX-Request": "true"} if part else {})}
        answer = await self.http.get(f"{self.api.url}{what}", headers=headers)
        if answer.status_code != 200:
            self.refused.add(what)
        return (time.perf_counter() - began) * 1000


def measure(*, quick: bool) -> Iterator[Figure]:
    """All its figures."""
    yield from process.run(_all(jobs=100_000 if quick else 1_000_000, rounds=5 if quick else 15))


async def _all(*, jobs: int, rounds: int) -> list[Figure]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    figures: list[Figure] = []
    with server() as base, base.database() as url, tempfile.TemporaryDirectory(prefix="photochanger-bench-") as name:
        add_month(url, jobs)
        settings = settings_for(Path(name), url)
        async with (
            serve_api(settings, providers.load(), url) as api,
            httpx.AsyncClient(timeout=60, trust_env=False) as http,
        ):
            asking = Asking(api, http, {**await browser(api), "Accept": "text/html"}, rounds)
            once = Asking(api, http, asking.headers, rounds=1)
            figures += await _asked(once, f"{jobs:,} jobs, nothing rolled: ", goals=False)
            began = time.perf_counter()
            hours = await hourly.roll_up(api.db)
            seconds = time.perf_counter() - began
            execute(url, "VACUUM (ANALYZE) hourly_figure, hourly_attempts")
            figures.append(Figure(what="rolling them up, an hour of jobs", values=[seconds * 1000 / hours], unit="ms"))
            figures += await _asked(asking, "rolled: ", goals=True)
            add_years(url, YEARS)
            what, told = (
                "/api/stats/overview?window_minutes=60",
                f"{YEARS} more years of rolled hours: overview, the last hour",
            )
            first = await asking.once(what)
            figures.append(Figure(what=f"{told}, the first one", values=[first], unit="ms", goal=(FEW, 300)))
            values = await asking.milliseconds(what)
            figures.append(Figure(what=told, values=values, unit="ms", goal=(FEW, 300)))
    return figures


async def _asked(asking: Asking, prefix: str, *, goals: bool) -> list[Figure]:
    figures = []
    for told, (what, most) in ASKED.items():
        asking.refused.clear()
        values = await asking.milliseconds(what, part=told == FRAGMENT)
        goal = (FEW, most) if goals and most is not None else None
        note = "the database gave up after 5 s" if asking.refused else ""
        figures.append(Figure(what=prefix + told, values=values, unit="ms", goal=goal, note=note))
    return figures
