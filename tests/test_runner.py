"""The runner, with API and simulator in one event loop: one photo's way, crashes, a provider's own queue."""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from types import ModuleType

import httpx
import pytest
from aiohttp import ClientSession
from sqlalchemy import select
from structlog.testing import capture_logs

from photochanger.picture_bytes import plain_bytes
from photochanger.providers import Providers
from photochanger.tables import processing_log
from runner.driver import Accepted, Call, Image, Pending, ProviderFailed, Receipt
from runner.driver import Outcome as O  # noqa: N817 - a table of outcomes below
from tests.booths import reason
from tests.pictures import talkative_jpeg
from tests.queue_rows import events, queue, row, until
from tests.runner_studio import PHOTO, PICTURE, Studio, opened
from tests.serving import Api

pytestmark = pytest.mark.anyio


@pytest.fixture
async def studio(api: Api, http: httpx.AsyncClient, known_providers: Providers) -> AsyncIterator[Studio]:
    async with opened(api, http=http, providers=known_providers) as studio:
        yield studio


@pytest.fixture
def driven_by(known_providers: Providers, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Providers]:
    """Providers whose `gemini` is driven by these functions: one more driver file and one changed entry."""

    def drive(**functions: Callable[..., Awaitable[object]]) -> Providers:
        driver = ModuleType("runner.drivers.of_this_test")
        vars(driver).update(functions)
        monkeypatch.setitem(sys.modules, driver.__name__, driver)
        gemini = known_providers.by_name["gemini"]
        return Providers({"gemini": replace(gemini, driver="of_this_test")})

    return drive


async def test_a_photo_is_changed_and_given_out_as_its_row_says(studio: Studio) -> None:
    with capture_logs() as lines:
        async with studio.runner():
            answer = await studio.post()
    assert answer.status_code == 200, answer.text
    job_id = answer.headers["x-job-id"]
    kept = await row(studio.api.db, job_id)
    assert answer.headers["content-type"] == kept.result_mime
    assert answer.headers["content-length"] == str(kept.result_bytes) == str(len(answer.content))
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-result-url"] == f"{studio.api.url}/public/results/{job_id}"
    assert "x-duplicate-of" not in answer.headers
    assert hashlib.sha256(answer.content).digest() == kept.result_sha256
    assert (await studio.http.get(answer.headers["x-result-url"])).content == answer.content
    assert studio.api.media.path_of(kept.result_path).read_bytes() == answer.content
    preview = await studio.http.get(f"{answer.headers['x-result-url']}/preview")
    assert (preview.status_code, preview.content[8:12]) == (200, b"WEBP")
    assert studio.files() == {kept.result_path, kept.preview_path}, "the photo and the work files are gone"
    assert await events(studio.api.db, job_id) == ["queued", "claimed", "finished"]
    (line,) = [line for line in lines if line["event"] == "job_stepped"]
    assert {name: line[name] for name in ("job", "slot", "provider", "claim", "became")} == {
        "job": job_id, "slot": "slot-001", "provider": "gemini", "claim": 1, "became": "done",
    }  # fmt: skip
    assert await studio.calls() == 1


async def test_a_broken_photo_is_an_invalid_image_and_nobody_is_asked(studio: Studio) -> None:
    async with studio.runner():
        answer = await studio.post(PHOTO[: len(PHOTO) // 2])
    assert reason(answer) == (400, "invalid_image")
    assert studio.files() == set()
    assert await studio.calls() == 0


async def test_what_a_photo_tells_about_its_camera_reaches_neither_provider_nor_result(studio: Studio) -> None:
    photo = talkative_jpeg()
    assert b"GPSCANARY" in photo
    stripped = plain_bytes(photo, mime="image/jpeg")
    assert stripped is not None
    assert b"CANARY" not in stripped
    async with studio.runner():
        answer = await studio.post(photo)
    (request,) = [one for one in await studio.simulators.read("requests") if "pictures" in one]
    (sent,) = request["pictures"]
    assert sent["sha256"] == hashlib.sha256(stripped).hexdigest() != hashlib.sha256(photo).hexdigest()
    assert answer.status_code == 200
    for name in studio.files():
        assert b"CANARY" not in (studio.api.media.root / name).read_bytes()


async def test_a_driver_that_crashes_is_an_internal_error_and_the_runner_lives_on(
    studio: Studio, driven_by: Callable[..., Providers]
) -> None:
    crashes = iter([True])

    async def submit(_call: Call, _http: ClientSession) -> Image:
        if next(crashes, False):
            raise RuntimeError("a mistake in a driver")
        return Image(data=PICTURE, receipt=Receipt())

    with capture_logs() as lines:
        async with studio.runner(providers=driven_by(submit=submit)):
            crashed = await studio.post()
            assert reason(crashed) == (500, "internal_error")
            assert studio.files() == set()
            assert (await studio.post(PICTURE)).status_code == 200
    assert "a mistake in a driver" not in crashed.text
    assert [line["job"] for line in lines if line["event"] == "job_crashed"] == [crashed.headers["x-job-id"]]


async def test_a_providers_own_queue_is_polled_by_any_runner_and_its_picture_bought_once(
    studio: Studio, driven_by: Callable[..., Providers]
) -> None:
    submits: list[str] = []
    polls: list[tuple[str, str, str]] = []

    async def submit(call: Call, _http: ClientSession) -> Accepted:
        submits.append(call.job_id)
        return Accepted(reference="queue-7", poll_after_seconds=1.5, receipt=Receipt())

    async def poll(call: Call, reference: str, _http: ClientSession) -> Pending | Image:
        kept = await row(studio.api.db, call.job_id)
        polls.append((reference, kept.provider_job_reference, kept.runner))
        if len(polls) == 3:  # a poll that fails is asked again: the picture is bought already
            raise ProviderFailed(O.NETWORK, "nobody answers", repeatable=True, retry_after_seconds=0.1)
        return Pending(poll_after_seconds=0.1) if len(polls) < 4 else Image(data=PICTURE, receipt=Receipt())

    providers = driven_by(submit=submit, poll=poll)
    async with studio.runner(providers=providers) as first:
        posting = asyncio.create_task(studio.post())

        async def parked() -> bool:
            return bool(submits) and (await row(studio.api.db, submits[0])).status == "waiting"

        await until(parked)
    kept = await row(studio.api.db, submits[0])
    assert (kept.provider_job_reference, kept.runner, kept.lease_until) == ("queue-7", None, None)
    assert polls == [], "the reference is stored before anybody asks"
    async with studio.runner(providers=providers) as second:
        answer = await posting
    assert answer.status_code == 200
    assert len(submits) == 1
    assert polls == [("queue-7", "queue-7", second.name)] * 4
    async with studio.api.db.at_once() as conn:
        claims = select(processing_log.c.runner).where(processing_log.c.event == "claimed")
        assert [line.runner for line in await conn.execute(claims.order_by(processing_log.c.at))] == [
            first.name,
            *[second.name] * 4,
        ]
    assert [(one.number, one.outcome) for one in await studio.attempts(answer)] == [(1, "ok")]


async def test_a_runner_has_no_more_calls_in_flight_than_places(studio: Studio) -> None:
    await studio.simulators.behave("instant", delay_seconds=0.3)
    async with studio.runner(places=2):
        posts = [studio.post(PHOTO + b"%d" % number, slot=f"slot-{number:03}") for number in range(1, 8)]
        answers = await asyncio.gather(*posts)
    assert [answer.status_code for answer in answers] == [200] * 7
    assert (await studio.simulators.read("gemini/stats"))["max_in_flight"] == 2


@pytest.mark.parametrize("age_seconds", [46.5, 60.0])
async def test_what_can_no_longer_be_ready_in_time_is_never_started(studio: Studio, age_seconds: float) -> None:
    late = await queue(studio.api.db, age_seconds=age_seconds, least_seconds=2.0)
    async with studio.runner():
        assert (await studio.post()).status_code == 200, "the one behind it is"
    kept = await row(studio.api.db, late)
    assert (kept.status, kept.claim_number, kept.attempt) == ("queued", 0, 0)
    assert await studio.calls() == 1
