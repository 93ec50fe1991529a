"""The statistics over HTTP: for administrators only, in the contract's shapes, and rubbish is named."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_schema_validator import OAS31Validator
from sqlalchemy import func, insert, update

from api.contract import document
from photochanger import app_settings, budgets, window
from photochanger.providers import CallLimits, Providers
from photochanger.tables import slot, storage_figure
from tests import figure_rows
from tests.administrators import bearer
from tests.figure_rows import MadeAttempt, MadeJob, count, hour_of
from tests.results import finished_job
from tests.serving import Api

pytestmark = pytest.mark.anyio

WINDOWS: list[dict[str, int]] = [{"days": 366}, {}, {"window_minutes": 5}, {"window_minutes": 43_200}]
PATHS = ["overview", "global", "slot-001", "export.csv"]


def check(body: Any, name: str) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document()["components"]}
    Draft202012Validator(schema, format_checker=OAS31Validator.FORMAT_CHECKER).validate(body)


async def get(api: Api, http: httpx.AsyncClient, what: str, **parameters: str | int) -> httpx.Response:
    return await http.get(f"{api.url}/api/stats/{what}", params=parameters, headers=await bearer(api))


async def body_of(api: Api, http: httpx.AsyncClient, what: str, **parameters: str | int) -> Any:
    answer = await get(api, http, what, **parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


async def filled(api: Api, *, jobs: int = 200, days: float = 3) -> tuple[datetime, list[MadeJob]]:
    now = await figure_rows.now(api.db)
    made = figure_rows.many(jobs, start=now - timedelta(days=days), until=now)
    await figure_rows.write(api.db, made)
    return now, made


@pytest.mark.parametrize("what", PATHS)
async def test_strangers_see_no_figures(api: Api, http: httpx.AsyncClient, what: str) -> None:
    answer = await http.get(f"{api.url}/api/stats/{what}")
    assert (answer.status_code, answer.json()["failure_reason"]) == (401, "login_required")


async def test_the_overview_has_the_promised_keys(api: Api, http: httpx.AsyncClient) -> None:
    _, made = await filled(api)
    async with api.db.begin() as conn:
        rows = [{"name": "results", "bytes": 956_825_395}, {"name": "database", "bytes": 10**12}]
        await conn.execute(insert(storage_figure).values(measured_at=func.now()), rows)
    body = await body_of(api, http, "overview", window_minutes=1440)
    check(body, "StatsOverview")
    booths = [one for one in made if one.source == "ingest"]
    system = body["system"]
    assert body["window_minutes"] == 1440
    assert system["jobs_total"] == len(booths)
    assert system["storage_usage_mb"] == 912.5
    assert system["jobs_last_window"] == sum(one["jobs_last_window"] for one in body["slots"])
    assert system["timeouts_last_window"] <= count(booths, "timeout")
    assert {"jobs_last_window", "timeouts_last_window", "provider_errors_last_window"} <= set(system)
    first = body["slots"][0]
    assert first["slot_id"] == "slot-001"
    assert first["display_name"] == "Slot 1 (Gemini)"
    assert len(body["slots"]) == 15


async def test_statistics_have_the_promised_shapes_whatever_they_are_read_from(
    api: Api, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, made = await filled(api)
    await figure_rows.roll(api.db, made, until=hour_of(now))
    await finished_job(api)
    for most in (20_000, 0):
        monkeypatch.setattr(window, "MOST_JOBS_BY_ROW", most)
        for parameters in WINDOWS:
            everything = await body_of(api, http, "global", tz="Europe/Moscow", **parameters)
            check(everything, "StatsGlobal")
            one = await body_of(api, http, "slot-001", **parameters)
            check(one, "StatsSlot")
            check(await body_of(api, http, "overview", **parameters), "StatsOverview")
            assert one["totals"]["jobs"] <= everything["totals"]["jobs"]
            assert sum(point["jobs"] for point in everything["series"]) == everything["totals"]["jobs"]
        assert everything["exact_percentiles"] is (most > 0)
    assert everything["timezone"] == "Europe/Moscow"


async def test_an_empty_studio_has_empty_figures(api: Api, http: httpx.AsyncClient) -> None:
    check(await body_of(api, http, "overview"), "StatsOverview")
    check(await body_of(api, http, "global"), "StatsGlobal")
    body = await body_of(api, http, "slot-015")
    check(body, "StatsSlot")
    assert body["totals"]["success_share"] is None
    assert (body["totals"]["cost_usd"], body["last_results"], body["reasons"]) == (0, [], [])


async def test_a_slots_last_results_have_links_that_work(api: Api, http: httpx.AsyncClient) -> None:
    job_id, picture = await finished_job(api)
    (last,) = (await body_of(api, http, "slot-001"))["last_results"]
    assert last["job_id"] == job_id
    assert (await http.get(last["result_url"])).content == picture
    assert (await http.get(last["preview_url"])).status_code == 200


async def test_test_runs_are_in_no_figure_but_their_own(api: Api, http: httpx.AsyncClient) -> None:
    now = await figure_rows.now(api.db)
    paid = MadeAttempt(provider="gemini", model="one", seconds=2.0, outcome="ok", cost_usd=Decimal("0.5"))
    test = MadeJob(created_at=now - timedelta(minutes=2), source="ui_test", attempts=(paid,))
    await figure_rows.write(api.db, [test, replace(test, status="failed", reason="no_image")])
    everything = await body_of(api, http, "global")
    assert everything["totals"] == {**everything["totals"], "jobs": 0, "attempts": 0, "cost_usd": 0}
    assert (everything["reasons"], everything["providers"]) == ([], [])
    assert everything["test_runs"] == {"jobs": 2, "ok": 1, "timeouts": 0, "errors": 1, "cost_usd": 1.0}
    overview = await body_of(api, http, "overview")
    assert (overview["system"]["jobs_total"], overview["test_runs"]["jobs"]) == (0, 2)
    assert overview["slots"][0]["last_success_at"] is None
    assert overview["slots"][0]["last_error_reason"] is None


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        *(
            ({"window_minutes": rubbish}, "window_minutes")
            for rubbish in (
                "4",
                "43201",
                "0",
                "-60",
                "60.0",
                "1e2",
                "sixty",
                " 60",
                "６０",
                "99999999999",
                "NaN",
                "0x20",
            )
        ),
        *(({"days": rubbish}, "days") for rubbish in ("0", "367", "1.5", "all")),
        ({"days": "1", "window_minutes": "60"}, "days"),
        *(
            ({"tz": rubbish}, "tz")
            for rubbish in (
                "Moscow",
                "Europe/Atlantis",
                "../../etc/passwd",
                "/etc/localtime",
                "Europe",
                "x" * 5000,
                "UTC'--",
                "%00",
            )
        ),
    ],
)
async def test_a_window_that_makes_no_sense_is_named(
    api: Api, http: httpx.AsyncClient, parameters: dict[str, str], field: str
) -> None:
    for what in ("global", "slot-001", "overview"):
        answer = await get(api, http, what, **parameters)
        assert (answer.status_code, answer.json()["failure_reason"]) == (422, "validation_failed")
        assert list(answer.json()["fields"]) == [field]
        check(answer.json(), "Refusal")


async def test_parameters_that_are_empty_count_as_not_given(api: Api, http: httpx.AsyncClient) -> None:
    assert (await body_of(api, http, "global", window_minutes="", tz="", days=""))["window_minutes"] == 60


@pytest.mark.parametrize("slot_id", ["slot-016", "slot-000", "slot-1", "SLOT-001", "nothing", "slot-001%00"])
async def test_an_unknown_slot_has_no_statistics(api: Api, http: httpx.AsyncClient, slot_id: str) -> None:
    answer = await get(api, http, slot_id)
    assert (answer.status_code, answer.json()["failure_reason"]) == (404, "slot_not_found")


async def test_budgets_are_told_in_both(api: Api, http: httpx.AsyncClient) -> None:
    now = await figure_rows.now(api.db)
    paid = MadeAttempt(provider="gemini", model="one", seconds=2.0, outcome="ok", cost_usd=Decimal("42.5"))
    await figure_rows.write(api.db, [MadeJob(created_at=now, attempts=(paid,))])
    async with api.db.begin() as conn:
        given = {"gemini": {"usd_per_month": 50, "stop": True}, "openai": {"usd_per_month": 1}}
        await app_settings.store(conn, budgets.NAME, given, by="test")
    expected = [
        {"provider": "gemini", "usd_spent": 42.5, "usd_limit": 50, "share": 0.85, "state": "warning", "stop": True},
        {"provider": "openai", "usd_spent": 0, "usd_limit": 1, "share": 0, "state": "ok", "stop": False},
    ]
    assert (await body_of(api, http, "overview"))["budgets"] == expected
    assert (await body_of(api, http, "global"))["budgets"] == expected


async def test_the_days_limits_are_told(api: Api, http: httpx.AsyncClient, known_providers: Providers) -> None:
    limits = CallLimits(in_flight=None, per_minute=None, per_day=10, day_zone="UTC")
    limited = Providers({"gemini": replace(known_providers.by_name["gemini"], limits=limits)})
    object.__setattr__(api.services, "providers", limited)
    body = await body_of(api, http, "global")
    check(body, "StatsGlobal")
    (limit,) = body["daily_limits"]
    assert (limit["provider"], limit["per_day"], limit["used_today"], limit["reaches_limit_at"]) == (
        "gemini",
        10,
        0,
        None,
    )
    assert datetime.fromisoformat(limit["day_ends_at"]) > datetime.now(UTC)


async def test_a_name_of_the_slot_is_shown_as_it_was_given(api: Api, http: httpx.AsyncClient) -> None:
    name = "<b>Студия «1»</b> {{7*7}}"
    async with api.db.begin() as conn:
        await conn.execute(update(slot).where(slot.c.slot_id == "slot-001").values(display_name=name))
    assert (await body_of(api, http, "slot-001"))["display_name"] == name
    assert (await body_of(api, http, "overview"))["slots"][0]["display_name"] == name


async def test_many_may_ask_at_once(api: Api, http: httpx.AsyncClient) -> None:
    await filled(api, jobs=50)
    answers = await asyncio.gather(*(get(api, http, what) for what in PATHS * 4))
    assert [answer.status_code for answer in answers] == [200] * 16
