"""Pages of the job log and a slot's gallery, with a million jobs behind them, through the real functions."""

import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from bench.database import execute, server
from bench.figures import FEW, Figure
from bench.queue_rows import add_finished
from photochanger import job_log, process
from photochanger.db import Database
from photochanger.gallery import gallery_of
from photochanger.job import Source, Status
from photochanger.job_log import Wanted

SELDOM = """
    -- One in twenty fails, five of them for a rare reason. One slot has never had a photo.
    UPDATE job SET status = 'failed', failure_reason = 'no_image', result_path = NULL, preview_path = NULL,
        result_mime = NULL, result_bytes = NULL, result_sha256 = NULL, result_expires_at = NULL
        WHERE hashtext(job_id::text) % 20 = 0;
    UPDATE job SET failure_reason = 'quota'
        WHERE job_id IN (SELECT job_id FROM job WHERE status = 'failed' ORDER BY created_at LIMIT 5);
    UPDATE job SET slot_id = 'slot-014' WHERE slot_id = 'slot-015';
    UPDATE job_input SET slot_id = 'slot-014' WHERE slot_id = 'slot-015';
    -- A provider that nobody uses any more, thirty test runs, ten fallbacks.
    UPDATE job SET provider = 'openai' WHERE job_id IN (SELECT job_id FROM job ORDER BY created_at LIMIT 30);
    UPDATE job_input SET snapshot = snapshot || '{"provider": "openai"}'
        WHERE job_id IN (SELECT job_id FROM job WHERE provider = 'openai');
    UPDATE job SET source = 'ui_test'
        WHERE job_id IN (SELECT job_id FROM job ORDER BY created_at OFFSET 100 LIMIT 30);
    UPDATE job SET provider = 'turbotext', on_fallback = true
        WHERE job_id IN (SELECT job_id FROM job ORDER BY created_at OFFSET 200 LIMIT 10);
    INSERT INTO job_attempt (job_id, number, provider, model, started_at, finished_at, outcome, cost_usd)
        SELECT job_id, 1, provider, 'model', created_at, finished_at, 'ok', 0.0336 FROM job;
    VACUUM (ANALYZE) job, job_input, job_attempt
"""
PAGES = {
    "the newest": Wanted(),
    "one slot": Wanted(slot_id="slot-003"),
    "a slot without photos": Wanted(slot_id="slot-015"),
    "failed": Wanted(status=Status.FAILED),
    "failed, of a slot without photos": Wanted(status=Status.FAILED, slot_id="slot-015"),
    "a rare reason": Wanted(failure_reason="quota"),
    "a rare provider": Wanted(provider="openai"),
    "a provider of fallbacks": Wanted(provider="turbotext"),
    "test runs": Wanted(source=Source.UI_TEST),
    "the beginning of an id": Wanted(id_prefix="0123"),
}
Ask = Callable[[AsyncConnection], Awaitable[object]]


def measure(*, quick: bool) -> Iterator[Figure]:
    """All its figures; the first asking counts too."""
    million = 100_000 if quick else 1_000_000
    with server() as base, base.database() as url:
        add_finished(url, million)
        for statement in SELDOM.split(";"):
            execute(url, statement)
        for name, wanted in PAGES.items():
            values = process.run(_asked(url, partial(job_log.page, wanted=wanted, limit=50)))
            yield Figure(what=f"log page: {name}", values=values, unit="ms", goal=(FEW, 50))
        values = process.run(_asked(url, partial(gallery_of, slot_id="slot-003", limit=10)))
        yield Figure(what="gallery", values=values, unit="ms", goal=(FEW, 20), note=f"{million:,} jobs, pages of 50.")


async def _asked(url: str, ask: Ask, *, times: int = 15) -> list[float]:
    """Milliseconds of each, on one connection."""
    spent = []
    async with Database(url, connections=1) as db:
        for _ in range(times):
            async with db.begin() as conn:
                began = time.perf_counter()
                await ask(conn)
                spent.append((time.perf_counter() - began) * 1000)
    return spent
