"""The simulators are directed from outside, remember what they were asked, and are a command."""

import asyncio
import hashlib
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from simulators.gemini import KEY
from simulators.scenarios import ScenarioMistake
from simulators.server import build_app
from tests.simulated import (
    MODEL,
    PHOTO,
    PHOTO_BASE64,
    Simulators,
    asking,
    contents,
    simulated,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def simulators(anyio_backend: str) -> AsyncIterator[Simulators]:
    async with simulated() as simulators:
        yield simulators


async def test_failures_are_used_up_and_then_it_succeeds(simulators: Simulators) -> None:
    await simulators.behave("unavailable", times=2)
    await simulators.behave("internal", times=1)
    assert await simulators.statuses("a", "b", "c", "d") == [503, 503, 500, 200]


async def test_a_rule_is_for_what_it_matches(simulators: Simulators) -> None:
    await simulators.behave("unavailable", match={"prompt_contains": "wedding"})
    await simulators.behave("internal", match={"model": "gemini-3-pro-image"})
    assert await simulators.statuses("a wedding", "a birthday") == [503, 200]
    assert (await simulators.ask(contents({"text": "a"}), model="gemini-3-pro-image"))[0] == 500


async def test_a_rule_can_be_for_the_nth_request_alone(simulators: Simulators) -> None:
    await simulators.behave("unavailable", match={"nth": 3, "prompt_contains": "a"})
    assert await simulators.statuses("a", "b", "a", "a", "a") == [200, 200, 200, 503, 200]


async def test_of_the_lasting_rules_the_newest_counts_until_all_are_reset(simulators: Simulators) -> None:
    await simulators.behave("unavailable")
    await simulators.behave("internal")
    assert await simulators.statuses("a", "b") == [500, 500]
    status, _ = await simulators.request("DELETE", "/__emu/gemini/scenario")
    assert status == 204
    assert await simulators.statuses("a") == [200]


async def test_a_key_that_a_rule_names_is_a_valid_one(simulators: Simulators) -> None:
    await simulators.behave("unavailable", match={"key": "second-key"})
    path = f"/gemini/v1beta/models/{MODEL}:generateContent"
    headers = {"x-goog-api-key": "second-key"}
    status, _ = await simulators.request("POST", path, json=contents({"text": "a"}), headers=headers)
    assert status == 503
    assert await simulators.statuses("a") == [200]


@pytest.mark.parametrize(
    ("document", "mistake"),
    [
        ([], "the scenario must be a JSON object"),
        ({}, "behaviour is missing"),
        ({"behaviour": {"name": "ok"}, "time": 1}, "'time'"),
        ({"behaviour": {"name": "explode"}}, "'explode' is unknown: one of "),
        ({"behaviour": {"name": "ok", "seconds": 1}}, "ok takes no 'seconds'"),
        ({"behaviour": {"name": "slow", "seconds": -1}}, "behaviour.seconds must be a number of seconds from 0 on"),
        ({"behaviour": {"name": "slow", "seconds": True}}, "behaviour.seconds must be"),
        ({"behaviour": {"name": "ok", "mime": "image/gif"}}, "behaviour.mime must be one of image/jpeg, image/png"),
        ({"behaviour": {"name": "thought_drafts", "drafts": 9}}, "a whole number from 1 to 2"),
        ({"behaviour": {"name": "huge_body", "compressed": 1}}, "true or false"),
        ({"behaviour": {"name": "finish_reason", "reason": ""}}, "a text that is not empty"),
        ({"behaviour": {"name": "ok"}, "times": 0}, "times must be"),
        ({"behaviour": {"name": "ok"}, "match": {"prompt": "a"}}, "match has an unknown field 'prompt'"),
        ({"behaviour": {"name": "ok"}, "match": {"nth": 0}}, "match.nth must be"),
        ({"behaviour": {"name": "ok"}, "match": {"model": 5}}, "match.model must be a text"),
    ],
)
async def test_a_mistaken_scenario_is_refused_by_name(simulators: Simulators, document: Any, mistake: str) -> None:
    status, answer = await simulators.request("POST", "/__emu/gemini/scenario", json=document)
    assert status == 400
    assert mistake in answer["error"]
    assert await simulators.statuses("a") == [200]


def test_a_mistaken_default_stops_the_start() -> None:
    with pytest.raises(ScenarioMistake, match="delay_seconds"):
        build_app(default={"name": "ok", "delay_seconds": -1})


# What it remembers


async def test_requests_are_recorded_without_keys_and_pictures(simulators: Simulators) -> None:
    await simulators.ask(asking(prompt="Beach", imageConfig={"imageSize": "1K"}))
    await simulators.behave("echo_key_error")
    await simulators.ask(asking())
    first, second = await simulators.read("requests")
    assert first["pictures"] == [
        {
            "mime": "image/jpeg",
            "bytes": len(PHOTO),
            "sha256": hashlib.sha256(PHOTO).hexdigest(),
            "width": 1800,
            "height": 1200,
        }
    ]
    assert (first["prompt"], first["model"], first["status"]) == ("Beach", MODEL, 200)
    assert first["config"] == {"imageConfig": {"imageSize": "1K"}}
    assert (first["billed"], second["billed"], second["status"]) == (True, False, 500)
    written = json.dumps([first, second])
    assert KEY not in written
    assert PHOTO_BASE64[:100] not in written
    status, _ = await simulators.request("DELETE", "/__emu/requests")
    assert status == 204
    assert await simulators.read("requests") == []


async def test_violations_can_be_forgotten(simulators: Simulators) -> None:
    await simulators.ask({})
    (violation,) = await simulators.read("violations")
    assert violation["path"] == f"/gemini/v1beta/models/{MODEL}:generateContent"
    status, _ = await simulators.request("DELETE", "/__emu/violations")
    assert status == 204
    assert await simulators.violations() == []


async def test_requests_in_flight_are_counted(simulators: Simulators) -> None:
    await simulators.behave("instant", delay_seconds=0.4)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(simulators.ask(contents({"text": "a"}))) for _ in range(7)]
        await asyncio.sleep(0.2)
        assert (await simulators.read("gemini/stats"))["in_flight"] == 7
    assert [task.result()[0] for task in tasks] == [200] * 7
    assert await simulators.read("gemini/stats") == {"requests": 7, "in_flight": 0, "max_in_flight": 7, "billed": 7}


# The command


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_command_serves_until_it_is_stopped(number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulators", "--port", "0", "--instant", "--delay", "0.2"),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    started = json.loads(await process.stderr.readline())
    async with simulated(started["url"]) as simulators:
        before = time.perf_counter()
        assert await simulators.statuses("a") == [200]
        assert time.perf_counter() - before >= 0.2
        await simulators.behave("silent")
        waiting = asyncio.create_task(simulators.ask(asking()))
        await asyncio.sleep(0.2)
        process.send_signal(number)
        async with asyncio.timeout(5):
            assert await process.wait() == 0
        with pytest.raises(aiohttp.ClientConnectionError):
            await waiting


@pytest.mark.parametrize("arguments", [["--delay", "-1"], ["--host", "203.0.113.1"]])
async def test_the_command_that_cannot_start_says_why(arguments: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulators", "--port", "0", *arguments), stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert b"simulators_not_started" in errors
    assert b"Traceback" not in errors
