"""The Turbotext driver through the simulator's whole play: every behaviour, every method, and no violation."""

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import ClientSession, web
from PIL import Image as Pillow

from runner.driver import Accepted, Call, Image, Outcome, ProviderFailed
from runner.drivers import turbotext
from simulators.sample import SAMPLE
from simulators.server import build_app
from simulators.server import serving as serving_simulators
from simulators.turbotext import KEY as SIMULATOR_KEY
from simulators.turbotext_scenes import CATALOGUE
from tests.turbotext_calls import call, exchange


@pytest.fixture
async def http(anyio_backend: str) -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


class House:
    """The simulators, and a server with the pictures that the provider is to fetch."""

    def __init__(self, url: str, pictures: str, http: ClientSession) -> None:
        self.url = url
        self.base_url = f"{url}/turbotext"
        self.links = {role: f"{pictures}/{role}.jpg" for role in ("photo", "style", "face")}
        self._http = http

    def call(self, *, method: str = "mix_images", seconds: float = 10.0, **settings: Any) -> Call:
        given = {"prompt": "Studio portrait", **settings} if method == "generate_image2image" else settings
        key = given.pop("key", SIMULATOR_KEY)
        return replace(call(self.base_url, method=method, seconds=seconds, key=key, **given), links=self.links)

    async def play(self, name: str, *, times: int | None = None, **parameters: Any) -> None:
        behaviour = {"name": name, "reconnects": 0, "least_poll_seconds": 0, **parameters}
        document = {"behaviour": behaviour, "times": times}
        async with self._http.post(f"{self.url}/__emu/turbotext/scenario", json=document) as answer:
            assert answer.status == 201, await answer.text()

    async def read(self, what: str) -> Any:
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


@pytest.fixture
async def house(http: ClientSession) -> AsyncIterator[House]:
    async def picture(_request: web.Request) -> web.Response:
        return web.Response(body=SAMPLE.read_bytes(), content_type="image/jpeg")

    studio = web.Application()
    studio.add_routes([web.get("/{name}", picture)])
    async with serving_simulators(studio) as pictures, serving_simulators(build_app()) as simulators:
        house = House(simulators.url, pictures.url, http)
        yield house
        assert [found["message"] for found in await house.read("violations")] == []


GIVES_A_PICTURE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ok", {}),
    ("ok", {"reconnects": 3}),
    ("instant", {}),
    ("uploaded_image_in_data", {}),
    ("image_absolute_in_list", {}),
    ("image_relative_in_list", {}),
    ("queueid_as_text", {}),
    ("malformed_json", {}),
    ("malformed_json", {"at": "create_queue"}),
    ("python_quotes", {}),
    ("python_quotes", {"at": "create_queue"}),
    ("result_not_found_at_first", {"misses": 2}),
    ("result_needs_key", {}),
    ("slow_download", {"download_seconds": 0.5}),
    ("internal", {"at": "get_result", "polls": 2}),
    ("html_200", {"at": "get_result", "polls": 2}),
    ("unknown_status", {"polls": 2}),
    ("reset_before", {"at": "get_result", "polls": 2}),
    ("redirect_on_post", {"at": "get_result", "polls": 2}),
    ("error", {"at": "get_result", "polls": 2, "code": "provider_busy"}),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "parameters"), GIVES_A_PICTURE)
@pytest.mark.parametrize("method", list(turbotext.PICTURES))
async def test_the_simulator_gives_its_picture(
    house: House, method: str, name: str, parameters: dict[str, Any]
) -> None:
    await house.play(name, **parameters)
    image = await house.run(method=method)
    Pillow.open(io.BytesIO(image.data)).load()
    assert image.receipt.usage is not None
    assert image.receipt.usage["photo_credits_left"] > 0
    assert (await house.read("turbotext/stats"))["billed"] == 1


FAILS_AT_SUBMIT: tuple[tuple[str, dict[str, Any], Outcome, bool], ...] = (
    ("error", {"code": "params_error"}, Outcome.INVALID_REQUEST, False),
    ("error", {"code": "LIMIT"}, Outcome.QUOTA_EXHAUSTED, False),
    ("error", {"code": "url_error"}, Outcome.INVALID_REQUEST, False),
    ("error", {"code": "size_error"}, Outcome.INVALID_REQUEST, False),
    ("error", {"code": "quality_limit"}, Outcome.INVALID_REQUEST, False),
    ("error", {"code": "face_not_detected"}, Outcome.INVALID_REQUEST, False),
    ("error", {"code": "face_not_found"}, Outcome.INVALID_REQUEST, False),
    ("error", {"code": "provider_busy"}, Outcome.PROVIDER_UNAVAILABLE, True),
    ("error", {"code": "что-то новое"}, Outcome.INVALID_REQUEST, False),
    ("unauthorized", {}, Outcome.AUTH, False),
    ("forbidden", {}, Outcome.AUTH, False),
    ("internal", {}, Outcome.AMBIGUOUS, False),
    ("html_200", {}, Outcome.BAD_RESPONSE, False),
    ("redirect_on_post", {}, Outcome.BAD_RESPONSE, False),
    ("echo_key_error", {}, Outcome.INVALID_REQUEST, False),
    ("reset_before", {}, Outcome.AMBIGUOUS, False),
    ("reset_after_create", {}, Outcome.AMBIGUOUS, False),
    ("queueid_null", {}, Outcome.BAD_RESPONSE, False),
    ("queueid_negative", {}, Outcome.BAD_RESPONSE, False),
    ("unknown_status", {"at": "create_queue"}, Outcome.BAD_RESPONSE, False),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "parameters", "outcome", "repeatable"), FAILS_AT_SUBMIT)
async def test_every_way_to_refuse_a_photo_has_its_outcome(
    house: House, http: ClientSession, name: str, parameters: dict[str, Any], outcome: Outcome, repeatable: bool
) -> None:
    await house.play(name, **parameters)
    with pytest.raises(ProviderFailed) as caught:
        await turbotext.submit(house.call(), http)
    error = caught.value
    assert (error.outcome, error.repeatable) == (outcome, repeatable)
    assert error.receipt.model == "turbotext"
    assert SIMULATOR_KEY not in f"{error} {error.receipt}"
    assert error.reason.isprintable()


FAILS_LATER: tuple[tuple[str, dict[str, Any], Outcome, bool], ...] = (
    ("forbidden_content", {}, Outcome.CONTENT_BLOCKED, False),
    ("forbidden_content", {"written": "text"}, Outcome.CONTENT_BLOCKED, False),
    ("success_without_result", {}, Outcome.NO_IMAGE, False),
    ("error", {"at": "get_result", "code": "face_not_found"}, Outcome.INVALID_REQUEST, False),
    ("error", {"at": "get_result", "code": "LIMIT"}, Outcome.QUOTA_EXHAUSTED, False),
    ("error", {"at": "get_result", "code": "provider_busy"}, Outcome.PROVIDER_UNAVAILABLE, True),
    ("unauthorized", {"at": "get_result"}, Outcome.AUTH, False),
    ("forbidden", {"at": "get_result"}, Outcome.AUTH, False),
    ("echo_key_error", {"at": "get_result"}, Outcome.INVALID_REQUEST, False),
    ("internal", {"at": "get_result"}, Outcome.PROVIDER_UNAVAILABLE, True),
    ("html_200", {"at": "get_result"}, Outcome.BAD_RESPONSE, True),
    ("redirect_on_post", {"at": "get_result"}, Outcome.BAD_RESPONSE, True),
    ("unknown_status", {}, Outcome.BAD_RESPONSE, True),
    ("reset_before", {"at": "get_result"}, Outcome.NETWORK, True),
    ("result_not_found_at_first", {"misses": 99}, Outcome.BAD_RESPONSE, True),
    ("result_gone", {}, Outcome.BAD_RESPONSE, False),
    ("ok", {"lifetime_seconds": 0}, Outcome.BAD_RESPONSE, False),
    ("result_huge", {}, Outcome.BAD_RESPONSE, False),
    ("result_elsewhere", {}, Outcome.BAD_RESPONSE, False),
    ("result_elsewhere", {"redirect": True}, Outcome.BAD_RESPONSE, False),
    ("result_elsewhere", {"url": "http://[::ffff:169.254.169.254]/"}, Outcome.BAD_RESPONSE, False),
    ("result_elsewhere", {"url": "https://2130706433/x", "redirect": True}, Outcome.BAD_RESPONSE, False),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "parameters", "outcome", "repeatable"), FAILS_LATER)
async def test_every_way_to_fail_later_has_its_outcome(
    house: House, name: str, parameters: dict[str, Any], outcome: Outcome, repeatable: bool
) -> None:
    await house.play(name, **parameters)
    with pytest.raises(ProviderFailed) as caught:
        await house.run()
    error = caught.value
    assert (error.outcome, error.repeatable) == (outcome, repeatable)
    assert SIMULATOR_KEY not in f"{error} {error.receipt}"
    assert error.reason.isprintable()
    assert (await house.read("turbotext/stats"))["billed"] == 1


UNCHECKED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("result_not_a_picture", {}),
    ("result_not_a_picture", {"declared": "image/jpeg"}),
    ("result_cut", {}),
    ("result_bomb", {"kind": "png_header"}),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "parameters"), UNCHECKED)
async def test_what_is_no_picture_is_handed_on_for_the_check_that_decodes(
    house: House, name: str, parameters: dict[str, Any]
) -> None:
    await house.play(name, **parameters)
    assert (await house.run()).data


SLOW: tuple[tuple[str, dict[str, Any]], ...] = (
    ("silent", {}),
    ("silent", {"at": "get_result"}),
    ("endless_reconnect", {}),
    ("slow", {}),
    ("slow_download", {}),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "parameters"), SLOW)
async def test_no_behaviour_outlasts_the_deadline(house: House, name: str, parameters: dict[str, Any]) -> None:
    await house.play(name, **parameters)
    started = asyncio.get_running_loop().time()
    with pytest.raises(ProviderFailed) as caught:
        await house.run(seconds=0.8)
    assert (caught.value.outcome, caught.value.repeatable) == (Outcome.TIMEOUT, False)
    assert asyncio.get_running_loop().time() - started < 1.3


def test_no_behaviour_of_the_simulator_is_left_out() -> None:
    tables = (GIVES_A_PICTURE, FAILS_AT_SUBMIT, FAILS_LATER, UNCHECKED, SLOW)
    assert {name for table in tables for name, *_ in table} == set(CATALOGUE)


@pytest.mark.anyio
async def test_the_provider_fetches_the_photo_and_the_template_from_their_own_links(house: House) -> None:
    await house.play("ok")
    for method, wanted in turbotext.PICTURES.items():
        await house.run(method=method)
        fetched = await house.read("turbotext/fetches")
        assert {one["parameter"]: one["url"] for one in fetched if one["method"] == method} == {
            name: house.links[role] for name, role in wanted.items()
        }


@pytest.mark.anyio
async def test_everything_providers_json_offers_is_taken(house: House) -> None:
    await house.play("ok")
    for settings in (
        {"strength": 0, "seed": 1, "scale": 0.1, "negative_prompt": "b " * 80, "original_language": "en"},
        {"strength": 80, "seed": 10**10, "scale": 20, "original_language": "ru"},
        {"strength": 80.0, "seed": 1e10, "scale": 20.0, "negative_prompt": ""},
    ):
        assert (await house.run(method="generate_image2image", **settings)).data
    for face_restore in (True, False):
        assert (await house.run(method="deepfake_photo", face_restore=face_restore)).data
    assert (await house.run(method="mix_images", prompt="Ван Гог")).data


@pytest.mark.anyio
async def test_a_photo_that_the_provider_cannot_fetch_is_told_as_such(house: House, http: ClientSession) -> None:
    nowhere = replace(house.call(), links={**house.links, "photo": "http://127.0.0.1:9/x.jpg"})
    with pytest.raises(ProviderFailed) as caught:
        await turbotext.submit(nowhere, http)
    assert (caught.value.outcome, caught.value.repeatable) == (Outcome.INVALID_REQUEST, False)
    assert "the provider could not fetch our picture" in caught.value.reason


@pytest.mark.anyio
async def test_the_methods_of_a_key_are_listed_free_of_charge(house: House, http: ClientSession) -> None:
    listed = await turbotext.methods(house.base_url, key=SIMULATOR_KEY, http=http)
    assert set(turbotext.PICTURES) <= {method.name for method in listed}
    assert all(method.description for method in listed)
    assert (await house.read("turbotext/stats"))["billed"] == 0
    with pytest.raises(ProviderFailed) as caught:
        await turbotext.methods(house.base_url, key="another-key", http=http)
    assert caught.value.outcome is Outcome.AUTH


@pytest.mark.anyio
async def test_sixteen_jobs_at_once_do_not_disturb_each_other(house: House) -> None:
    await house.play("ok")
    await house.play("error", times=5, code="provider_busy")
    ended = await asyncio.gather(*(house.run(seconds=90) for _ in range(16)), return_exceptions=True)
    assert sum(isinstance(one, ProviderFailed) for one in ended) == 5
    assert sum(isinstance(one, Image) for one in ended) == 11


@pytest.mark.anyio
async def test_a_job_is_taken_up_by_its_reference_alone(house: House, http: ClientSession) -> None:
    """A runner that knows nothing of the submit: what was bought is not bought again."""
    accepted = await turbotext.submit(house.call(), http)
    assert isinstance(accepted, Accepted)
    await asyncio.sleep(0.1)
    async with ClientSession() as another:
        polls = 0
        while not isinstance(await turbotext.poll(exchange(house.call()), accepted.reference, another), Image):
            polls += 1
            await asyncio.sleep(1.0)
    assert polls == 1
    assert (await house.read("turbotext/stats"))["billed"] == 1
