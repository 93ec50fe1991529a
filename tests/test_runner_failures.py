"""What of a provider's failures reaches the booth: each by its code, after the repeats that its slot allows."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import Table, select

from photochanger import app_settings
from photochanger.providers import Providers
from photochanger.tables import breaker, job_attempt
from simulators.gemini import KEY
from tests.booths import reason
from tests.lags import measured_lag
from tests.queue_rows import events, row, until, until_blocked
from tests.runner_studio import PHOTO, PICTURE, Studio, opened, told
from tests.serving import Api

pytestmark = pytest.mark.anyio
LITE, BEST = "gemini-3.1-flash-lite-image", "gemini-nano-banana-2.1"


@pytest.fixture
async def studio(api: Api, http: httpx.AsyncClient, known_providers: Providers) -> AsyncIterator[Studio]:
    async with opened(api, http=http, providers=known_providers) as studio:
        yield studio


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


async def test_a_silent_provider_is_a_timeout_at_the_deadline_and_its_connection_is_closed(
    studio: Studio, database_url: str
) -> None:
    await studio.set_slot(retries=3, sync_response_seconds=10)
    await studio.simulators.behave("silent")
    loop = asyncio.get_running_loop()
    async with studio.runner(), measured_lag(database_url) as lag:
        began = loop.time()
        answer = await studio.post()
        assert 9.8 <= loop.time() - began <= 10.5 + lag.seconds
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
