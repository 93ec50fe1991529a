"""The notifier: what a webhook and a Telegram chat get, and that a dead one disturbs nobody."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import ClientSession, ClientTimeout, web
from sqlalchemy import func, select, text, update

from cleanup.notifier import LOCK, Notifier, destination, telling
from photochanger import leases
from photochanger.db import Database
from photochanger.settings import Settings
from photochanger.tables import alert, sweep_run
from tests.outages import Outage
from tests.processes import opened
from tests.queue_rows import until
from tests.serving import settings_for

pytestmark = pytest.mark.anyio

BOT = "123456:canary-AAEhBOweik6ad6PsVkQzzz"
SECRET_PATH = "/hook/canary-4711"


@dataclass
class Ear:
    """A server that is told alerts."""

    port: int = 0
    status: int = 200
    delay_seconds: float = 0.0
    heard: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def hear(self, request: web.Request) -> web.Response:
        self.heard.append((request.path, await request.json()))
        await asyncio.sleep(self.delay_seconds)
        return web.json_response({"ok": self.status == 200}, status=self.status)


@pytest.fixture
async def ear() -> AsyncIterator[Ear]:
    ear = Ear()
    app = web.Application()
    app.router.add_post("/{path:.*}", ear.hear)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    ear.port = runner.addresses[0][1]
    yield ear
    await runner.cleanup()


def to_webhook(tmp_path: Path, database_url: str, ear: Ear, **told: str) -> Settings:
    return settings_for(tmp_path, database_url, ALERT_WEBHOOK_URL=f"{ear.url}{SECRET_PATH}?key=canary", **told)


@asynccontextmanager
async def notifier(db: Database, settings: Settings, *, seconds: float = 10.0) -> AsyncIterator[Notifier]:
    where = destination(settings)
    assert where is not None
    async with ClientSession(timeout=ClientTimeout(total=seconds)) as http:
        yield Notifier(db, http, where, settings=settings)


async def test_a_webhook_hears_when_something_begins_and_when_it_is_over(
    db: Database, ear: Ear, tmp_path: Path, database_url: str
) -> None:
    settings = to_webhook(tmp_path, database_url, ear, PUBLIC_MEDIA_BASE_URL="https://photos.example.org/x")
    async with notifier(db, settings) as telling_:
        for _ in range(3):
            await telling_.round()
        ((path, body),) = ear.heard
        assert path == SECRET_PATH
        lines = body["text"].splitlines()
        assert lines == [
            "PhotoChanger, photos.example.org",
            "Тревога: Ни один обработчик (runner) не отзывается: фото никто не обрабатывает.",
        ]
        (told,) = body["alerts"]
        assert (told["name"], told["state"], told["times_seen"]) == ("no_runner", "begun", 1)

        async with db.begin() as conn:
            await leases.beat(conn, "r", host="h", pid=1)
            await conn.execute(update(alert).values(seen_at=text("now() - interval '6 minutes'")))
        await telling_.round()
        await telling_.round()
    assert [body["alerts"][0]["state"] for _, body in ear.heard] == ["begun", "over"]
    assert ear.heard[1][1]["text"].splitlines()[1].startswith("Прошло, длилось 0 мин (замечено 3 раз): ")


async def test_a_telegram_chat_hears_it_by_the_bots_own_call(
    db: Database, ear: Ear, tmp_path: Path, database_url: str
) -> None:
    told = {
        "ALERT_TELEGRAM_TOKEN": BOT,
        "ALERT_TELEGRAM_CHAT_ID": "-1001234",
        "ALERT_TELEGRAM_BASE_URL": ear.url,
        "ALERT_LANGUAGE": "en",
    }
    async with notifier(db, settings_for(tmp_path, database_url, **told)) as telling_:
        await telling_.round()
    ((path, body),) = ear.heard
    assert path == f"/bot{BOT}/sendMessage"
    assert set(body) == {"chat_id", "text"}
    assert body["chat_id"] == "-1001234"
    assert body["text"].splitlines()[1] == "Alert: No runner is alive: nobody changes photos."


@pytest.mark.parametrize("status", [204, 302, 400, 429, 500])
async def test_only_what_has_arrived_is_told(
    db: Database, ear: Ear, tmp_path: Path, database_url: str, status: int
) -> None:
    ear.status = status
    async with notifier(db, to_webhook(tmp_path, database_url, ear)) as telling_:
        await telling_.round()
        ear.status = 200
        await telling_.round()
        await telling_.round()
    assert len(ear.heard) == (1 if status == 204 else 2)


async def test_nothing_secret_is_logged_and_the_next_round_tells_what_was_not_told(
    db: Database,
    ear: Ear,
    tmp_path: Path,
    database_url: str,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = to_webhook(tmp_path, database_url, ear)
    dead = replace(settings, alert_webhook_url=f"http://127.0.0.1:9{SECRET_PATH}")
    slow = replace(settings, alert_webhook_url=f"{ear.url}{SECRET_PATH}?key=canary")
    telegram = {"ALERT_TELEGRAM_TOKEN": BOT, "ALERT_TELEGRAM_CHAT_ID": "1"}
    deaf = settings_for(tmp_path, database_url, ALERT_TELEGRAM_BASE_URL="http://127.0.0.1:9", **telegram)
    ear.delay_seconds = 2.0
    for one in (dead, slow, deaf):
        async with notifier(db, one, seconds=0.5) as telling_:
            await telling_.round()
    ear.delay_seconds = 0.0
    ear.heard.clear()
    async with notifier(db, settings) as telling_:
        await telling_.round()
    assert len(ear.heard) == 1
    printed = capsys.readouterr()
    told = caplog.text + printed.out + printed.err
    assert told.count("alerts_not_told") == 3
    assert "canary" not in told
    assert "canary" not in repr([dead, deaf, destination(dead), destination(deaf)])


async def test_one_of_several_daemons_tells(db: Database, ear: Ear, tmp_path: Path, database_url: str) -> None:
    settings = to_webhook(tmp_path, database_url, ear)
    async with notifier(db, settings) as first, notifier(db, settings) as second:
        async with db.at_once() as other:
            await other.execute(select(func.pg_advisory_lock(LOCK)))
            await first.round()
            assert ear.heard == []
            await other.execute(select(func.pg_advisory_unlock(LOCK)))
        await asyncio.gather(*(one.round() for one in (first, second) * 4))
    assert len(ear.heard) == 1


async def test_an_outage_of_the_database_is_told_once_and_its_end_too(
    db: Database, ear: Ear, tmp_path: Path, database_url: str, postgres_url: str
) -> None:
    async with db.begin() as conn:
        await leases.beat(conn, "r", host="h", pid=1)
    outage = Outage(postgres_url, database_url)
    async with notifier(db, to_webhook(tmp_path, database_url, ear)) as telling_:
        await telling_.round()
        await outage.begin()
        await telling_.round()
        assert ear.heard == [], "a restart takes a moment"
        for _ in range(3):
            await telling_.round()
        await outage.end()
        async with db.begin() as conn:
            await leases.beat(conn, "r", host="h", pid=1)
        for _ in range(2):
            await telling_.round()
    assert [body["alerts"][0]["state"] for _, body in ear.heard] == ["begun", "over"]
    assert {body["alerts"][0]["name"] for _, body in ear.heard} == {"database_unavailable"}


async def test_nobody_is_told_until_somebody_is_named(db: Database, tmp_path: Path, database_url: str) -> None:
    settings = settings_for(tmp_path, database_url)
    assert destination(settings) is None
    async with telling(settings, db):
        await asyncio.sleep(0.2)
    async with db.begin() as conn:
        assert (await conn.execute(select(alert))).all() == []


@pytest.mark.slow
async def test_the_daemon_tells_and_a_webhook_that_hangs_keeps_no_sweep_from_its_work(
    database_url: str, tmp_path: Path, http: httpx.AsyncClient, ear: Ear
) -> None:
    ear.delay_seconds = 60.0
    async with opened(tmp_path, database_url, http=http) as studio:
        daemon = studio.station.start("cleanup", told={"ALERT_WEBHOOK_URL": f"{ear.url}{SECRET_PATH}"})
        await daemon.told("sweep_finished", sweep="results_without_file")

        async def told() -> bool:
            return bool(ear.heard)

        await until(told, seconds=90)
        assert [one["name"] for one in ear.heard[0][1]["alerts"]] == ["no_runner"]
        async with studio.db.begin() as conn:
            await conn.execute(update(sweep_run).values(finished_at=text("now() - interval '1 hour'")))

        async def swept() -> bool:
            lately = select(sweep_run.c.name).where(sweep_run.c.finished_at > text("now() - interval '4 s'"))
            async with studio.db.at_once() as conn:
                return (await conn.execute(lately)).scalars().all() == ["overdue_jobs"]

        await until(swept, seconds=8)
        daemon.terminate()
        assert await daemon.exit_code() == 0
        assert "canary" not in daemon.text()
