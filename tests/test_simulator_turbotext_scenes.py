"""The Turbotext simulator misbehaves exactly as a scenario tells it to."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from simulators.turbotext import KEY
from simulators.turbotext_scenes import SCENES
from tests.simulated import opened
from tests.test_simulator_turbotext import Studio, opened_studio

pytestmark = pytest.mark.anyio

METHOD = "generate_image2image"
PHASES = ("create_queue", "get_result")


@pytest.fixture
async def studio(anyio_backend: str) -> AsyncIterator[Studio]:
    async with opened_studio() as studio:
        yield studio


async def said(studio: Studio, phase: str, **options: Any) -> tuple[int, str]:
    """The raw answer of a new job in this phase; the job's picture is ready at its first poll."""
    fields = {"do": "create_queue", "url": studio.photo_url, "content": "Beach"}
    status, body = await studio.post(METHOD, fields, **(options if phase == "create_queue" else {}))
    if phase == "create_queue":
        return status, body
    return await studio.post(METHOD, {"do": "get_result", "queueid": json.loads(body)["queueid"]}, **options)


async def billed(studio: Studio) -> int:
    return int((await studio.read("turbotext/stats"))["billed"])


# Where the picture is said to be


async def test_the_link_can_stand_in_data_alone(studio: Studio) -> None:
    await studio.behave("uploaded_image_in_data")
    answer = await studio.result()
    assert "uploaded_image" not in answer
    assert "image" not in answer["data"]
    assert (await studio.download(answer["data"]["uploaded_image"]))[0] == 200


async def test_the_link_can_stand_in_the_list_alone_whole_or_relative(studio: Studio) -> None:
    for name, root in (("image_absolute_in_list", ""), ("image_relative_in_list", f"{studio.url}/turbotext/")):
        await studio.behave(name)
        answer = await studio.result("mix_images", url_image_target=studio.photo_url)
        assert "uploaded_image" not in answer
        (link,) = answer["data"]["image"]
        assert link.startswith("http") == (root == "")
        assert (await studio.download(root + link))[0] == 200


async def test_a_success_can_have_no_link_at_all(studio: Studio) -> None:
    await studio.behave("success_without_result")
    answer = await studio.result()
    assert answer["success"] is True
    assert "download" not in json.dumps(answer)
    assert "image/" not in json.dumps(answer)


@pytest.mark.parametrize(("written", "value"), [("bool", True), ("text", "True")])
async def test_forbidden_content_comes_with_success_and_a_picture(studio: Studio, written: str, value: object) -> None:
    await studio.behave("forbidden_content", written=written)
    answer = await studio.result()
    assert (answer["success"], answer["data"]["forbidden_content"]) == (True, value)
    assert (await studio.download(answer["uploaded_image"]))[0] == 200


# Errors


CODES = ["LIMIT", "url_error", "params_error", "size_error", "quality_limit", "face_not_detected", "face_not_found"]


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("code", [*CODES, "provider_busy", "Что-то пошло не так"])
async def test_an_error_has_any_code_in_either_phase(studio: Studio, code: str, phase: str) -> None:
    await studio.behave("error", code=code, at=phase, reconnects=0)
    status, body = await said(studio, phase)
    assert (status, json.loads(body)) == (200, {"success": False, "error": code})
    assert await billed(studio) == (phase == "get_result")


FAULTS = {"unauthorized": 401, "forbidden": 403, "internal": 500, "html_200": 200, "redirect_on_post": 302}


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_has_its_status_in_either_phase(studio: Studio, name: str, phase: str) -> None:
    await studio.behave(name, at=phase, reconnects=0)
    status, body = await said(studio, phase)
    assert status == FAULTS[name]
    assert ("<html>" in body) == (name in ("internal", "html_200"))
    assert await billed(studio) == (phase == "get_result")
    assert await studio.violations() == []


async def test_a_redirect_that_is_followed_is_a_violation(studio: Studio) -> None:
    await studio.behave("redirect_on_post")
    assert (await said(studio, "create_queue", allow_redirects=True))[0] == 404
    assert await studio.violations() == ["there is no GET /turbotext/redirected"]


async def test_an_error_can_echo_the_key(studio: Studio) -> None:
    await studio.behave("echo_key_error")
    assert KEY in (await said(studio, "create_queue"))[1]
    assert KEY not in json.dumps(await studio.read("requests"))


async def test_a_fault_can_pass_after_some_polls(studio: Studio) -> None:
    await studio.behave("internal", at="get_result", polls=2, reconnects=1)
    queueid = (await studio.create())["queueid"]
    fields = {"do": "get_result", "queueid": queueid}
    answers = [await studio.post(METHOD, fields) for _ in range(4)]
    assert [status for status, _ in answers] == [200, 500, 500, 200]
    assert json.loads(answers[0][1]) == {"action": "reconnect"}
    assert json.loads(answers[3][1])["success"] is True


@pytest.mark.parametrize("phase", PHASES)
async def test_rubbish_comes_in_either_phase_after_the_photo_was_charged(studio: Studio, phase: str) -> None:
    for name in ("malformed_json", "python_quotes"):
        await studio.behave(name, at=phase, reconnects=0)
        _, body = await said(studio, phase)
        with pytest.raises(json.JSONDecodeError):
            json.loads(body)
        assert body.endswith("]}" if name == "malformed_json" else "}")
        assert ("'success': True" in body) == (name == "python_quotes")
    await studio.behave("unknown_status", at=phase, reconnects=0)
    assert json.loads((await said(studio, phase))[1]) == {"status": "processing"}
    assert await billed(studio) == 3


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", ["silent", "reset_before"])
async def test_a_connection_falls_silent_or_is_reset_in_either_phase(studio: Studio, name: str, phase: str) -> None:
    await studio.behave(name, at=phase, reconnects=0)
    with pytest.raises(TimeoutError if name == "silent" else aiohttp.ClientConnectionError):
        await said(studio, phase, timeout=aiohttp.ClientTimeout(total=0.4))
    assert await billed(studio) == (phase == "get_result")


async def test_a_created_job_whose_answer_is_lost_is_charged(studio: Studio) -> None:
    await studio.behave("reset_after_create")
    with pytest.raises(aiohttp.ClientConnectionError):
        await studio.create()
    assert await billed(studio) == 1
    assert len(await studio.read("turbotext/fetches")) == 1


# The queue


@pytest.mark.parametrize(
    ("name", "given"), [("queueid_as_text", "918273"), ("queueid_null", None), ("queueid_negative", -1)]
)
async def test_a_queueid_is_not_always_a_number_to_go_by(studio: Studio, name: str, given: object) -> None:
    await studio.behave(name, reconnects=0)
    answer = await studio.create()
    assert answer == {"success": True, "queueid": given}
    if isinstance(given, str):
        assert (await studio.poll(given))["success"] is True


@pytest.mark.parametrize("reconnects", [0, 3])
async def test_a_scenario_counts_the_reconnects(studio: Studio, reconnects: int) -> None:
    await studio.behave("ok", reconnects=reconnects)
    queueid = (await studio.create())["queueid"]
    answers = [await studio.poll(queueid) for _ in range(reconnects + 1)]
    assert ["action" in answer for answer in answers] == [True] * reconnects + [False]


async def test_a_scenario_sets_the_time_instead(studio: Studio) -> None:
    await studio.behave("slow", seconds=0.5)
    started = time.perf_counter()
    assert (await studio.result())["success"] is True
    assert 0.5 <= time.perf_counter() - started < 3
    assert (await studio.read("turbotext/stats"))["polls"] > 3


async def test_a_job_can_have_no_end(studio: Studio) -> None:
    await studio.behave("endless_reconnect", reconnects=0)
    queueid = (await studio.create())["queueid"]
    assert [await studio.poll(queueid) for _ in range(20)] == [{"action": "reconnect"}] * 20
    assert (await studio.read("turbotext/stats"))["unfinished"] == 1


async def test_every_answer_can_take_time(studio: Studio) -> None:
    await studio.behave("ok", delay_seconds=0.3, reconnects=0)
    for phase, least_seconds in (("create_queue", 0.3), ("get_result", 0.6)):
        started = time.perf_counter()
        assert (await said(studio, phase))[0] == 200
        assert time.perf_counter() - started >= least_seconds


async def test_every_behaviour_takes_a_job_to_an_answer_without_an_error_of_its_own(studio: Studio) -> None:
    for name in SCENES.keys() - {"silent", "reset_before", "reset_after_create", "slow"}:
        await studio.behave(name, reconnects=0, mime="image/png")
        for method, fields in ((METHOD, {}), ("mix_images", {"url_image_target": studio.photo_url})):
            given = {"do": "create_queue", "url": studio.photo_url, **fields}
            status, body = await studio.post(method, given | ({} if fields else {"content": "Beach"}))
            assert "Server got itself in trouble" not in body, name
            if status == 200 and '"queueid": 9' in body:
                queueid = json.loads(body)["queueid"]
                _, body = await studio.post(method, {"do": "get_result", "queueid": queueid})
                assert "Server got itself in trouble" not in body, name
    assert await studio.violations() == []


async def test_the_scenario_chooses_the_picture_type(studio: Studio) -> None:
    await studio.behave("ok", mime="image/png")
    link = (await studio.result())["uploaded_image"]
    assert link.endswith(".png")
    async with asyncio.timeout(5):
        _, data, mime = await studio.download(link)
    assert (opened(data).format, mime) == ("PNG", "image/png")
