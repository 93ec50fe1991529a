"""What a step writes down of an attempt, where that is not told by the answer a booth gets."""

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from aiohttp import ClientSession

from photochanger import attempts
from photochanger.providers import Providers
from runner.driver import Accepted, Call, Image, Receipt
from tests.booths import photo_bytes, post_photo
from tests.serving import Api, running, settings_for

pytestmark = pytest.mark.anyio

DRIVER = "of_the_ledgers_test"


async def test_a_polled_picture_that_cannot_be_read_is_fetched_again_and_its_attempt_stays_open(
    api: Api,
    http: httpx.AsyncClient,
    tmp_path: Path,
    database_url: str,
    known_providers: Providers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pictures = iter([b"no picture", b"no picture either"])

    async def submit(_call: Call, _http: ClientSession) -> Accepted:
        return Accepted(reference="queue-7", poll_after_seconds=0.1, receipt=Receipt())

    async def poll(_call: Call, _reference: str, _http: ClientSession) -> Image:
        return Image(data=next(pictures, photo_bytes(seed=2)), receipt=Receipt(cost_usd=0.05))

    driver = ModuleType(f"runner.drivers.{DRIVER}")
    vars(driver).update(submit=submit, poll=poll)
    monkeypatch.setitem(sys.modules, driver.__name__, driver)
    gemini = replace(known_providers.by_name["gemini"], driver=DRIVER)
    async with running(settings_for(tmp_path, database_url), Providers({"gemini": gemini}), database_url):
        answer = await post_photo(http, api.url, photo_bytes())
    assert answer.status_code == 200
    async with api.db.at_once() as conn:
        (attempt,) = await attempts.of_job(conn, answer.headers["x-job-id"])
    assert (attempt.outcome, attempt.reason, float(attempt.cost_usd or 0)) == ("ok", None, 0.05)
