"""The Turbotext simulator is directed from outside, keeps count of its queue, and remembers what it was asked."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from simulators.scenarios import read_behaviour
from simulators.server import serving
from simulators.stage import Journal
from simulators.turbotext import KEY, Turbotext
from simulators.turbotext_jobs import MAX_JOBS, MAX_PICTURES, Jobs
from simulators.turbotext_pictures import ready_made
from simulators.turbotext_request import methods, read_create
from simulators.turbotext_scenes import CATALOGUE
from tests.simulated import opened
from tests.test_simulator_turbotext import BEARER, Studio, opened_studio

pytestmark = pytest.mark.anyio

METHOD = "generate_image2image"


@pytest.fixture
async def studio(anyio_backend: str) -> AsyncIterator[Studio]:
    async with opened_studio() as studio:
        yield studio


async def test_a_rule_is_for_its_method_and_its_prompt(studio: Studio) -> None:
    await studio.behave("error", code="LIMIT", match={"method": "mix_images"})
    await studio.behave("error", code="face_not_found", match={"prompt_contains": "wedding"})
    assert (await studio.create("mix_images", url_image_target=studio.photo_url))["error"] == "LIMIT"
    assert (await studio.create(content="a wedding"))["error"] == "face_not_found"
    assert (await studio.create(content="a birthday"))["success"] is True


async def test_a_rule_stays_with_its_job_and_counts_jobs(studio: Studio) -> None:
    await studio.behave("endless_reconnect", match={"nth": 2})
    await studio.behave("ok", reconnects=0)
    queueids = [(await studio.create())["queueid"] for _ in range(3)]
    for _ in range(2):
        answers = [await studio.poll(queueid) for queueid in queueids]
        assert ["action" in answer for answer in answers] == [False, True, False]


async def test_a_health_check_uses_up_no_rule_that_is_not_its_own(studio: Studio) -> None:
    await studio.behave("internal", times=1)
    assert (await studio.post("available_api", ""))[0] == 200
    assert (await studio.post(METHOD, {"do": "create_queue", "url": studio.photo_url, "content": "a"}))[0] == 500
    await studio.behave("python_quotes", times=1, match={"method": "available_api"})
    status, body = await studio.post("available_api", "")
    assert (status, "'name': 'mix_images'" in body) == (200, True)
    await studio.behave("unauthorized", match={"method": "available_api"})
    assert (await studio.post("available_api", ""))[0] == 401
    async with studio.session.delete(f"{studio.url}/__emu/turbotext/scenario") as response:
        assert response.status == 204
    assert (await studio.post("available_api", ""))[0] == 200


@pytest.mark.parametrize(
    ("document", "mistake"),
    [
        ([], "the scenario must be a JSON object"),
        ({"behaviour": {"name": "ok"}, "match": {"model": "mix_images"}}, "only key, prompt_contains, method, nth"),
        ({"behaviour": {"name": "ok"}, "match": {"method": "mix_image"}}, "match.method must be one of"),
        ({"behaviour": {"name": "ok"}, "match": {"method": ["mix_images"]}}, "match.method must be one of"),
        ({"behaviour": {"name": "thought_drafts"}}, "is unknown"),
        ({"behaviour": {"name": "error", "at": "poll"}}, "behaviour.at must be one of create_queue, get_result"),
        ({"behaviour": {"name": "error", "polls": 0}}, "behaviour.polls must be a whole number from 1 on, or null"),
        ({"behaviour": {"name": "ok", "reconnects": -1}}, "behaviour.reconnects must be"),
    ],
)
async def test_a_mistaken_scenario_is_refused_by_name(studio: Studio, document: Any, mistake: str) -> None:
    async with studio.session.post(f"{studio.url}/__emu/turbotext/scenario", json=document) as response:
        assert response.status == 400
        assert mistake in (await response.json())["error"]


async def test_unfinished_jobs_are_counted_apart_from_requests(studio: Studio) -> None:
    await studio.behave("instant", reconnects=1)
    queueids = [(await studio.create())["queueid"] for _ in range(3)]
    for queueid in queueids[:2]:
        await studio.poll(queueid)
        await studio.poll(queueid)
    stats = await studio.read("turbotext/stats")
    assert (stats["requests"], stats["polls"], stats["unfinished"], stats["max_unfinished"]) == (3, 4, 1, 3)
    assert (stats["in_flight"], stats["billed"]) == (0, 3)


async def test_three_hundred_instant_jobs_wait_at_once() -> None:
    async with opened_studio(default={"name": "instant", "delay_seconds": 1}) as studio:
        async with asyncio.timeout(10):
            created = await asyncio.gather(*(studio.create() for _ in range(300)))
            queueids = [answer["queueid"] for answer in created]
            assert len(set(queueids)) == 300
            await asyncio.sleep(1.1)
            answers = await asyncio.gather(*(studio.poll(queueid) for queueid in queueids))
        assert all(answer["success"] for answer in answers)
        status, data, _ = await studio.download(answers[-1]["uploaded_image"])
        assert (status, opened(data).size) == (200, (answers[-1]["data"]["width"], answers[-1]["data"]["height"]))
        assert len(await studio.read("turbotext/fetches")) == 300
        assert await studio.violations() == []


async def test_requests_are_recorded_without_keys(studio: Studio) -> None:
    await studio.create()
    (entry,) = await studio.read("requests")
    assert (entry["provider"], entry["do"], entry["prompt"], entry["status"]) == (
        "turbotext",
        "create_queue",
        "Beach",
        200,
    )
    assert (entry["behaviour"], entry["billed"], entry["queueid"]) == ("ok", True, 918_273)
    assert KEY not in json.dumps(entry)


async def test_the_oldest_pictures_and_then_jobs_are_forgotten() -> None:
    jobs = Jobs(photos_left=MAX_JOBS)
    asked = read_create({"url": "http://a/b.jpg", "content": "Beach"}, method=methods()[METHOD])
    behaviour = read_behaviour({"name": "instant"}, catalogue=CATALOGUE)
    made = ready_made("image/jpeg")
    taken = [jobs.add(asked, behaviour, made, key=KEY) for _ in range(MAX_JOBS + 1)]
    assert [job.is_forgotten(0) for job in taken[-MAX_PICTURES - 1 : -MAX_PICTURES + 1]] == [True, False]
    assert jobs.find(taken[0].queueid) is jobs.with_picture(taken[0].name) is None
    assert jobs.find(taken[1].queueid) is jobs.with_picture(taken[1].name) is taken[1]
    assert (jobs.photos_left, jobs.gauge.billed) == (-1, MAX_JOBS + 1)


async def test_without_photos_the_balance_is_an_error_and_no_violation(studio: Studio) -> None:
    app = web.Application()
    turbotext = Turbotext(journal=Journal(), default={"name": "ok"}, photos=1)
    app.add_routes(turbotext.routes())
    app.cleanup_ctx.append(turbotext.lifespan)
    async with serving(app) as served:
        poor = Studio(served.url, host=studio.host, files=studio.files, session=studio.session)
        assert (await poor.create())["success"]
        assert await poor.create() == {"success": False, "error": "LIMIT"}
    assert list(turbotext.stage.journal.violations) == []


async def test_the_command_names_the_object_replacement() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulators", "--port", "0", "--object-replace-method", "gemini_edit_image"),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    url = json.loads(await process.stderr.readline())["url"]
    async with (
        aiohttp.ClientSession(headers=BEARER) as session,
        session.post(f"{url}/turbotext/api_ai/available_api") as response,
    ):
        assert "gemini_edit_image" in await response.text()
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(5):
        assert await process.wait() == 0
