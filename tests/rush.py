"""Booths at work on a studio of real processes while something happens to it, and what must hold afterwards."""

import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from photochanger import app_settings
from photochanger.db import Database
from simulators.booth import SLOTS, Plan, run_booths
from simulators.booth_report import Report
from tests.booths import photo_bytes
from tests.invariants import assert_all_holds, given_to_booths
from tests.processes import Studio, opened
from tests.serving import PASSWORD

NO_LIMIT = 1_000
BACK_SECONDS = 2.0
"""So long after a fault everything answers again."""


@asynccontextmanager
async def without_limit(folder: Path, database_url: str, *, http: httpx.AsyncClient) -> AsyncIterator[Studio]:
    """A studio whose slots take in as many photos as come."""
    async with opened(folder, database_url, http=http) as studio:
        async with studio.db.begin() as conn:
            await app_settings.store(conn, "ingest.photos_in_work_per_slot", NO_LIMIT, by="test")
        yield studio


def seeded() -> random.Random:
    """What happens at random; its seed is printed, and CHAOS_SEED repeats one."""
    seed = int(os.environ.get("CHAOS_SEED") or time.time_ns() % 1_000_000)
    sys.stdout.write(f"CHAOS_SEED={seed}\n")
    return random.Random(seed)


@dataclass(frozen=True, kw_only=True)
class Rush:
    """Booths at work while something happens."""

    studio: Studio
    saved: Path
    plan: Plan

    async def during(self, happening: Callable[[], Awaitable[None]]) -> Report:
        """Let the booths work, and this happen meanwhile; fails when it is not over before them."""
        booths = asyncio.create_task(run_booths(self.plan))
        try:
            await happening()
            assert not booths.done(), "the booths were done before it was over"
        except BaseException:
            booths.cancel()
            raise
        return await booths

    async def check(self, report: Report, *, killed: bool) -> Counter[str]:
        """The invariants, and that a plain photo is quick again. The jobs by their status."""
        studio = self.studio
        await asyncio.sleep(BACK_SECONDS)
        calls = (await studio.simulators.read("gemini/stats"))["requests"]
        async with Database(studio.station.environment["DATABASE_URL"]) as db:  # the studio's own may be in pieces
            counted = await assert_all_holds(
                db,
                studio.station.media,
                given_to_booths(report, saved=self.saved),
                url=studio.station.url,
                http=studio.http,
                calls=calls,
                killed=killed,
            )
        sys.stdout.write(f"{report.table()}\n{dict(counted)}, {calls} calls\n")
        await studio.simulators.behave("instant")
        began = time.monotonic()
        assert (await studio.post(photo_bytes(seed=9))).status_code == 200
        assert time.monotonic() - began < 2.0
        return counted


def rush(studio: Studio, folder: Path, *, booths: int, count: int, timeout_seconds: float = 75.0) -> Rush:
    photo, saved = folder / "photo.jpg", folder / "saved"
    photo.write_bytes(photo_bytes())
    saved.mkdir()
    plan = Plan(
        url=studio.station.url,
        password=PASSWORD.decode(),
        slots=SLOTS,
        photo=photo,
        booths=booths,
        count=count,
        unique=True,
        save=saved,
        timeout_seconds=timeout_seconds,
    )
    return Rush(studio=studio, saved=saved, plan=plan)


def refused(report: Report) -> Counter[str]:
    """The outcomes that are no pictures."""
    return Counter(answer.outcome for answer in report.answers if answer.problem is not None)
