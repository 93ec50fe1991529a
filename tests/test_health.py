"""`/healthz`: what is wrong is told, in whole to those who may know, and within a quarter of a second."""

import asyncio
import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, text, update

from photochanger import breaker, leases, sweep_runs
from photochanger.providers import Providers
from photochanger.tables import provider_check, runner, sweep_run
from tests.outages import Outage
from tests.queue_rows import until
from tests.relay import relayed
from tests.serving import Api, serve_api, settings_for

pytestmark = pytest.mark.anyio

AGO = "now() - interval '{} seconds'"


@pytest.fixture
async def sound(api: Api) -> Api:
    """An installation on which everything lives, and whose health has its connection."""
    async with api.db.begin() as conn:
        await leases.beat(conn, "r", host="h", pid=1)
        await sweep_runs.finish(conn, {"overdue_jobs": 0})
    async with api.services.health_db.at_once() as conn:
        await conn.execute(text("SELECT 1"))
    return api


async def health(http: httpx.AsyncClient, api: Api) -> tuple[int, dict[str, Any]]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    answer = await http.get(f"{api.url}/healthz")
    assert loop.time() - began < 1.0
    body: dict[str, Any] = answer.json()
    return answer.status_code, body


def bad(body: dict[str, Any]) -> set[str]:
    return {name for name, told in body["checks"].items() if told == "failed"}


async def test_all_is_well(sound: Api, http: httpx.AsyncClient) -> None:
    status, body = await health(http, sound)
    assert (status, body["status"], bad(body), body["trouble"]) == (200, "ok", set(), [])
    assert set(body["checks"]) == {"database", "folders", "disk", "schema", "runners", "cleanup", "providers"}


async def test_strangers_learn_the_state_and_nothing_else(sound: Api, http: httpx.AsyncClient) -> None:
    answer = await http.get(f"{sound.url}/healthz", headers={"X-Forwarded-For": "203.0.113.9"})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(("seconds_ago", "alive"), [(20, True), (40, False)])
async def test_a_runner_counts_for_thirty_seconds(
    sound: Api, http: httpx.AsyncClient, seconds_ago: int, alive: bool
) -> None:
    async with sound.db.begin() as conn:
        until = text(f"{AGO.format(seconds_ago)} + interval '{leases.LEASE_SECONDS} seconds'")
        await conn.execute(update(runner).values(lease_until=until))
    status, body = await health(http, sound)
    assert (status, bad(body)) == (200, set() if alive else {"runners"})
    assert body["status"] == ("ok" if alive else "degraded")


async def test_a_cleanup_daemon_that_is_not_heard_of_is_told(sound: Api, http: httpx.AsyncClient) -> None:
    async with sound.db.begin() as conn:
        await conn.execute(update(sweep_run).values(finished_at=text(AGO.format(700))))
    assert bad((await health(http, sound))[1]) == {"cleanup"}
    async with sound.db.begin() as conn:
        await sweep_runs.finish(conn, {"expired_results": 0})
    assert bad((await health(http, sound))[1]) == set()


async def test_trouble_of_a_provider_is_no_failure_of_ours(sound: Api, http: httpx.AsyncClient) -> None:
    async with sound.db.begin() as conn:
        for _ in range(breaker.FAILURES_TO_OPEN):
            await breaker.note(conn, "gemini", "m-1", answered=False)
        refused = {"provider": "turbotext", "checked_at": text("now()"), "good": False, "sentence": "no"}
        await conn.execute(insert(provider_check).values(refused))
        await conn.execute(insert(provider_check).values(provider="openai", requested_at=text("now()")))
    status, body = await health(http, sound)
    assert (status, body["status"], bad(body)) == (200, "degraded", {"providers"})
    assert body["trouble"] == [
        "gemini m-1 is not asked after 5 failures in a row",
        "turbotext does not accept our key",
    ]


async def test_another_releases_schema_is_told(sound: Api, http: httpx.AsyncClient) -> None:
    async with sound.db.begin() as conn:
        await conn.execute(text("DELETE FROM _yoyo_migration WHERE migration_id LIKE '0004%'"))
    status, body = await health(http, sound)
    assert (status, body["status"], bad(body)) == (200, "degraded", {"schema"})


async def test_while_the_disk_is_away_nothing_is_said_of_its_room(sound: Api, http: httpx.AsyncClient) -> None:
    sound.media.root.rename(sound.media.root.with_name("elsewhere"))
    status, body = await health(http, sound)
    assert (status, bad(body)) == (503, {"folders", "disk"})
    assert body["trouble"] == [
        f"{sound.media.root} cannot be written, or is not the right folder",
        "nothing is known of disk",
    ]


async def test_without_its_folders_no_photo_gets_in(sound: Api, http: httpx.AsyncClient) -> None:
    sound.media.folder("results").rename(sound.media.root / "elsewhere")
    status, body = await health(http, sound)
    assert (status, body["status"], bad(body)) == (503, "failed", {"folders"})


async def test_without_room_no_photo_gets_in(
    sound: Api, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("photochanger.media.LEAST_FREE_BYTES", 1 << 60)
    status, body = await health(http, sound)
    assert (status, body["status"], bad(body)) == (503, "failed", {"disk"})


async def test_without_the_database_it_answers_all_the_same(
    sound: Api, http: httpx.AsyncClient, postgres_url: str, database_url: str
) -> None:
    outage = Outage(postgres_url, database_url)
    await outage.begin()
    for _ in range(3):
        status, body = await health(http, sound)
        assert (status, body["status"]) == (503, "failed")
        assert {"database", "runners", "providers"} <= bad(body)
    with_a_session = await http.get(f"{sound.url}/healthz", headers={"Authorization": "Bearer none"})
    assert with_a_session.status_code == 503
    await outage.end()


async def test_a_database_that_hangs_holds_up_nobody_and_is_seen_again_when_it_answers(
    database_url: str, tmp_path: Path, known_providers: Providers, http: httpx.AsyncClient
) -> None:
    async with relayed(database_url) as (relay, url):
        settings = settings_for(tmp_path, url)
        async with serve_api(settings, known_providers, url) as api:

            async def answers() -> bool:
                return (await health(http, api))[0] == 200

            await until(answers)
            relay.flowing.clear()
            for _ in range(3):
                status, body = await health(http, api)
                assert (status, "database" in bad(body)) == (503, True)
            relay.flowing.set()
            await until(answers, seconds=20)


async def test_a_table_that_is_locked_holds_up_nobody(sound: Api, http: httpx.AsyncClient) -> None:
    async with sound.db.begin() as conn:
        await conn.execute(text("LOCK TABLE breaker IN ACCESS EXCLUSIVE MODE"))
        status, body = await health(http, sound)
    assert (status, "database" in bad(body)) == (503, True)


async def test_a_disk_that_hangs_holds_up_nobody(sound: Api, http: httpx.AsyncClient, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    hanging = sound.services.health_thread.submit(lambda: pipe.read_bytes())  # until somebody writes
    try:
        for _ in range(3):
            status, body = await health(http, sound)
            assert (status, bad(body)) == (503, {"folders", "disk"})
    finally:
        pipe.write_bytes(b"")
        assert hanging.result(timeout=10) == b""
    assert (await health(http, sound))[0] == 200


async def test_life_is_told_without_looking_at_anything(
    api: Api, http: httpx.AsyncClient, postgres_url: str, database_url: str
) -> None:
    outage = Outage(postgres_url, database_url)
    await outage.begin()
    answer = await http.get(f"{api.url}/livez")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    await outage.end()
