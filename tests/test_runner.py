"""The runner, with API and simulator in one event loop: one photo's way, failures, repeats, a provider's own queue."""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import httpx
import pytest
from aiohttp import ClientSession
from sqlalchemy import Table, select, update
from structlog.testing import capture_logs

from photochanger import app_settings, attempts
from photochanger.attempts import Attempt
from photochanger.media import MARKER
from photochanger.picture_bytes import plain_bytes
from photochanger.providers import Providers
from photochanger.settings import Settings
from photochanger.tables import breaker, job_attempt, processing_log, slot
from runner.driver import Accepted, Call, Image, Pending, ProviderFailed, Receipt
from runner.driver import Outcome as O  # noqa: N817 - a table of outcomes below
from runner.loop import Runner
from simulators.gemini import KEY
from tests.booths import photo_bytes, post_photo
from tests.pictures import talkative_jpeg
from tests.queue_rows import events, queue, row, until, until_blocked
from tests.serving import Api, running, settings_for
from tests.simulated import Simulators, simulated

pytestmark = pytest.mark.anyio

PHOTO = photo_bytes()
PICTURE = photo_bytes(seed=2)
LITE, BEST = "gemini-3.1-flash-lite-image", "gemini-nano-banana-2.1"


@dataclass(frozen=True, kw_only=True)
class Studio:
    """API and simulators that run, and what a runner beside them is told."""

    api: Api
    simulators: Simulators
    http: httpx.AsyncClient
    settings: Settings
    providers: Providers

    @asynccontextmanager
    async def runner(self, *, providers: Providers | None = None, places: int = 4) -> AsyncIterator[Runner]:
        url = self.settings.database_url
        assert url is not None
        async with running(self.settings, providers or self.providers, url, places=places) as runner:
            yield runner

    async def post(self, photo: bytes = PHOTO, **given: Any) -> httpx.Response:
        return await post_photo(self.http, self.api.url, photo, **given)

    async def set_slot(self, *, sync_response_seconds: int | None = None, **settings: Any) -> None:
        """Give all slots these settings, beside a prompt."""
        values = {"settings": {"prompt": "a portrait", **settings}, "sync_response_seconds": sync_response_seconds}
        async with self.api.db.begin() as conn:
            await conn.execute(update(slot).values(**values))

    async def calls(self) -> int:
        """How often the simulator was asked for a picture."""
        return int((await self.simulators.read("gemini/stats"))["requests"])

    async def is_called(self) -> bool:
        """Whether a call is out."""
        return bool((await self.simulators.read("gemini/stats"))["in_flight"])

    async def attempts(self, answer: httpx.Response) -> list[Attempt]:
        async with self.api.db.at_once() as conn:
            return await attempts.of_job(conn, answer.headers["x-job-id"])

    def files(self) -> set[str]:
        """Every file under MEDIA_ROOT but its marker."""
        root = self.api.media.root
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.name != MARKER}


def told(api: Api, *, base_url: str) -> Settings:
    """What a runner on this API's folder and database is told."""
    provider = {"GEMINI_API_KEY": KEY, "GEMINI_BASE_URL": base_url}
    return settings_for(api.media.root.parent, api.services.settings.database_url or "", **provider)


@pytest.fixture
async def studio(api: Api, http: httpx.AsyncClient, known_providers: Providers) -> AsyncIterator[Studio]:
    async with simulated() as simulators:
        settings = told(api, base_url=f"{simulators.url}/gemini")
        studio = Studio(api=api, simulators=simulators, http=http, settings=settings, providers=known_providers)
        await studio.set_slot(retries=0)
        yield studio
        assert await simulators.violations() == []


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


def reason(answer: httpx.Response) -> tuple[int, str]:
    assert "Traceback" not in answer.text
    return answer.status_code, answer.json()["failure_reason"]


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


FAILURES: dict[tuple[int, str], list[dict[str, Any]]] = {
    (502, "content_blocked"): [
        {"name": "image_safety"},
        {"name": "prompt_blocked"},
        {"name": "candidate_without_content"},
    ],
    (502, "no_image"): [{"name": "text_only"}, {"name": "thought_only"}, {"name": "image_other"}],
    (502, "provider_4xx"): [{"name": "model_gone"}],
    (503, "provider_auth"): [{"name": "permission_denied"}, {"name": "key_leaked"}, {"name": "region_not_allowed"}],
    (503, "quota"): [{"name": "quota_per_day"}, {"name": "quota_zero"}, {"name": "rate_limited"}],
    (503, "provider_unavailable"): [
        {"name": "unavailable"},
        {"name": "list_wrapped_error"},
        {"name": "plain_text_error"},
        {"name": "html_502"},
        {"name": "echo_key_error"},
    ],
    (503, "interrupted"): [{"name": "reset_after"}, {"name": "reset_before"}],
    (502, "bad_response"): [
        {"name": "truncated_json"},
        {"name": "deep_json"},
        {"name": "wrong_shape", "shape": "parts_texts"},
        {"name": "html_200"},
        {"name": "empty_body"},
        {"name": "huge_body", "megabytes": 50},
        {"name": "invalid_base64"},
        {"name": "picture_cut"},
        {"name": "picture_zero_bytes"},
        {"name": "picture_wrong_type"},
        {"name": "picture_bomb", "kind": "webp"},
        {"name": "picture_bomb", "kind": "png_header"},
        {"name": "redirect"},
    ],
}


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure[1])
async def test_a_failure_of_the_provider_reaches_the_booth_by_its_code_after_one_call(
    studio: Studio, failure: tuple[int, str]
) -> None:
    async with studio.runner():
        for number, behaviour in enumerate(FAILURES[failure], 1):
            await studio.simulators.behave(**behaviour, times=1)
            answer = await studio.post(PHOTO + b"%d" % number)
            assert reason(answer) == failure, behaviour
            assert KEY not in answer.text
            assert studio.files() == set(), behaviour
            (tried,) = await studio.attempts(answer)
            assert tried.outcome not in {None, "ok"}
            assert KEY not in (tried.reason or "")
            kept = await row(studio.api.db, answer.headers["x-job-id"])
            assert (kept.status, kept.failure_reason) == ("failed", failure[1])
            assert await studio.calls() == number, "retries = 0 gives exactly one call"


async def test_a_provider_that_nobody_answers_for_is_a_network_failure(studio: Studio) -> None:
    async with replace(studio, settings=told(studio.api, base_url="http://127.0.0.1:9/gemini")).runner():
        answer = await studio.post()
    assert reason(answer) == (503, "network")
    assert studio.files() == set()


async def test_a_silent_provider_is_a_timeout_at_the_deadline_and_its_connection_is_closed(studio: Studio) -> None:
    await studio.set_slot(retries=3, sync_response_seconds=10)
    await studio.simulators.behave("silent")
    loop = asyncio.get_running_loop()
    async with studio.runner():
        began = loop.time()
        answer = await studio.post()
        assert 9.8 <= loop.time() - began <= 10.5
        assert reason(answer) == (504, "timeout")
        assert (await studio.simulators.read("gemini/stats"))["in_flight"] == 0
    assert studio.files() == set()
    assert [tried.outcome for tried in await studio.attempts(answer)] == ["timeout"]


@pytest.mark.parametrize("table", [job_attempt, breaker], ids=lambda table: table.name)
async def test_a_result_that_comes_too_late_leaves_no_file(studio: Studio, table: Table) -> None:
    """A row that somebody else holds keeps the runner from finishing until the deadline has passed."""
    async with studio.api.db.begin() as conn:
        await app_settings.store(conn, "sync_response_seconds", 4, by="test")
    await studio.simulators.behave("instant", delay_seconds=0.5)
    await studio.simulators.behave("unavailable", times=1)
    async with studio.runner():
        assert reason(await studio.post(PICTURE)) == (503, "provider_unavailable")
        async with studio.api.db.begin() as conn:
            posting = asyncio.create_task(studio.post())
            await until(studio.is_called)
            assert list(await conn.execute(select(table).with_for_update()))
            await until_blocked(studio.api.db)
            assert reason(await posting) == (504, "timeout")
    assert studio.files() == set()


async def test_a_failure_that_may_be_repeated_is_repeated_inside_the_deadline(studio: Studio) -> None:
    await studio.set_slot(retries=1)
    await studio.simulators.behave("unavailable", times=1)
    async with studio.runner():
        answer = await studio.post()
    assert answer.status_code == 200
    tried = await studio.attempts(answer)
    assert [(one.number, one.outcome, one.http_status) for one in tried] == [
        (1, "provider_unavailable", 503),
        (2, "ok", 200),
    ]
    assert await events(studio.api.db, answer.headers["x-job-id"]) == [
        "queued", "claimed", "parked", "claimed", "finished",
    ]  # fmt: skip


async def test_repeats_end_with_the_number_that_the_slot_allows(studio: Studio) -> None:
    await studio.set_slot(retries=2)
    await studio.simulators.behave("unavailable")
    async with studio.runner():
        answer = await studio.post()
    assert reason(answer) == (503, "provider_unavailable")
    assert await studio.calls() == len(await studio.attempts(answer)) == 3


async def test_a_hint_that_fits_is_waited_for_and_one_that_does_not_fit_ends_the_job(studio: Studio) -> None:
    await studio.set_slot(retries=3)
    await studio.simulators.behave("rate_limited", retry_delay_seconds=1.5, times=1)
    async with studio.runner():
        answer = await studio.post()
        first, second = await studio.attempts(answer)
        assert answer.status_code == 200
        assert 1.4 <= (second.started_at - first.started_at).total_seconds() <= 3
        await studio.simulators.behave("rate_limited", retry_delay_seconds=40)
        assert reason(await studio.post(PICTURE)) == (503, "quota")
    assert await studio.calls() == 3


async def test_a_model_that_is_gone_is_replaced_and_both_attempts_are_recorded(studio: Studio) -> None:
    gemini = studio.providers.by_name["gemini"]
    lite = replace(gemini.models[LITE], replacement=BEST)
    providers = Providers({"gemini": replace(gemini, models={**gemini.models, LITE: lite})})
    await studio.set_slot(model=LITE, retries=0)
    await studio.simulators.behave("model_gone", match={"model": LITE})
    async with studio.runner(providers=providers):
        answer = await studio.post()
        assert answer.status_code == 200, answer.text
        tried = [(one.number, one.model, one.outcome) for one in await studio.attempts(answer)]
        assert tried == [(1, LITE, "model_retired"), (2, BEST, "ok")]
        assert (await studio.post(PICTURE)).status_code == 200
    assert await studio.calls() == 3, "the second photo goes to the replacement at once"


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
