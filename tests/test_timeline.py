"""A job's way from its rows: complete, in order, and without a secret."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import delete, func, insert, select, text

from photochanger import audit, jobs
from photochanger.db import Database
from photochanger.jobs import Status
from photochanger.providers import Providers
from photochanger.tables import job, job_attempt, processing_log
from simulators.gemini import KEY
from tests.queue_rows import claim_one, job_in, queue
from tests.serving import Api
from tests.timelines import GEMINI, TURBOTEXT, Studio, events, moments, staged, told, until_sent

pytestmark = pytest.mark.anyio


@pytest.fixture
async def studio(
    api: Api, http: httpx.AsyncClient, tmp_path: Path, database_url: str, known_providers: Providers
) -> AsyncIterator[Studio]:
    async with staged(api, http, tmp_path, database_url, known_providers) as studio:
        yield studio


async def test_a_plain_photo_is_received_queued_claimed_attempted_and_finished(studio: Studio) -> None:
    async with studio.runner():
        assert (await studio.post()).status_code == 200
    await until_sent(studio.api.db)
    found = await moments(studio.api.db)
    assert [moment.event for moment in found] == [
        *("received", "checked", "queued", "claimed", "attempt_begun", "attempt_ended", "finished", "sent"),
        *("deadline", "result_expires"),
    ]
    assert [moment.at for moment in found] == sorted(moment.at for moment in found)
    (ended,) = await told(studio.api.db, "attempt_ended")
    assert (ended["number"], ended["provider"], ended["outcome"], ended["http_status"]) == (1, "gemini", "ok", 200)
    assert ended["cost_usd"] > 0
    assert {moment.runner for moment in found if moment.event in {"claimed", "finished"}} != {None}


async def test_a_plain_photo_writes_four_lines_and_one_attempt(studio: Studio) -> None:
    async with studio.runner():
        assert (await studio.post()).status_code == 200
    await until_sent(studio.api.db)
    async with studio.api.db.begin() as conn:
        assert (await conn.execute(select(func.count()).select_from(processing_log))).scalar_one() == 4
        assert (await conn.execute(select(func.count()).select_from(job_attempt))).scalar_one() == 1


async def test_a_repeat_and_a_fallback_say_why(studio: Studio) -> None:
    await studio.set_slot(**GEMINI, fallback=TURBOTEXT)
    await studio.behave("gemini", "unavailable")
    async with studio.runner():
        assert (await studio.post()).status_code == 200
    await until_sent(studio.api.db)
    found = await events(studio.api.db)
    tried = ["claimed", "attempt_begun", "attempt_ended"]
    assert found[:10] == ["received", "checked", "queued", *tried, "parked", *tried]
    assert found[10:13] == ["fell_back", "claimed", "attempt_begun"]
    assert found[-4:] == ["finished", "sent", "deadline", "result_expires"]
    (fell_back,) = await told(studio.api.db, "fell_back")
    assert fell_back["provider"] == "turbotext"
    assert fell_back["why"].startswith("provider_unavailable: HTTP 503")
    repeated, accepted = (await told(studio.api.db, "parked"))[:2]
    assert repeated["why"].startswith("provider_unavailable")
    assert (accepted["why"], accepted["reference"] is not None) == ("accepted", True)


async def test_each_poll_of_a_providers_queue_is_told_with_what_came_of_it(studio: Studio) -> None:
    await studio.set_slot(**TURBOTEXT)
    await studio.behave("turbotext", "ok", reconnects=2)
    async with studio.runner():
        assert (await studio.post()).status_code == 200
    parked = await told(studio.api.db, "parked")
    assert [one["why"] for one in parked] == ["accepted", "pending", "pending"]
    assert len({one["reference"] for one in parked}) == 1
    found = await events(studio.api.db)
    assert found.count("claimed") == 4
    assert found.index("attempt_begun") < found.index("parked")
    assert found.index("attempt_ended") == found.index("finished") - 1


async def test_a_takeover_is_told_with_the_runner_that_was_lost(studio: Studio) -> None:
    job_id = await queue(studio.api.db)
    claimed = await claim_one(studio.api.db, runner="the-lost-one")
    async with studio.api.db.at_once() as conn:
        await jobs.release(conn, claimed, why="its runner's lease ran out")
    await claim_one(studio.api.db, runner="the-next-one")
    found = [moment for moment in await moments(studio.api.db, job_id) if moment.event in {"claimed", "released"}]
    assert [(moment.event, moment.runner) for moment in found] == [
        ("claimed", "the-lost-one"),
        ("released", "the-lost-one"),
        ("claimed", "the-next-one"),
    ]
    assert found[1].details == {"why": "its runner's lease ran out"}


async def test_a_refusal_by_the_open_circuit_leaves_its_cause_though_nothing_was_called(studio: Studio) -> None:
    async with studio.api.db.begin() as conn:
        values = "('gemini', 'gemini-nano-banana-2.1', 5, now() + interval '10 seconds')"
        insertion = f"INSERT INTO breaker (provider, model, failures_in_row, open_until) VALUES {values}"
        await conn.execute(text(insertion))
    async with studio.runner():
        assert (await studio.post()).status_code == 503
    assert await told(studio.api.db, "attempt_begun") == []
    (failed,) = await told(studio.api.db, "failed")
    assert failed["failure_reason"] == "provider_unavailable"
    assert "has failed 5 times in a row" in failed["why"]


@pytest.mark.parametrize("provider", ["gemini", "turbotext"])
async def test_a_key_that_a_provider_echoes_is_in_no_moment(studio: Studio, provider: str) -> None:
    await studio.set_slot(**(GEMINI if provider == "gemini" else TURBOTEXT))
    await studio.behave(provider, "echo_key_error")
    async with studio.runner():
        assert (await studio.post()).status_code >= 500
    found = await moments(studio.api.db)
    assert "attempt_ended" in [moment.event for moment in found]
    assert KEY not in repr(found)
    async with studio.api.db.begin() as conn:
        for table in (processing_log, job_attempt, job):
            assert KEY not in repr((await conn.execute(select(table))).all())


async def test_what_looks_like_a_key_in_an_old_line_goes_no_further(db: Database) -> None:
    job_id, _ = await job_in(db, Status.FAILED)
    planted = "AIza" + "Sy0123456789abcdefghijklmnopqrstuvw"
    details = {"why": f"GET /v1?key={planted}", "inner": {"api_key": "hunter2"}}
    async with db.begin() as conn:
        await conn.execute(insert(processing_log).values(job_id=job_id, event="noted", details=details))
        await conn.execute(
            insert(job_attempt).values(
                job_id=job_id,
                number=1,
                provider="gemini",
                started_at=func.now(),
                finished_at=func.now(),
                outcome="network",
                reason=f"Authorization: Bearer {planted}",
            )
        )
    found = repr(await moments(db, job_id))
    assert planted not in found
    assert "hunter2" not in found
    assert found.count("[redacted]") == 3


@pytest.mark.parametrize(
    ("status", "end"), [(Status.DONE, "finished"), (Status.FAILED, "failed"), (Status.TIMEOUT, "expired")]
)
async def test_the_end_is_known_when_the_log_has_forgotten(db: Database, status: Status, end: str) -> None:
    job_id, _ = await job_in(db, status)
    assert (await events(db, job_id)).count(end) == 1
    async with db.begin() as conn:
        await conn.execute(delete(processing_log))
    found = {moment.event: moment for moment in await moments(db, job_id)}
    assert {"received", end, "deadline"} <= set(found)
    if status is not Status.DONE:
        assert found[end].details == {"failure_reason": "no_image" if end == "failed" else "timeout"}


async def test_what_an_administrator_did_with_a_job_is_in_its_way(db: Database) -> None:
    job_id, _ = await job_in(db, Status.FAILED)
    async with db.begin() as conn:
        await audit.record(conn, "job_replayed", actor="serg", job_id=job_id, as_job="f" * 32)
    (replayed,) = [moment for moment in await moments(db, job_id) if moment.event == "job_replayed"]
    assert (replayed.actor, replayed.details) == ("serg", {"as_job": "f" * 32})


async def test_an_unknown_job_has_no_way(db: Database) -> None:
    assert await moments(db, "0" * 32) == []
