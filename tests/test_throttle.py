"""Limits per address: what is counted, what is not, and that counting does not grow without end."""

import asyncio
import secrets

import httpx
import pytest
from starlette.requests import Request
from structlog.testing import capture_logs

from api import throttle
from api.throttle import Throttle, address_of
from photochanger.errors import Failure, Refusal
from tests.results import finished_job, queued_job
from tests.serving import Api

pytestmark = pytest.mark.anyio


async def spent(limit: Throttle, address: str, times: int) -> list[bool]:
    """Whether each of so many was one too many."""
    return [await refused(limit, address) for _ in range(times)]


async def refused(limit: Throttle, address: str) -> bool:
    try:
        await limit.spend(address)
    except Refusal as refusal:
        return refusal.failure is Failure.RATE_LIMITED and 0 < (refusal.retry_after_seconds or 0) <= 60
    return False


async def test_an_address_has_its_times_and_no_more(anyio_backend: str) -> None:
    limit = Throttle(times=3, seconds=60, details="no")
    assert await spent(limit, "a", 5) == [False, False, False, True, True]
    assert await spent(limit, "b", 1) == [False]
    with pytest.raises(Refusal, match="no"):
        await limit.check("a")
    await limit.check("b")
    await limit.check("c")
    assert len(limit) == 2, "what was only looked at is not remembered"


async def test_after_its_window_an_address_is_free_and_forgotten(anyio_backend: str) -> None:
    limit = Throttle(times=1, seconds=1, details="no")
    for address in ("a", "b", "c"):
        assert await spent(limit, address, 2) == [False, True]
    await asyncio.sleep(1.1)
    assert await spent(limit, "a", 2) == [False, True]
    await asyncio.sleep(0.05)
    assert len(limit) == 1


async def test_many_addresses_do_not_fill_the_memory(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MOST_ADDRESSES", 50)
    limit = Throttle(times=1, seconds=60, details="no")
    for number in range(500):
        await limit.spend(f"address {number}")
        assert len(limit) <= 50


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("a unix socket", "a unix socket"),
        (None, ""),
    ],
)
def test_one_customers_addresses_are_one(host: str | None, counted: str) -> None:
    client = None if host is None else (host, 1)
    assert address_of(Request({"type": "http", "client": client, "headers": []})) == counted


async def test_sixty_unknown_ids_a_minute_are_not_found_and_then_refused(api: Api, http: httpx.AsyncClient) -> None:
    job_id, picture = await finished_job(api)
    waiting = await queued_job(api)
    paths = ["results/{}", "results/{}/preview", "results/x{}"]
    for number in range(60):
        answer = await http.get(f"{api.url}/public/{paths[number % 3].format(secrets.token_hex(16))}")
        assert (answer.status_code, answer.json()["failure_reason"]) == (404, "result_not_found")
    for path in (f"/public/results/{'0' * 32}", "/public/results/x/preview", f"/api/jobs/{'0' * 32}"):
        answer = await http.get(api.url + path)
        assert (answer.status_code, answer.json()["failure_reason"]) == (429, "rate_limited")
        assert 0 < int(answer.headers["retry-after"]) <= 60
    assert (await http.get(f"{api.url}/public/results/{job_id}")).content == picture, "one guest must not stop others"
    assert (await http.get(f"{api.url}/api/jobs/{waiting}")).status_code == 200
    assert (await http.get(f"{api.url}/public/results/{waiting}")).status_code == 404, "it is known, and not ready"


async def test_an_address_that_asks_without_end_is_held_up_and_providers_are_not(
    api: Api, http: httpx.AsyncClient
) -> None:
    job_id, _ = await finished_job(api)
    assert await spent(api.services.public_requests, "127.0.0.1", 3000) == [False] * 3000
    for path in (f"results/{job_id}", f"results/{job_id}/preview", "slots/slot-001"):
        answer = await http.get(f"{api.url}/public/{path}")
        assert (answer.status_code, answer.json()["failure_reason"]) == (429, "rate_limited")
    provider = await http.get(f"{api.url}/public/provider-media/{'0' * 32}")
    assert (provider.status_code, provider.json()["failure_reason"]) == (404, "media_not_found")
    assert (await http.get(f"{api.url}/api/jobs/{job_id}")).status_code == 200


async def test_a_result_whose_file_is_gone_early_is_told_in_the_log(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await finished_job(api)
    api.media.discard(f"results/{job_id}.jpg", f"previews/{job_id}.webp")
    for suffix in ("", "/preview"):
        with capture_logs() as lines:
            answer = await http.get(f"{api.url}/public/results/{job_id}{suffix}")
        assert (answer.status_code, answer.json()["failure_reason"]) == (500, "media_lost")
        (line,) = [line for line in lines if line["event"] == "request_finished"]
        assert (line["failure_reason"], line["job"], line["status"]) == ("media_lost", job_id, 500)
