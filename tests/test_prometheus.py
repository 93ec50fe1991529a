"""A real Prometheus with the shipped configuration, beside real processes: its rules are evaluated, its alerts come and
every panel of the Grafana board has something to show. Where Prometheus is not installed, this is left out.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from sqlalchemy import insert, text, update

from photochanger.tables import provider_check, slot
from tests.processes import Studio, opened
from tests.programs import program
from tests.queue_rows import until
from tests.test_deploy_prometheus import BOARD, RULES, SCRAPE
from tests.test_up import free_port

PROGRAM = program("prometheus") or ""
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not PROGRAM, reason="Prometheus is not installed: `make prometheus`"),
]
SECONDS = 40.0


@dataclass(frozen=True)
class Prometheus:
    """A running one."""

    url: str
    http: httpx.AsyncClient

    async def asked(self, path: str, **parameters: str) -> Any:
        answer = await self.http.get(f"{self.url}/api/v1/{path}", params=parameters)
        body = answer.json()
        assert body["status"] == "success", (parameters, body)
        return body["data"]

    async def shows(self, expression: str) -> bool:
        """Whether there is anything to draw."""
        return bool((await self.asked("query", query=expression))["result"])

    async def firing(self) -> dict[str, str]:
        """The alerts that are told now, with their sentences."""
        alerts = (await self.asked("alerts"))["alerts"]
        told = [one for one in alerts if one["state"] == "firing"]
        return {one["labels"]["alertname"]: one["annotations"]["summary"] for one in told}


@asynccontextmanager
async def prometheus(folder: Path, *, target: str, http: httpx.AsyncClient) -> AsyncIterator[Prometheus]:
    """One that scrapes this target by the shipped configuration, only more often."""
    config = yaml.safe_load(SCRAPE.read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    folder.mkdir()
    (folder / SCRAPE.name).write_text(yaml.safe_dump(config))
    shutil.copy(RULES, folder)
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        f"--config.file={folder / SCRAPE.name}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        stderr=asyncio.subprocess.DEVNULL,
    )
    found = Prometheus(f"http://127.0.0.1:{port}", http)

    async def ready() -> bool:
        assert process.returncode is None
        try:
            return (await http.get(f"{found.url}/-/ready")).status_code == 200
        except httpx.TransportError:
            return False

    try:
        await until(ready, seconds=SECONDS)
        yield found
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture
async def studio(database_url: str, tmp_path: Path, http: httpx.AsyncClient) -> AsyncIterator[Studio]:
    async with opened(tmp_path, database_url, http=http) as studio:
        yield studio


def panels() -> list[tuple[str, str]]:
    """Title and expression of every line of the board."""
    board = json.loads(BOARD.read_text(encoding="utf-8"))
    return [
        (panel["title"], target["expr"].replace("$__rate_interval", "30s"))
        for panel in board["panels"]
        for target in panel["targets"]
    ]


async def test_rules_are_evaluated_alerts_come_and_every_panel_shows_something(studio: Studio, tmp_path: Path) -> None:
    station = studio.station
    told = {"GEMINI_API_KEY": "", "SIMULATORS_URL": studio.simulators.url, "PUBLIC_MEDIA_BASE_URL": station.url}
    await asyncio.gather(station.api(**told), station.runner(**told))
    station.start("cleanup", told=told)
    async with studio.db.begin() as conn:
        turbotext = {"provider": "turbotext", "operation": "image_edit", "settings": {"prompt": "a castle"}}
        await conn.execute(update(slot).where(slot.c.slot_id == "slot-002").values(**turbotext))
    async with prometheus(tmp_path / "prometheus", target=station.url.partition("//")[2], http=studio.http) as prom:
        assert (await studio.post()).status_code == 200
        assert (await studio.post(slot="slot-002")).status_code == 200
        assert (await studio.post(password=b"wrong")).status_code == 401
        empty = panels()

        async def all_show() -> bool:
            empty[:] = [(title, asked) for title, asked in empty if not await prom.shows(asked)]
            return not empty

        with suppress(AssertionError):
            await until(all_show, seconds=SECONDS)
        assert empty == []

        groups = (await prom.asked("rules"))["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert len(rules) == RULES.read_text(encoding="utf-8").count("alert: ")
        assert {(rule["health"], rule.get("lastError", "")) for rule in rules} == {("ok", "")}
        assert await prom.firing() == {}

        async with studio.db.begin() as conn:
            refused = {"provider": "openai", "checked_at": text("now()"), "good": False, "sentence": "no"}
            await conn.execute(insert(provider_check).values(refused))

        async def key_rejected() -> bool:
            return await prom.firing() == {"KeyRejected": "openai does not accept our key"}

        await until(key_rejected, seconds=SECONDS)
