"""Attempts inside the deadline when a provider fails: fallbacks, circuits, the minute's and the day's requests."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text, update

from photochanger import app_settings
from photochanger.providers import CallLimits, Providers
from photochanger.tables import breaker, job, job_attempt, processing_log, slot
from simulators.server import serving
from tests.booths import photo_bytes, post_photo
from tests.serving import Api, running, settings_for

pytestmark = pytest.mark.anyio

PHOTO = photo_bytes()
SETTINGS = {"prompt": "a portrait", "retries": 0}
LITE = {"provider": "gemini", "operation": "image_edit", "settings": {**SETTINGS, "prompt": "the other way"}}
NO_LIMITS = CallLimits(in_flight=None, per_minute=None, per_day=None, day_zone="UTC")


@dataclass(frozen=True)
class Studio:
    """The API, a runner and the simulators."""

    api: Api
    http: httpx.AsyncClient
    simulators: str

    async def behave(self, name: str, *, times: int | None = None, match: Any = None, **parameters: Any) -> None:
        rule = {"match": match or {}, "behaviour": {"name": name, **parameters}, "times": times}
        answer = await self.http.post(f"{self.simulators}/__emu/gemini/scenario", json=rule)
        assert answer.status_code < 300, answer.text

    async def calls(self) -> int:
        return int((await self.http.get(f"{self.simulators}/__emu/gemini/stats")).json()["requests"])

    async def set_slot(self, **values: Any) -> None:
        async with self.api.db.begin() as conn:
            await conn.execute(update(slot).values(**values))

    async def post(self, number: int = 0) -> httpx.Response:
        return await post_photo(self.http, self.api.url, PHOTO + b"%d" % number)


def with_limits(known: Providers, limits: CallLimits) -> Providers:
    return Providers({**known.by_name, "gemini": replace(known.by_name["gemini"], limits=limits)})


@pytest.fixture
async def studio(api: Api, http: httpx.AsyncClient) -> AsyncIterator[Studio]:
    async with serving() as simulators:
        studio = Studio(api, http, simulators.url)
        await studio.set_slot(settings=SETTINGS)
        yield studio


def settings(studio: Studio, tmp_path: Path, database_url: str) -> Any:
    keys = {"GEMINI_API_KEY": "simulator-key", "GEMINI_BASE_URL": f"{studio.simulators}/gemini"}
    return settings_for(tmp_path, database_url, **keys)


async def test_a_fallback_gets_the_time_that_is_left(
    studio: Studio, tmp_path: Path, database_url: str, known_providers: Providers
) -> None:
    await studio.set_slot(fallback=LITE)
    await studio.behave("unavailable", match={"prompt_contains": "a portrait"})
    async with running(settings(studio, tmp_path, database_url), known_providers, database_url):
        answer = await studio.post()
    assert answer.status_code == 200
    async with studio.api.db.begin() as conn:
        outcomes = list(await conn.execute(select(job_attempt.c.outcome).order_by(job_attempt.c.number)))
        moves = select(processing_log.c.event).where(processing_log.c.event != "sent").order_by(processing_log.c.at)
        events = [row.event for row in await conn.execute(moves)]
        row = (await conn.execute(select(job.c.on_fallback, job.c.status))).one()
    assert [outcome for (outcome,) in outcomes] == ["provider_unavailable", "ok"]
    assert events == ["queued", "claimed", "fell_back", "claimed", "finished"]
    assert tuple(row) == (True, "done")


async def test_a_fallback_that_fails_too_is_the_end(
    studio: Studio, tmp_path: Path, database_url: str, known_providers: Providers
) -> None:
    await studio.set_slot(fallback=LITE)
    await studio.behave("image_safety")
    async with running(settings(studio, tmp_path, database_url), known_providers, database_url):
        answer = await studio.post()
    assert (answer.status_code, answer.json()["failure_reason"]) == (502, "content_blocked")
    assert await studio.calls() == 2


async def test_five_failures_in_a_row_open_the_circuit_and_the_next_photo_fails_at_once(
    studio: Studio, tmp_path: Path, database_url: str, known_providers: Providers
) -> None:
    await studio.behave("unavailable")
    async with running(settings(studio, tmp_path, database_url), known_providers, database_url):
        for number in range(5):
            assert (await studio.post(number)).json()["failure_reason"] == "provider_unavailable"
        assert (await studio.http.get(f"{studio.api.url}/healthz")).json()["checks"]["providers"] == "failed"
        refused = await studio.post(5)
        assert await studio.calls() == 5
        assert (refused.status_code, refused.json()["failure_reason"]) == (503, "provider_unavailable")
        assert 1 <= int(refused.headers["retry-after"]) <= 10

        # Its time is over: one call probes, and closes it again.
        await studio.http.delete(f"{studio.simulators}/__emu/gemini/scenario")
        async with studio.api.db.begin() as conn:
            await conn.execute(text("UPDATE breaker SET open_until = now()"))
        assert (await studio.post(6)).status_code == 200
        assert (await studio.http.get(f"{studio.api.url}/healthz")).json()["checks"]["providers"] == "ok"


async def test_a_probe_that_fails_opens_the_circuit_again(
    studio: Studio, tmp_path: Path, database_url: str, known_providers: Providers
) -> None:
    async with studio.api.db.begin() as conn:
        values = {"provider": "gemini", "model": "gemini-nano-banana-2.1", "failures_in_row": 5}
        await conn.execute(breaker.insert().values(**values, open_until=text("now()"), changed_at=text("now()")))
    await studio.behave("unavailable")
    async with running(settings(studio, tmp_path, database_url), known_providers, database_url):
        for number in range(3):
            assert (await studio.post(number)).status_code == 503
    assert await studio.calls() == 1


async def test_a_refusal_for_content_is_no_failure_of_the_provider(
    studio: Studio, tmp_path: Path, database_url: str, known_providers: Providers
) -> None:
    await studio.behave("image_safety")
    async with running(settings(studio, tmp_path, database_url), known_providers, database_url):
        for number in range(6):
            assert (await studio.post(number)).json()["failure_reason"] == "content_blocked"
    async with studio.api.db.begin() as conn:
        assert (await conn.execute(select(breaker.c.failures_in_row))).all() == []


async def test_a_day_that_is_used_up_is_a_quota_without_a_call(
    studio: Studio, tmp_path: Path, database_url: str, known_providers: Providers
) -> None:
    limited = with_limits(known_providers, replace(NO_LIMITS, per_day=1))
    async with running(settings(studio, tmp_path, database_url), limited, database_url):
        assert (await studio.post(0)).status_code == 200
        refused = await studio.post(1)
    assert (refused.status_code, refused.json()["failure_reason"]) == (503, "quota")
    assert await studio.calls() == 1


async def test_a_full_minute_is_waited_for_if_the_deadline_allows_it(
    studio: Studio, tmp_path: Path, database_url: str, known_providers: Providers
) -> None:
    limited = with_limits(known_providers, replace(NO_LIMITS, per_minute=1))
    async with running(settings(studio, tmp_path, database_url), limited, database_url):
        assert (await studio.post(0)).status_code == 200
        async with studio.api.db.begin() as conn:
            await conn.execute(text("UPDATE job_attempt SET started_at = started_at - interval '58 seconds'"))
        assert (await studio.post(1)).status_code == 200
        too_long = await studio.post(2)
    assert (too_long.status_code, too_long.json()["failure_reason"]) == (503, "quota")
    assert await studio.calls() == 2


async def test_no_more_calls_are_in_flight_than_the_provider_allows(
    studio: Studio, tmp_path: Path, database_url: str, known_providers: Providers
) -> None:
    async with studio.api.db.begin() as conn:
        await app_settings.store(conn, "ingest.photos_in_work_per_slot", 50, by="test")
    await studio.behave("instant", delay_seconds=0.1)
    limited = with_limits(known_providers, replace(NO_LIMITS, in_flight=2))
    its = settings(studio, tmp_path, database_url)
    async with running(its, limited, database_url), running(its, limited, database_url):
        answers = await asyncio.gather(*(studio.post(number) for number in range(12)))
    assert [answer.status_code for answer in answers] == [200] * 12
    stats = (await studio.http.get(f"{studio.simulators}/__emu/gemini/stats")).json()
    assert 1 <= stats["max_in_flight"] <= 2, json.dumps(stats)
