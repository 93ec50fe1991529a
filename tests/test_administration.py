"""What an administrator changes reaches every process within five seconds: real processes, none restarted."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from photochanger import sessions
from photochanger.sessions import Tokens
from photochanger.tables import job, slot
from simulators.gemini import KEY
from tests.processes import PHOTO, Process, Studio, opened
from tests.queue_rows import until
from tests.serving import PASSWORD, SIGNING_KEY
from tests.simulated import simulated

pytestmark = pytest.mark.anyio

SECONDS = 5.0
"""So soon a change must be obeyed."""
OTHER_KEY = "canary-of-another-account-0987"


@pytest.fixture
async def studio(database_url: str, tmp_path: Path, http: httpx.AsyncClient) -> AsyncIterator[Studio]:
    async with opened(tmp_path, database_url, http=http) as studio:
        yield studio


class Office:
    """An administrator at a running studio."""

    def __init__(self, studio: Studio, headers: dict[str, str]) -> None:
        self.studio = studio
        self._headers = headers

    async def ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        url = f"{self.studio.station.url}{path}"
        answer = await self.studio.http.request(method, url, headers=self._headers, **options)
        assert answer.status_code < 300, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def save(self, **changes: Any) -> None:
        await self.ask("PUT", "/api/settings", json=changes)

    async def check_of(self, provider: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.ask("GET", "/api/settings"))["provider_keys"][provider]["check"] or {}
        return found

    async def keys_seen(self) -> list[str]:
        """By the simulator, masked."""
        return [one["key"] for one in await self.studio.simulators.read("requests")]


async def office(studio: Studio) -> Office:
    async with studio.db.begin() as conn:
        token = await sessions.begin(
            conn, Tokens(SIGNING_KEY), account="serg", kind="bearer", address=None, user_agent=None
        )
    return Office(studio, {"Authorization": f"Bearer {token}"})


def no_canary(*processes: Process) -> None:
    for process in processes:
        assert OTHER_KEY not in process.text()


async def test_runners_call_with_a_new_key_and_check_it(studio: Studio) -> None:
    processes = [await studio.station.api(), await studio.station.api(), *await studio.station.runners(2)]
    admin = await office(studio)
    assert (await studio.post()).status_code == 200
    await studio.simulators.behave("ok", match={"key": OTHER_KEY})
    began = time.monotonic()
    await admin.save(provider_keys={"gemini": OTHER_KEY})

    async def checked() -> bool:
        return (await admin.check_of("gemini")).get("good") is True

    await until(checked, seconds=20)
    assert time.monotonic() - began < SECONDS
    await asyncio.sleep(began + SECONDS - time.monotonic())  # for the runner that did not check it
    assert (await admin.keys_seen())[-1] == "****0987"
    for number in range(4):  # whichever runner takes it
        assert (await studio.post(slot=f"slot-{number + 2:03}")).status_code == 200
    assert set((await admin.keys_seen())[-4:]) == {"****0987"}
    no_canary(*processes)
    await studio.assert_all_holds()


async def test_the_first_key_ends_the_simulators_stand_in_at_once_for_all_providers(studio: Studio) -> None:
    """And its removal brings them back. What links to pictures start with changes along with it."""
    async with simulated() as stand_ins:
        told = {"GEMINI_API_KEY": "", "SIMULATORS_URL": stand_ins.url, "HOST": "127.0.0.1"}
        told["PORT"] = studio.station.url.rpartition(":")[2]
        _, *runners = [await studio.station.api(**told), *await studio.station.runners(2, **told)]
        admin = await office(studio)
        async with studio.db.begin() as conn:
            turbotext = {"provider": "turbotext", "operation": "image_edit", "settings": {"prompt": "a castle"}}
            await conn.execute(update(slot).where(slot.c.slot_id == "slot-015").values(**turbotext))
        for slot_id in ("slot-001", "slot-015"):
            assert (await studio.post(slot=slot_id)).status_code == 200
        assert (await stand_ins.read("gemini/stats"))["requests"] == 1
        assert await admin.keys_seen() == []

        await studio.simulators.behave("ok", match={"key": OTHER_KEY})
        await admin.save(provider_keys={"gemini": OTHER_KEY})
        for runner in runners:
            await runner.told("provider_orders_changed", seconds=SECONDS, simulated=False)
        for number in range(1, 5):  # whichever runner takes it
            assert (await studio.post(slot=f"slot-{number:03}", photo=PHOTO + b"%d" % number)).status_code == 200
        assert set(await admin.keys_seen()) == {"****0987"}
        without_key = await studio.post(slot="slot-015", photo=PHOTO + b"5")
        assert without_key.json()["failure_reason"] == "internal_error"
        assert "PUBLIC_MEDIA_BASE_URL" in without_key.json()["details"]
        assert (await stand_ins.read("gemini/stats"))["requests"] == 1

        await admin.save(provider_keys={"gemini": None})
        for runner in runners:
            await runner.told("provider_orders_changed", seconds=SECONDS, simulated=True)
        assert (await studio.post(slot="slot-015", photo=PHOTO + b"6")).status_code == 200
        assert await stand_ins.violations() == []
        no_canary(*runners)


async def test_a_key_that_is_not_taken_is_told_without_the_key(studio: Studio) -> None:
    processes = await asyncio.gather(studio.station.api(), studio.station.runner())
    admin = await office(studio)
    await admin.save(provider_keys={"gemini": OTHER_KEY})

    async def refused() -> bool:
        return (await admin.check_of("gemini")).get("good") is False

    await until(refused, seconds=20)
    check = await admin.check_of("gemini")
    assert check["sentence"].startswith("The provider did not accept our key.")
    assert OTHER_KEY not in check["sentence"]
    assert (await studio.post()).json()["failure_reason"] == "provider_auth"
    await admin.save(provider_keys={"gemini": None})

    async def good() -> bool:
        return (await admin.check_of("gemini")).get("good") is True

    await until(good, seconds=20)
    assert (await admin.keys_seen())[-1] == f"****{KEY[-4:]}"
    no_canary(*processes)


async def test_a_check_is_made_when_somebody_asks(studio: Studio) -> None:
    await asyncio.gather(studio.station.api(), studio.station.runner(), studio.station.runner())
    admin = await office(studio)

    async def checked() -> bool:
        return (await admin.check_of("gemini")).get("checked_at") is not None

    await until(checked, seconds=20)
    first = (await admin.check_of("gemini"))["checked_at"]
    began = time.monotonic()
    await admin.ask("POST", "/api/settings/provider-keys/gemini/check")

    async def checked_again() -> bool:
        return bool((await admin.check_of("gemini"))["checked_at"] > first)

    await until(checked_again, seconds=20)
    assert time.monotonic() - began < SECONDS
    asked = await admin.ask("POST", "/api/settings/provider-keys/openai/check")
    assert asked["check"]["checked_at"] is None

    async def told() -> bool:
        return (await admin.check_of("openai")).get("good") is False

    await until(told, seconds=20)
    assert "There is no API key" in (await admin.check_of("openai"))["sentence"]
    assert len(await studio.simulators.read("requests")) == 2, "each check is made by one runner"


async def test_a_limit_of_calls_in_flight_is_never_exceeded_once_it_is_obeyed(studio: Studio) -> None:
    await studio.simulators.behave("ok", delay_seconds=0.3)
    _, *runners = [await studio.station.api(), *await studio.station.runners(3)]
    admin = await office(studio)
    await admin.save(photos_in_work_per_slot=100, provider_limits={"gemini": {"in_flight": 2}})
    for runner in runners:
        await runner.told("provider_orders_changed", seconds=SECONDS, limits=["gemini"])
    over = asyncio.Event()
    running: list[int] = []

    async def watch() -> None:
        query = select(func.count()).where(job.c.status == "running")
        while not over.is_set():
            async with studio.db.at_once() as conn:
                running.append((await conn.execute(query)).scalar_one())
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    answers = await asyncio.gather(*(studio.post(PHOTO + b"%d" % n, slot=f"slot-{n % 15 + 1:03}") for n in range(24)))
    over.set()
    await watching
    assert [answer.status_code for answer in answers] == [200] * 24
    assert max(running) == 2
    assert (await studio.simulators.read("gemini/stats"))["max_in_flight"] <= 2
    await admin.save(provider_limits={"gemini": {"in_flight": None}})

    async def all_obey() -> bool:
        return all(len(runner.lines("provider_orders_changed")) == 2 for runner in runners)

    await until(all_obey, seconds=SECONDS)


async def test_a_limit_of_calls_a_day_is_obeyed(studio: Studio) -> None:
    _, runner = await asyncio.gather(studio.station.api(), studio.station.runner())
    admin = await office(studio)
    await admin.save(provider_limits={"gemini": {"per_day": 1}})
    await runner.told("provider_orders_changed", seconds=SECONDS)
    assert (await studio.post()).status_code == 200
    assert (await studio.post(slot="slot-002")).json()["failure_reason"] == "quota"


async def test_every_api_process_takes_a_new_password_and_deadline_at_once(studio: Studio) -> None:
    first = await studio.station.api()
    await studio.station.api()
    admin = await office(studio)
    async with studio.db.begin() as conn:
        await conn.execute(update(slot).values(sync_response_seconds=None))
    await admin.save(ingest_password="a new password", sync_response_seconds=10)
    answers = []
    for number in range(12):  # whichever process takes it
        password = (b"a new password", PASSWORD)[number % 2]
        answers.append(await studio.post(password=password, hash_="0" * 32))
    assert {answer.json()["failure_reason"] for answer in answers} == {"hash_mismatch"}
    began = time.monotonic()
    late = await studio.post(password=b"a new password")
    assert late.json()["failure_reason"] == "timeout"
    assert 9.0 < time.monotonic() - began < 15.0
    assert "a new password" not in first.text()


async def test_a_runner_without_its_secrets_key_uses_no_key_at_all(studio: Studio) -> None:
    _, runner = await asyncio.gather(studio.station.api(), studio.station.runner(SECRETS_KEY=""))
    admin = await office(studio)
    await admin.save(provider_keys={"gemini": OTHER_KEY})
    line = await runner.told("provider_key_unreadable", seconds=SECONDS)
    assert "SECRETS_KEY" in line["details"]
    answer = await studio.post()
    assert answer.json()["failure_reason"] == "provider_auth"
    assert (await studio.simulators.read("gemini/stats"))["requests"] == 0
