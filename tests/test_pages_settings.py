"""The settings page: all of a form or nothing, and nobody's work overwritten unseen."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from photochanger.providers import Providers
from tests.serving import Api, serve_api, settings_for
from tests.settings_page import BUDGET, GEMINI, now, save, send, shown, toast, told

pytestmark = pytest.mark.anyio


@pytest.fixture
async def api(database_url: str, tmp_path: Path, known_providers: Providers, anyio_backend: str) -> AsyncIterator[Api]:
    settings = settings_for(tmp_path, database_url, GEMINI_API_KEY="from-the-environment-7890")
    async with serve_api(settings, known_providers, database_url) as api:
        yield api


async def test_the_page_shows_all_that_the_api_has(api: Api, http: httpx.AsyncClient) -> None:
    page = await shown(http, api)
    for name in (
        *("sync_response_seconds", "result_ttl_hours", "ingest.hash_check", "photos_in_work_per_slot", "gallery_size"),
        *("ingest_password_grace_minutes", "ingest_password", "key", f"{BUDGET}usd_per_month", f"{BUDGET}stop"),
        *(f"{GEMINI}{limit}" for limit in ("in_flight", "per_minute", "per_day")),
    ):
        assert f'name="{name}"' in page, name
    for said in ("из окружения сервера", "…7890", "Очистить мультимедиа кеш", "Кто что менял", "сколько стоят"):
        assert said in page
    assert "from-the-environment" not in page


async def test_a_form_is_saved_as_a_whole_or_not_at_all(api: Api, http: httpx.AsyncClient) -> None:
    answer = await save(http, api, "photos", {"gallery_size": ("10", "20"), "result_ttl_hours": ("72", "24")})
    assert toast(answer) == "Сохранено"
    assert 'id="photos-form"' in answer.text
    assert 'id="deadline-form"' not in answer.text, "what is typed in other forms stays"
    found = await now(api)
    assert (found.gallery_size, found.result_ttl_hours) == (20, 24)
    wrong = await save(http, api, "photos", {"gallery_size": ("20", "51"), "result_ttl_hours": ("24", "5")})
    assert 'id="wrong-gallery_size"' in wrong.text
    assert "Целое число от 1 до 50" in wrong.text
    assert 'name="result_ttl_hours" value="5"' in wrong.text, "what was typed stays"
    assert (await now(api)).result_ttl_hours == 24


@pytest.mark.parametrize("typed", ["9", "61", "48.5", "48,0", "", "много", "1e9", "1000000000", "NaN", "-48", "true"])
async def test_a_deadline_that_cannot_be_is_told_at_its_field(api: Api, http: httpx.AsyncClient, typed: str) -> None:
    answer = await save(http, api, "deadline", {"sync_response_seconds": ("48", typed)})
    assert 'id="wrong-sync_response_seconds"' in answer.text
    assert "Целое число от 10 до 60" in answer.text
    assert "hx-trigger" not in answer.headers
    assert ((await now(api)).sync_response_seconds, await told(api)) == (48, [])


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        (f"{GEMINI}in_flight", "0", "Целое число от 1 до 1000000"),
        (f"{GEMINI}per_day", "2.5", "Целое число от 1 до 1000000"),
        (f"{BUDGET}usd_per_month", "0", "Число больше 0 и до 1000000"),
        (f"{BUDGET}usd_per_month", "-5", "Число больше 0 и до 1000000"),
        (f"{BUDGET}usd_per_month", "NaN", "Число больше 0 и до 1000000"),
        (f"{BUDGET}usd_per_month", "1e9", "Число больше 0 и до 1000000"),
        (f"{BUDGET}usd_per_month", "много", "Число больше 0 и до 1000000"),
    ],
)
async def test_limits_and_budgets_that_cannot_be_are_told_at_their_fields(
    api: Api, http: httpx.AsyncClient, field: str, typed: str, said: str
) -> None:
    other = f"{GEMINI}per_minute"
    answer = await save(http, api, "limits-gemini", {field: ("", typed), other: ("", "30")})
    assert f'id="wrong-{field}"' in answer.text
    assert said in answer.text
    found = await now(api)
    assert (found.provider_limits, found.provider_budgets) == ({}, {})


async def test_limits_and_a_budget_are_set_and_taken_back(api: Api, http: httpx.AsyncClient) -> None:
    usd, stop, calls = f"{BUDGET}usd_per_month", f"{BUDGET}stop", f"{GEMINI}in_flight"
    answer = await save(http, api, "limits-gemini", {usd: ("", "12,5"), stop: ("", "1"), calls: ("", "7")})
    assert toast(answer) == "Сохранено"
    assert "потрачено 0,00\xa0$ из 12,50\xa0$" in answer.text
    found = await now(api)
    assert found.provider_budgets == {"gemini": {"usd_per_month": 12.5, "stop": True}}
    assert found.provider_limits == {"gemini": {"in_flight": 7}}
    # A switch that is off sends nothing but what it was.
    await send(http, api, "", {"form": "limits-gemini", f"was.{stop}": "1", f"was.{usd}": "12.5", usd: "12.5"})
    assert (await now(api)).provider_budgets == {"gemini": {"usd_per_month": 12.5, "stop": False}}
    await save(http, api, "limits-gemini", {usd: ("12.5", ""), calls: ("7", "")})
    found = await now(api)
    assert (found.provider_budgets, found.provider_limits) == ({}, {})


async def test_a_stop_without_a_budget_asks_for_one(api: Api, http: httpx.AsyncClient) -> None:
    usd, stop = f"{BUDGET}usd_per_month", f"{BUDGET}stop"
    answer = await save(http, api, "limits-gemini", {usd: ("", ""), stop: ("", "1")})
    assert f'id="wrong-{usd}"' in answer.text
    assert f'name="{stop}" value="1" checked' in answer.text
    assert (await now(api)).provider_budgets == {}


async def test_the_budget_of_another_provider_is_left_alone(api: Api, http: httpx.AsyncClient) -> None:
    openai = "providers.budgets.openai.usd_per_month"
    await save(http, api, "limits-openai", {openai: ("", "5")})
    await save(http, api, "limits-gemini", {f"{BUDGET}usd_per_month": ("", "10")})
    assert set((await now(api)).provider_budgets) == {"gemini", "openai"}


async def test_of_two_who_change_the_same_field_the_second_is_told(api: Api, http: httpx.AsyncClient) -> None:
    form = {"form": "deadline", "was.sync_response_seconds": "48", "sync_response_seconds": "40"}
    await send(http, api, "", form, account="igor")
    late = await send(http, api, "", {**form, "sync_response_seconds": "55"})
    assert "igor тем временем уже изменил(а) это на «40»" in late.text
    assert 'name="was.sync_response_seconds" value="40"' in late.text
    assert (
        'name="sync_response_seconds" min="10" max="60" step="1" required inputmode="numeric" value="55"' in late.text
    )
    assert (await now(api)).sync_response_seconds == 40
    again = await send(http, api, "", {**form, "was.sync_response_seconds": "40", "sync_response_seconds": "55"})
    assert toast(again) == "Сохранено"
    assert (await now(api)).sync_response_seconds == 55


async def test_who_has_not_touched_a_field_does_not_take_it_back(api: Api, http: httpx.AsyncClient) -> None:
    await save(http, api, "photos", {"gallery_size": ("10", "30")})
    answer = await save(http, api, "photos", {"gallery_size": ("10", "10"), "photos_in_work_per_slot": ("3", "5")})
    assert toast(answer) == "Сохранено"
    found = await now(api)
    assert (found.gallery_size, found.photos_in_work_per_slot) == (30, 5)
    assert 'name="gallery_size" value="30"' in answer.text
