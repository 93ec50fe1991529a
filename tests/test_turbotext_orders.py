"""What an order to Turbotext consists of, through the simulator: links, settings, methods, and its reference alone."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import ClientSession

from runner.driver import Accepted, Image, Outcome, ProviderFailed
from runner.drivers import turbotext
from simulators.turbotext import KEY as SIMULATOR_KEY
from tests.turbotext_calls import exchange
from tests.turbotext_house import House, opened_house


@pytest.fixture
async def http(anyio_backend: str) -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@pytest.fixture
async def house(http: ClientSession) -> AsyncIterator[House]:
    async with opened_house(http) as house:
        yield house


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
