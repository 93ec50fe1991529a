"""Turbotext through the whole house: it fetches the photo by its public link, and any runner asks for the picture."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select, text, update

from photochanger import provider_media
from photochanger.providers import Providers
from photochanger.settings import Settings
from photochanger.tables import job, job_attempt, media_object, processing_log, slot, slot_template
from simulators.server import serving
from tests.booths import nothing_left, photo_bytes, post_photo
from tests.scrapes import scrape
from tests.serving import Api, running, settings_for

pytestmark = pytest.mark.anyio

PHOTO = photo_bytes()
STYLE = photo_bytes(width=320, height=320, seed=9)
STATES = ("accepted", "finished", "failed", "expired")


@dataclass(frozen=True)
class Studio:
    """The API, the simulators, and what a runner is told."""

    api: Api
    http: httpx.AsyncClient
    simulators: str
    settings: Settings
    providers: Providers
    database_url: str

    async def behave(self, name: str, *, times: int | None = None, **parameters: Any) -> None:
        rule = {"match": {}, "behaviour": {"name": name, **parameters}, "times": times}
        answer = await self.http.post(f"{self.simulators}/__emu/turbotext/scenario", json=rule)
        assert answer.status_code < 300, answer.text

    async def seen(self, what: str) -> Any:
        return (await self.http.get(f"{self.simulators}/__emu/{what}")).json()

    async def events(self) -> list[str]:
        query = select(processing_log.c.event).where(processing_log.c.event != "sent").order_by(processing_log.c.at)
        async with self.api.db.begin() as conn:
            return [row.event for row in await conn.execute(query)]

    async def parked(self) -> None:
        for _ in range(200):
            if "parked" in await self.events():
                return
            await asyncio.sleep(0.05)
        raise AssertionError("nothing is parked")

    def runner(self) -> Any:
        return running(self.settings, self.providers, self.database_url)


@pytest.fixture
async def studio(
    api: Api, http: httpx.AsyncClient, tmp_path: Path, database_url: str, known_providers: Providers
) -> AsyncIterator[Studio]:
    async with serving() as simulators:
        settings = settings_for(
            tmp_path,
            database_url,
            TURBOTEXT_API_KEY="simulator-key",
            TURBOTEXT_BASE_URL=f"{simulators.url}/turbotext",
            PUBLIC_MEDIA_BASE_URL=api.url,
        )
        async with api.db.begin() as conn:
            await conn.execute(
                update(slot).values(provider="turbotext", operation="image_edit", settings={"prompt": "a castle"})
            )
        yield Studio(api, http, simulators.url, settings, known_providers, database_url)
        assert await Studio(api, http, simulators.url, settings, known_providers, database_url).seen("violations") == []


async def template(studio: Studio) -> str:
    """A style picture, bound to every slot."""
    media_id = provider_media.new_media_id()
    studio.api.media.path_of(f"templates/{media_id}.jpg").write_bytes(STYLE)
    async with studio.api.db.begin() as conn:
        row = {"media_object_id": media_id, "kind": "template", "path": f"templates/{media_id}.jpg"}
        figures = {"mime": "image/jpeg", "bytes": len(STYLE), "sha256": b"s" * 32}
        await conn.execute(insert(media_object).values(**row, **figures, created_at=text("now()")))
        bound = select(slot.c.slot_id, text("'style'"), text(f"'{media_id}'::uuid"))
        await conn.execute(insert(slot_template).from_select(["slot_id", "role", "media_object_id"], bound))
        await conn.execute(update(slot).values(operation="style_transfer", settings={}))
    return media_id


async def test_a_photo_is_fetched_by_its_link_parked_and_comes_back_changed(studio: Studio) -> None:
    async with studio.runner():
        answer = await post_photo(studio.http, studio.api.url, PHOTO)
    assert answer.status_code == 200, answer.text
    assert await studio.events() == ["queued", "claimed", "parked", "claimed", "parked", "claimed", "finished"]
    (fetched,) = await studio.seen("turbotext/fetches")
    assert fetched["status"] == 200
    assert fetched["url"].startswith(f"{studio.api.url}/public/provider-media/")
    async with studio.api.db.begin() as conn:
        attempt = (await conn.execute(select(job_attempt))).one()
        reference = (await conn.execute(select(job.c.provider_job_reference))).scalar_one()
        ends_with_job = select(media_object.c.expires_at == job.c.expires_at)
        link_ends_with_the_job = (
            await conn.execute(ends_with_job.where(media_object.c.job_id == job.c.job_id))
        ).scalar_one()
    assert (attempt.number, attempt.outcome, attempt.provider) == (1, "ok", "turbotext")
    assert attempt.usage["photo_credits_left"] >= 0
    assert reference is not None
    assert link_ends_with_the_job


async def test_a_template_goes_along_by_its_role(studio: Studio) -> None:
    await template(studio)
    async with studio.runner():
        answer = await post_photo(studio.http, studio.api.url, PHOTO)
    assert answer.status_code == 200, answer.text
    assert len(await studio.seen("turbotext/fetches")) == 2


async def test_a_template_that_is_missing_is_named(studio: Studio) -> None:
    media_id = await template(studio)
    studio.api.media.path_of(f"templates/{media_id}.jpg").unlink()
    async with studio.runner():
        answer = await post_photo(studio.http, studio.api.url, PHOTO)
    assert (answer.status_code, answer.json()["failure_reason"]) == (500, "media_lost")
    assert "'style'" in answer.json()["details"]
    nothing_left(studio.api.media)


async def test_another_runner_takes_up_what_waits_at_the_provider_and_nothing_is_bought_twice(studio: Studio) -> None:
    await studio.behave("ok", reconnects=2)
    async with studio.runner():
        posting = asyncio.create_task(post_photo(studio.http, studio.api.url, PHOTO))
        await studio.parked()
    async with studio.runner():
        answer = await posting
    assert answer.status_code == 200
    assert len(await studio.seen("turbotext/fetches")) == 1
    async with studio.api.db.begin() as conn:
        claimed = select(processing_log.c.runner).where(processing_log.c.event == "claimed").distinct()
        assert len((await conn.execute(claimed)).all()) == 2
        assert len((await conn.execute(select(job_attempt.c.number))).all()) == 1


async def test_a_runner_killed_while_it_polls_loses_nothing(studio: Studio) -> None:
    """What a dead runner leaves: a running job with its reference. It is polled on, not submitted again."""
    await studio.behave("ok", seconds=1)
    async with studio.runner():
        posting = asyncio.create_task(post_photo(studio.http, studio.api.url, PHOTO))
        await studio.parked()
    async with studio.api.db.begin() as conn:
        await conn.execute(
            text("UPDATE job SET status = 'running', runner = 'dead', lease_until = expires_at, claim_number = 7")
        )
    async with studio.runner():
        answer = await posting
    assert answer.status_code == 200
    assert len(await studio.seen("turbotext/fetches")) == 1
    assert "released" in await studio.events()


async def test_an_answer_to_the_submit_that_is_lost_is_not_bought_again(studio: Studio) -> None:
    await studio.behave("reset_after_create")
    async with studio.runner():
        answer = await post_photo(studio.http, studio.api.url, PHOTO)
    assert (answer.status_code, answer.json()["failure_reason"]) == (503, "interrupted")
    assert "paid for" in answer.json()["details"]
    assert len(await studio.seen("turbotext/fetches")) == 1


@pytest.mark.parametrize(("may_pay_twice", "status", "calls"), [(False, 503, 1), (True, 200, 2)])
async def test_a_submit_of_unknown_fate_is_repeated_only_if_the_slot_allows_to_pay_twice(
    studio: Studio, may_pay_twice: bool, status: int, calls: int
) -> None:
    settings = {"prompt": "a castle", "retries": 1, "repeat_interrupted": may_pay_twice}
    async with studio.api.db.begin() as conn:
        await conn.execute(update(slot).values(settings=settings))
    await studio.behave("internal", times=1)
    async with studio.runner():
        answer = await post_photo(studio.http, studio.api.url, PHOTO)
    assert answer.status_code == status
    async with studio.api.db.begin() as conn:
        outcomes = (await conn.execute(select(job_attempt.c.outcome).order_by(job_attempt.c.number))).scalars().all()
    assert outcomes == ["ambiguous", "ok"][:calls]
    if status == 503:
        assert answer.json()["failure_reason"] == "interrupted"


@pytest.mark.parametrize(
    ("behaviour", "status", "reason"),
    [
        ({"name": "html_200"}, 502, "bad_response"),
        ({"name": "forbidden_content"}, 502, "content_blocked"),
        ({"name": "unauthorized"}, 503, "provider_auth"),
        ({"name": "error", "code": "LIMIT"}, 503, "quota"),
        ({"name": "error", "code": "face_not_found"}, 502, "provider_4xx"),
        ({"name": "result_elsewhere", "url": "http://169.254.169.254/latest/meta-data"}, 502, "bad_response"),
    ],
)
async def test_a_failure_reaches_the_booth_by_its_code(
    studio: Studio, behaviour: dict[str, Any], status: int, reason: str
) -> None:
    await studio.behave(**behaviour)
    async with studio.runner():
        answer = await post_photo(studio.http, studio.api.url, PHOTO)
    assert (answer.status_code, answer.json()["failure_reason"]) == (status, reason)


async def test_without_a_base_for_its_links_the_job_says_what_is_missing(studio: Studio) -> None:
    async with running(replace(studio.settings, public_base_url=None), studio.providers, studio.database_url):
        answer = await post_photo(studio.http, studio.api.url, PHOTO)
    assert answer.status_code == 500
    assert "PUBLIC_MEDIA_BASE_URL" in answer.json()["details"]


@pytest.mark.slow
async def test_polls_and_what_became_of_queue_ids_are_counted(studio: Studio) -> None:
    before = await scrape(studio.http, studio.api.url)
    async with studio.api.db.begin() as conn:
        await conn.execute(update(slot).values(sync_response_seconds=10))
    async with studio.runner():
        assert (await post_photo(studio.http, studio.api.url, PHOTO)).status_code == 200
        await studio.behave("forbidden_content", times=1)
        assert (await post_photo(studio.http, studio.api.url, PHOTO + b"2")).status_code == 502
        await studio.behave("endless_reconnect", times=1)
        assert (await post_photo(studio.http, studio.api.url, PHOTO + b"3")).status_code == 504
        after = await scrape(studio.http, studio.api.url)

    def grown(name: str, **labels: str) -> float:
        return after.total(name, **labels) - before.total(name, **labels)

    ids = {state: grown("photochanger_queue_ids_total", provider="turbotext", state=state) for state in STATES}
    assert ids == {"accepted": 3, "finished": 1, "failed": 1, "expired": 1}
    assert grown("photochanger_polls_total", provider="turbotext", answer="picture") == 1
    assert grown("photochanger_polls_total", provider="turbotext", answer="failed") == 1
    polls = grown("photochanger_polls_total", provider="turbotext")
    assert polls == grown("photochanger_provider_call_seconds_count", provider="turbotext", call="poll") >= 6
    assert grown("photochanger_provider_call_seconds_count", provider="turbotext", call="submit") == 3
