"""Turbotext's simulator with pictures to fetch, and jobs taken through it as a runner takes them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from aiohttp import ClientSession, web

from runner.driver import Call, Image, ProviderFailed
from runner.drivers import turbotext
from simulators.sample import SAMPLE
from simulators.server import build_app
from simulators.server import serving as serving_simulators
from simulators.turbotext import KEY as SIMULATOR_KEY
from tests.turbotext_calls import call, exchange


class House:
    """The simulators, and a server with the pictures that the provider is to fetch."""

    def __init__(self, url: str, pictures: str, http: ClientSession) -> None:
        self.url = url
        self.base_url = f"{url}/turbotext"
        self.links = {role: f"{pictures}/{role}.jpg" for role in ("photo", "style", "face")}
        self._http = http

    def call(self, *, method: str = "mix_images", seconds: float = 10.0, **settings: Any) -> Call:
        """An order to this provider."""
        given = {"prompt": "Studio portrait", **settings} if method == "generate_image2image" else settings
        key = given.pop("key", SIMULATOR_KEY)
        return replace(call(self.base_url, method=method, seconds=seconds, key=key, **given), links=self.links)

    async def play(self, name: str, *, times: int | None = None, **parameters: Any) -> None:
        """Have the simulator behave like this."""
        behaviour = {"name": name, "reconnects": 0, "least_poll_seconds": 0, **parameters}
        document = {"behaviour": behaviour, "times": times}
        async with self._http.post(f"{self.url}/__emu/turbotext/scenario", json=document) as answer:
            assert answer.status == 201, await answer.text()

    async def read(self, what: str) -> Any:
        """What the simulators tell of themselves."""
        async with self._http.get(f"{self.url}/__emu/{what}") as answer:
            return await answer.json()

    async def run(self, **given: Any) -> Image:
        """A job from its start to its picture, as the runner would take it; repeatable polls are repeated thrice."""
        ordered = self.call(**given)
        accepted = await turbotext.submit(ordered, self._http)
        repeats = 0
        while True:
            seconds = ordered.deadline - asyncio.get_running_loop().time()
            try:
                answer = await turbotext.poll(exchange(ordered, seconds=seconds), accepted.reference, self._http)
            except ProviderFailed as failed:
                repeats += 1
                if not failed.repeatable or repeats > 3:
                    raise
                continue
            if isinstance(answer, Image):
                return answer


@asynccontextmanager
async def opened_house(http: ClientSession) -> AsyncIterator[House]:
    """Its end is a look for violations."""

    async def picture(_request: web.Request) -> web.Response:
        return web.Response(body=SAMPLE.read_bytes(), content_type="image/jpeg")

    studio = web.Application()
    studio.add_routes([web.get("/{name}", picture)])
    async with serving_simulators(studio) as pictures, serving_simulators(build_app()) as simulators:
        house = House(simulators.url, pictures.url, http)
        yield house
        assert [found["message"] for found in await house.read("violations")] == []
