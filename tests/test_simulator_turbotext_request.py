"""The Turbotext simulator takes only what the vendor's page allows, and remembers every mistake."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest

from simulators.turbotext import KEY
from tests.test_simulator_turbotext import BEARER, Document, Studio, opened_studio

pytestmark = pytest.mark.anyio

URL = "http://127.0.0.1:9/photo.jpg"
"""Well-formed; nobody answers there."""
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CREATE: Document = {"do": "create_queue", "url": URL, "content": "Beach"}


@pytest.fixture
async def studio(anyio_backend: str) -> AsyncIterator[Studio]:
    async with opened_studio() as studio:
        yield studio


@pytest.mark.parametrize(
    ("headers", "recorded"),
    [
        ({}, True),
        ({"Authorization": KEY}, True),
        ({"Authorization": "Basic " + KEY}, True),
        ({"Authorization": "Bearer another-key"}, False),
    ],
)
async def test_a_request_without_a_known_bearer_key_gets_401(
    studio: Studio, headers: dict[str, str], recorded: bool
) -> None:
    for method in ("available_api", "mix_images"):
        status, body = await studio.post(method, CREATE, headers=headers)
        assert (status, json.loads(body)) == (401, {"success": False, "error": "Unauthorized"})
    assert len(await studio.violations()) == 2 * recorded
    assert await studio.read("turbotext/fetches") == []


async def test_a_key_that_a_rule_names_is_a_valid_one_and_its_jobs_are_its_own(studio: Studio) -> None:
    await studio.behave("ok", match={"key": "second-key"})
    await studio.behave("ok", match={"method": "available_api", "key": "third-key"})
    fields = {"do": "create_queue", "url": studio.photo_url, "content": "Beach"}
    headers = {"Authorization": "Bearer second-key"}
    queueid = (await studio.ask("generate_image2image", fields, headers=headers))["queueid"]
    assert await studio.poll(queueid) == {"success": False, "error": "queueid_error"}
    answer = await studio.ask("generate_image2image", {"do": "get_result", "queueid": queueid}, headers=headers)
    assert answer == {"action": "reconnect"}
    assert (await studio.ask("available_api", "", headers={"Authorization": "Bearer third-key"}))["success"]


@pytest.mark.parametrize("method", ["mix_image", "upscale", "api_ai%2Fmix_images"])
async def test_an_unknown_method_gets_404(studio: Studio, method: str) -> None:
    status, _ = await studio.post(method, CREATE)
    assert status == 404
    assert len(await studio.violations()) == 1


async def test_only_post_is_taken(studio: Studio) -> None:
    for verb in ("GET", "PUT", "HEAD"):
        async with studio.session.request(verb, f"{studio.url}/turbotext/api_ai/mix_images", headers=BEARER) as answer:
            assert answer.status == 405
    assert await studio.violations() == [f"mix_images wants POST, not {verb}" for verb in ("GET", "PUT", "HEAD")]


async def test_any_other_path_is_a_violation(studio: Studio) -> None:
    for path in ("/turbotext/redirected", "/turbotext/api_ai", "/turbotext/download.php?f=x", "/turbotext/image/x.jpg"):
        assert (await studio.download(studio.url + path))[0] == 404
    assert len(await studio.violations()) == 4


@pytest.mark.parametrize(
    ("body", "headers", "mistake"),
    [
        (json.dumps(CREATE), {"Content-Type": "application/json"}, "Content-Type must be"),
        (urlencode(CREATE), {"Content-Type": "text/plain"}, "Content-Type must be"),
        (urlencode(CREATE), {"Content-Type": FORM["Content-Type"] + "; charset=cp1251"}, "Content-Type must be"),
        ("do=create_queue&do=get_result", FORM, "twice"),
        ("do", FORM, "no urlencoded form"),
        ("do=create_queue&content=%ff", FORM, "no urlencoded form"),
        ("do=create_queue&content=пляж", FORM, "no urlencoded form"),
        ("do=create_queue&content=" + "a" * 70_000, FORM, "more than 65536 bytes"),
        ("", FORM, "do must be"),
        ("do=create", FORM, "do must be"),
    ],
)
async def test_the_body_must_be_an_urlencoded_form(
    studio: Studio, body: str, headers: dict[str, str], mistake: str
) -> None:
    status, answer = await studio.post("generate_image2image", body, headers=BEARER | headers)
    assert status == 200
    assert json.loads(answer)["success"] is False
    (violation,) = await studio.violations()
    assert mistake in violation


async def test_a_multipart_form_and_parameters_in_the_url_are_not_taken(studio: Studio) -> None:
    multipart = b'--b\r\nContent-Disposition: form-data; name="do"\r\n\r\ncreate_queue\r\n--b--\r\n'
    headers = BEARER | {"Content-Type": "multipart/form-data; boundary=b"}
    await studio.post("generate_image2image", multipart.decode(), headers=headers)
    await studio.post("generate_image2image?do=create_queue", CREATE)
    first, second = await studio.violations()
    assert "not multipart/form-data" in first
    assert "into the body" in second


TWO: Document = {"url": URL, "url_image_target": URL}


@pytest.mark.parametrize(
    ("method", "fields", "mistake"),
    [
        ("generate_image2image", {"content": "Beach"}, "generate_image2image needs url"),
        ("generate_image2image", {"url": URL}, "generate_image2image needs content"),
        ("generate_image2image", {"url": URL, "content": " "}, "content must be"),
        ("generate_image2image", CREATE | {"url": "photo.jpg"}, "url must be an absolute http or https URL"),
        ("generate_image2image", CREATE | {"url": "file:///etc/passwd"}, "url must be"),
        ("generate_image2image", CREATE | {"url": "http://a:b/"}, "url must be"),
        ("generate_image2image", CREATE | {"url": URL + "a" * 2100}, "url must be"),
        ("generate_image2image", CREATE | {"strength": "81"}, "strength must be a whole number from 0 to 80, not '81'"),
        ("generate_image2image", CREATE | {"strength": "-1"}, "strength must be"),
        ("generate_image2image", CREATE | {"strength": "0.4"}, "strength must be"),
        ("generate_image2image", CREATE | {"strength": ""}, "strength must be"),
        ("generate_image2image", CREATE | {"seed": "0"}, "seed must be"),
        ("generate_image2image", CREATE | {"seed": "10000000001"}, "seed must be"),
        ("generate_image2image", CREATE | {"scale": "0.05"}, "scale must be"),
        ("generate_image2image", CREATE | {"scale": "20.1"}, "scale must be"),
        ("generate_image2image", CREATE | {"scale": "nan"}, "scale must be"),
        ("generate_image2image", CREATE | {"negative_prompt": "a " * 81}, "negative_prompt must be at most 80 words"),
        ("generate_image2image", CREATE | {"original_language": "russian"}, "original_language must be"),
        ("generate_image2image", CREATE | {"user_id": "0"}, "user_id must be"),
        ("generate_image2image", CREATE | {"url_image_target": URL}, "takes no parameter 'url_image_target'"),
        ("generate_image2image", CREATE | {"queueid": "1"}, "takes no parameter 'queueid'"),
        ("generate_image2image", CREATE | {"webhook": URL}, "takes no parameter 'webhook'"),
        ("mix_images", {"url": URL}, "mix_images needs url_image_target"),
        ("mix_images", {"url_image_target": URL}, "mix_images needs url"),
        ("mix_images", TWO | {"strength": "40"}, "takes no parameter 'strength'"),
        ("deepfake_photo", {"url": URL}, "deepfake_photo needs url_image_target"),
        ("deepfake_photo", TWO | {"face_restore": "true"}, 'face_restore must be "True" or "False"'),
        ("deepfake_photo", TWO | {"content": "Beach"}, "takes no parameter 'content'"),
        ("object_replace", {"url": URL}, "object_replace needs content"),
    ],
)
async def test_parameters_outside_the_methods_are_refused_by_name(
    studio: Studio, method: str, fields: Document, mistake: str
) -> None:
    answer = await studio.ask(method, {**fields, "do": "create_queue"})
    assert answer == {"success": False, "error": "params_error"}
    (violation,) = await studio.violations()
    assert mistake in violation
    assert await studio.read("turbotext/fetches") == []
    assert (await studio.read("turbotext/stats"))["billed"] == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"strength": "0", "seed": "1", "scale": "0.1", "user_id": "7"},
        {"strength": "80", "seed": "10000000000", "scale": "20", "original_language": "en"},
        {"negative_prompt": "a " * 80},
        {"negative_prompt": ""},
    ],
)
async def test_parameters_at_their_bounds_are_taken(studio: Studio, fields: Document) -> None:
    assert (await studio.create(**fields))["success"]
    assert await studio.violations() == []


@pytest.mark.parametrize(
    ("fields", "mistake"),
    [
        ({"queueid": "918274"}, "there is no queueid 918274"),
        ({"queueid": "-1"}, "queueid must be a whole number"),
        ({"queueid": "None"}, "queueid must be a whole number"),
        ({"queueid": "9" * 5000}, "queueid must be a whole number"),
        ({}, "queueid must be a whole number"),
        ({"queueid": "918273", "url": URL}, "get_result takes no parameter 'url'"),
    ],
)
async def test_only_a_queueid_that_was_given_out_can_be_asked_for(
    studio: Studio, fields: Document, mistake: str
) -> None:
    await studio.create()
    answer = await studio.ask("generate_image2image", {"do": "get_result", **fields})
    assert answer["success"] is False
    assert await studio.violations() == [mistake]


async def test_a_queueid_belongs_to_its_method(studio: Studio) -> None:
    queueid = (await studio.create())["queueid"]
    assert await studio.poll(queueid, method="mix_images") == {"success": False, "error": "queueid_error"}
    assert await studio.violations() == [f"queueid {queueid} is one of generate_image2image"]


async def test_available_api_takes_no_parameters(studio: Studio) -> None:
    assert (await studio.ask("available_api", {"do": "create_queue"}))["success"] is False
    assert await studio.violations() == ["available_api takes no parameter 'do'"]


@pytest.mark.parametrize(("pause_seconds", "recorded"), [(0.6, 1), (1.0, 0)])
async def test_a_job_is_polled_once_a_second_at_most(studio: Studio, pause_seconds: float, recorded: int) -> None:
    await studio.behave("endless_reconnect", least_poll_seconds=1)
    jobs: list[Any] = [await studio.create(), await studio.create()]
    await asyncio.gather(*(studio.poll(job["queueid"]) for job in jobs))
    await asyncio.sleep(pause_seconds)
    assert await studio.poll(jobs[0]["queueid"]) == {"action": "reconnect"}
    found = await studio.violations()
    assert found == [f"polls for queueid {jobs[0]['queueid']} come too soon after each other"] * recorded


async def test_a_key_in_a_mistake_is_not_written_down(studio: Studio) -> None:
    await studio.ask("generate_image2image", CREATE | {"strength": KEY})
    assert "****" in (await studio.violations())[0]
    assert KEY not in json.dumps(await studio.read("requests")) + json.dumps(await studio.read("violations"))
