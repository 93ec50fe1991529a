"""The Turbotext simulator queues jobs, fetches their pictures for real, and gives out visibly changed ones."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from PIL import Image, ImageChops, ImageStat

from simulators.sample import SAMPLE
from simulators.server import build_app, serving
from simulators.turbotext import KEY
from tests.pictures import saved
from tests.simulated import opened, photo_bytes

pytestmark = pytest.mark.anyio

BEARER = {"Authorization": f"Bearer {KEY}"}
PHOTO = photo_bytes(600, 400)
RED = saved(Image.new("RGB", (300, 300), (230, 20, 20)), "PNG")
Document = dict[str, Any]


class Studio:
    """The simulators on one side, a host with pictures on the other."""

    def __init__(
        self, url: str, *, host: str, files: dict[str, web.Response | bytes], session: aiohttp.ClientSession
    ) -> None:
        self.url = url
        self.session = session
        self.host = host
        self.files = files
        self.photo_url = f"{host}/photo.jpg"
        self.red_url = f"{host}/red.png"

    async def post(self, method: str, fields: Document | str, **options: Any) -> tuple[int, str]:
        given: Document = {"headers": BEARER, "allow_redirects": False, "data": fields, **options}
        async with self.session.post(f"{self.url}/turbotext/api_ai/{method}", **given) as response:
            return response.status, await response.text()

    async def ask(self, method: str, fields: Document | str, **options: Any) -> Any:
        status, body = await self.post(method, fields, **options)
        assert status == 200, body
        return json.loads(body)

    async def create(self, method: str = "generate_image2image", **fields: Any) -> Any:
        given = {"url": self.photo_url} | ({"content": "Beach"} if method == "generate_image2image" else {}) | fields
        return await self.ask(method, {"do": "create_queue", **given})

    async def poll(self, queueid: Any, *, method: str = "generate_image2image") -> Any:
        return await self.ask(method, {"do": "get_result", "queueid": queueid})

    async def result(self, method: str = "generate_image2image", **fields: Any) -> Any:
        """The final answer to a new job, which is polled at once and again."""
        queueid = (await self.create(method, **fields))["queueid"]
        async with asyncio.timeout(10):
            while "action" in (answer := await self.poll(queueid, method=method)):
                pass
        return answer

    async def download(self, url: str, **options: Any) -> tuple[int, bytes, str]:
        async with self.session.get(url, allow_redirects=False, **options) as response:
            return response.status, await response.read(), response.content_type

    async def picture(self, method: str = "generate_image2image", **fields: Any) -> Image.Image:
        status, data, _ = await self.download((await self.result(method, **fields))["uploaded_image"])
        assert status == 200
        return opened(data)

    async def behave(self, name: str, *, times: int | None = None, match: Document | None = None, **given: Any) -> None:
        """Add a scenario in which polls may come as fast as a test can."""
        behaviour = {"name": name, "least_poll_seconds": 0, **given}
        document = {"match": match or {}, "behaviour": behaviour, "times": times}
        async with self.session.post(f"{self.url}/__emu/turbotext/scenario", json=document) as response:
            assert response.status == 201, await response.text()

    async def read(self, what: str) -> Any:
        """`requests`, `violations`, `turbotext/stats` or `turbotext/fetches`."""
        async with self.session.get(f"{self.url}/__emu/{what}") as response:
            assert response.status == 200
            return await response.json()

    async def violations(self) -> list[str]:
        return [violation["message"] for violation in await self.read("violations")]


@asynccontextmanager
async def opened_studio(**options: Any) -> AsyncIterator[Studio]:
    """Simulators with these options of `build_app`, and a host with two pictures."""
    files: dict[str, web.Response | bytes] = {"photo.jpg": PHOTO, "red.png": RED}

    async def serve(request: web.Request) -> web.StreamResponse:
        file = files[request.match_info["name"]]
        if isinstance(file, web.Response):
            return web.Response(status=file.status, headers=file.headers, body=file.body)
        return web.Response(body=file, content_type="image/png" if file.startswith(b"\x89PNG") else "image/jpeg")

    host_app = web.Application()
    host_app.add_routes([web.get("/{name}", serve)])
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
        serving(host_app) as host,
        serving(build_app(**options)) as served,
    ):
        yield Studio(served.url, host=host.url, files=files, session=session)


@pytest.fixture
async def studio(anyio_backend: str) -> AsyncIterator[Studio]:
    async with opened_studio() as studio:
        yield studio


def middle_of(picture: Image.Image) -> tuple[float, ...]:
    """The mean colour of the picture's middle, which shows the photo."""
    width, height = picture.size
    box = (width * 45 // 100, height * 45 // 100, width * 55 // 100, height * 55 // 100)
    return tuple(ImageStat.Stat(picture.convert("RGB").crop(box)).mean)


async def test_a_job_is_queued_polled_and_finished(studio: Studio) -> None:
    created = await studio.create(content="Beach", seed="42", strength="30")
    assert created == {"success": True, "queueid": 918_273}
    assert await studio.poll(918_273) == {"action": "reconnect"}
    await asyncio.sleep(1)
    answer = await studio.poll(918_273)
    assert (answer["success"], answer["error"]) == (True, "")
    assert answer["limits"] == {"foto_limit": 99_999, "text_limit": 300}
    data = answer["data"]
    assert (data["width"], data["height"], data["seed"], data["strength"]) == (600, 400, 42, 30)
    assert data["prompt"] == "Beach"
    status, picture, mime = await studio.download(answer["uploaded_image"])
    assert (status, mime, opened(picture).size) == (200, "image/jpeg", (600, 400))
    assert await studio.download(f"{studio.url}/turbotext/{data['image'][0]}") == (200, picture, mime)
    assert await studio.poll(918_273) == answer
    assert await studio.poll(918_273) == answer
    assert await studio.violations() == []


async def test_the_photo_is_visibly_changed_around_its_middle(studio: Studio) -> None:
    studio.files["photo.jpg"] = SAMPLE.read_bytes()
    await studio.behave("ok")
    changed = await studio.picture()
    assert changed.size == (1536, 1024)
    difference = ImageChops.difference(opened(SAMPLE.read_bytes()).convert("RGB").resize(changed.size), changed)
    assert max(ImageStat.Stat(difference.crop((700, 400, 850, 550))).mean) < 5
    assert max(ImageStat.Stat(difference.crop((40, 40, 240, 980))).mean) > 12


async def test_the_same_request_brings_the_same_picture_and_another_seed_another(studio: Studio) -> None:
    await studio.behave("ok")
    links = [(await studio.result(seed=seed))["uploaded_image"] for seed in ("1", "1", "2")]
    pictures = [(await studio.download(link))[1] for link in links]
    assert pictures[0] == pictures[1] != pictures[2]
    assert len(set(links)) == 3


async def test_mix_images_lays_the_colours_of_url_over_url_image_target(studio: Studio) -> None:
    await studio.behave("ok")
    plain = await studio.picture()
    mixed = await studio.picture("mix_images", url=studio.red_url, url_image_target=studio.photo_url)
    assert mixed.size == plain.size == (600, 400)
    before, after = middle_of(plain), middle_of(mixed)
    assert after == pytest.approx([(mean + red) / 2 for mean, red in zip(before, (230, 20, 20), strict=True)], abs=12)


async def test_deepfake_photo_sets_the_corner_of_url_image_target_into_url(studio: Studio) -> None:
    await studio.behave("ok")
    faked = await studio.picture("deepfake_photo", url=studio.photo_url, url_image_target=studio.red_url)
    assert faked.size == (600, 400)
    assert middle_of(faked) == pytest.approx((230, 20, 20), abs=12)


@pytest.mark.parametrize("second", [[], ["url_image_target"]])
async def test_object_replacement_is_called_as_told_and_may_have_a_second_picture(second: list[str]) -> None:
    async with opened_studio(object_replace_method="gemini_edit_image") as studio:
        await studio.behave("ok")
        given = dict.fromkeys(second, studio.red_url)
        picture = await studio.picture("gemini_edit_image", url=studio.photo_url, content="a hat", **given)
        assert (middle_of(picture) == pytest.approx((230, 20, 20), abs=12)) == bool(second)
        assert (await studio.post("object_replace", {"do": "create_queue"}))[0] == 404


async def test_the_data_of_each_method_is_as_documented(studio: Studio) -> None:
    await studio.behave("ok")
    two = {"url": studio.photo_url, "url_image_target": studio.photo_url}
    faked = (await studio.result("deepfake_photo", face_restore="True", **two))["data"]
    assert {name: faked[name] for name in ("forbidden_content", "face_restore")} == {
        "forbidden_content": "False",
        "face_restore": "True",
    }
    mixed = (await studio.result("mix_images", **two))["data"]
    assert set(mixed) == {"prompt", "width", "height", "seed", "strength", "pattern_prompt"}
    generated = (await studio.result())["data"]
    assert (generated["user_id"], generated["scale"], generated["original_language"]) == (1, 7.5, "ru")


async def test_available_api_lists_the_methods(studio: Studio) -> None:
    answer = await studio.ask("available_api", "")
    assert [method["name"] for method in answer["data"]["available_api"]] == [
        "object_replace",
        "generate_image2image",
        "mix_images",
        "deepfake_photo",
    ]
    assert await studio.violations() == []


async def test_each_job_costs_a_photo_until_none_is_left() -> None:
    async with opened_studio() as studio:
        await studio.behave("ok", reconnects=0, photos_left=3)
        assert (await studio.result())["limits"]["foto_limit"] == 3
        await studio.behave("ok", reconnects=0)
        assert [(await studio.result())["limits"]["foto_limit"] for _ in range(2)] == [99_998, 99_997]
        assert (await studio.read("turbotext/stats"))["billed"] == 3
