"""Monthly budgets: what a month has cost, told in time, and with `stop` nothing more is bought."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text, update

from photochanger import app_settings, budgets
from photochanger.budgets import Budget
from photochanger.db import Database
from photochanger.providers import CallLimits, Provider, Providers
from photochanger.tables import job, job_attempt, processing_log, slot
from runner import spent_budgets
from runner.driver import ProviderFailed
from runner.spent_budgets import SpentBudgets
from simulators.server import serving
from tests import figure_rows
from tests.booths import photo_bytes, post_photo
from tests.figure_rows import MadeAttempt, MadeJob, hour_of
from tests.serving import Api, running, settings_for

pytestmark = pytest.mark.anyio

PHOTO = photo_bytes()


def paid(usd: str, *, provider: str = "gemini") -> MadeAttempt:
    return MadeAttempt(provider=provider, model="one", seconds=3.0, outcome="ok", cost_usd=Decimal(usd))


def in_zone(provider: Provider, zone: str) -> Provider:
    return replace(provider, limits=CallLimits(in_flight=None, per_minute=None, per_day=None, day_zone=zone))


async def set_budgets(db: Database, **by_provider: Any) -> None:
    async with db.begin() as conn:
        await app_settings.store(conn, budgets.NAME, by_provider, by="test")


async def month_usd(db: Database, provider: Provider) -> Decimal:
    async with db.begin() as conn:
        return await budgets.month_usd(conn, provider)


async def test_a_month_costs_what_all_its_attempts_have_cost(db: Database, known_providers: Providers) -> None:
    now = await figure_rows.now(db)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    inside = MadeJob(created_at=max(month, now - timedelta(seconds=2)), attempts=(paid("0.25"), paid("0.5")))
    await figure_rows.write(
        db,
        [
            inside,
            replace(inside, source="ui_test", attempts=(paid("1"),)),
            replace(inside, status="failed", reason="no_image", attempts=(replace(paid("2"), outcome="no_image"),)),
            replace(inside, attempts=(paid("64", provider="openai"),)),
            replace(inside, created_at=month - timedelta(seconds=1), attempts=(paid("32"),)),
        ],
    )
    assert await month_usd(db, known_providers.by_name["gemini"]) == Decimal("3.75")


async def test_rolled_hours_of_the_month_count_once(db: Database, known_providers: Providers) -> None:
    now = await figure_rows.now(db)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    made = [
        MadeJob(created_at=month + (now - month) * share, attempts=(paid("0.5"),)) for share in (0.0, 0.3, 0.6, 0.999)
    ] + [MadeJob(created_at=month - timedelta(hours=hours), attempts=(paid("8"),)) for hours in (1, 30)]
    await figure_rows.write(db, made)
    assert await month_usd(db, known_providers.by_name["gemini"]) == Decimal(2)
    await figure_rows.roll(db, made, until=hour_of(now))
    assert await month_usd(db, known_providers.by_name["gemini"]) == Decimal(2)
    await figure_rows.forget_rows(db, before=hour_of(now))
    assert await month_usd(db, known_providers.by_name["gemini"]) == Decimal(2)


async def test_the_month_turns_where_the_providers_days_turn(db: Database, known_providers: Providers) -> None:
    gemini = known_providers.by_name["gemini"]
    now = await figure_rows.now(db)
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        async with db.begin() as conn:
            begins = (await conn.execute(select(budgets._MONTH.params(zone=zone)))).scalar_one()
        await figure_rows.write(
            db,
            [
                MadeJob(created_at=begins, attempts=(paid("1", provider=zone),)),
                MadeJob(created_at=begins - timedelta(seconds=1), attempts=(paid("4", provider=zone),)),
            ],
        )
        assert await month_usd(db, in_zone(replace(gemini, name=zone), zone)) == 1
        assert begins <= now


@pytest.mark.parametrize(
    ("spent", "state", "stop", "forbids"),
    [
        ("39.99", "ok", True, False),
        ("40", "warning", True, False),
        ("49.999999", "warning", True, False),
        ("50", "spent", True, True),
        ("50", "spent", False, False),
        ("70", "spent", True, True),
    ],
)
def test_a_budget_warns_from_four_fifths_on_and_stops_only_where_it_shall(
    spent: str, state: str, stop: bool, forbids: bool
) -> None:
    budget = Budget(provider="gemini", usd_spent=Decimal(spent), usd_limit=Decimal(50), stop=stop)
    assert (budget.state, budget.forbids) == (state, forbids)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ([], "providers.budgets"),
        (None, "providers.budgets"),
        ({"nobody": {"usd_per_month": 1}}, "providers.budgets.nobody"),
        ({"turbotext": {"usd_per_month": 1}}, "providers.budgets.turbotext"),
        ({"gemini": 50}, "providers.budgets.gemini"),
        *(
            ({"gemini": {"usd_per_month": limit}}, "providers.budgets.gemini.usd_per_month")
            for limit in (0, -1, True, "50", None, float("nan"), float("inf"), 1e9)
        ),
        ({"gemini": {}}, "providers.budgets.gemini.usd_per_month"),
        ({"gemini": {"usd_per_month": 1, "stop": "yes"}}, "providers.budgets.gemini.stop"),
        ({"gemini": {"usd_per_month": 1, "per_day": 1}}, "providers.budgets.gemini.per_day"),
    ],
)
def test_a_budget_that_cannot_be_kept_is_named(known_providers: Providers, value: Any, field: str) -> None:
    assert list(budgets.mistakes(value, known_providers)) == [field]


def test_good_budgets_have_no_mistakes(known_providers: Providers) -> None:
    good = {"gemini": {"usd_per_month": 50, "stop": True}, "openai": {"usd_per_month": 0.5}}
    assert budgets.mistakes(good, known_providers) == {}
    assert budgets.mistakes({}, known_providers) == {}


async def test_a_budget_of_a_provider_that_is_gone_is_left_out(db: Database, known_providers: Providers) -> None:
    await set_budgets(db, gone={"usd_per_month": 1}, gemini={"usd_per_month": 2, "stop": True})
    async with db.begin() as conn:
        (found,) = await budgets.all_budgets(conn, known_providers)
        settings = await app_settings.load(conn, result_ttl_hours=72)
    assert (found.provider, found.usd_spent, found.usd_limit, found.stop) == ("gemini", Decimal(0), Decimal(2), True)
    assert settings.provider_budgets["gemini"] == {"usd_per_month": 2, "stop": True}


@pytest.fixture
async def simulators() -> AsyncIterator[str]:
    async with serving() as simulators:
        yield simulators.url


def settings(simulators: str, tmp_path: Path, database_url: str) -> Any:
    keys = {"GEMINI_API_KEY": "simulator-key", "GEMINI_BASE_URL": f"{simulators}/gemini"}
    openai = {"OPENAI_API_KEY": "simulator-key", "OPENAI_BASE_URL": f"{simulators}/openai"}
    return settings_for(tmp_path, database_url, **keys, **openai)


async def calls(http: httpx.AsyncClient, simulators: str, provider: str) -> int:
    return int((await http.get(f"{simulators}/__emu/{provider}/stats")).json()["requests"])


async def spend(db: Database, usd: str) -> None:
    await figure_rows.write(db, [MadeJob(created_at=await figure_rows.now(db), attempts=(paid(usd),))])


async def test_a_spent_budget_that_stops_is_a_quota_without_a_call(
    api: Api, http: httpx.AsyncClient, simulators: str, tmp_path: Path, database_url: str, known_providers: Providers
) -> None:
    await set_budgets(api.db, gemini={"usd_per_month": 5, "stop": True})
    await spend(api.db, "5")
    async with running(settings(simulators, tmp_path, database_url), known_providers, database_url):
        refused = await post_photo(http, api.url, PHOTO)
    assert (refused.status_code, refused.json()["failure_reason"]) == (503, "quota")
    assert refused.json()["details"] == "The monthly budget of Google Gemini is used up."
    assert await calls(http, simulators, "gemini") == 0
    async with api.db.begin() as conn:
        this = job_attempt.c.job_id == refused.json()["job_id"]
        assert (await conn.execute(select(job_attempt).where(this))).all() == []
        failed = select(processing_log.c.details).where(processing_log.c.event == "failed")
        assert "monthly budget" in (await conn.execute(failed)).scalar_one()["why"]


async def test_a_spent_budget_that_only_warns_stops_nothing(
    api: Api, http: httpx.AsyncClient, simulators: str, tmp_path: Path, database_url: str, known_providers: Providers
) -> None:
    await set_budgets(api.db, gemini={"usd_per_month": 5})
    await spend(api.db, "50")
    async with running(settings(simulators, tmp_path, database_url), known_providers, database_url):
        assert (await post_photo(http, api.url, PHOTO)).status_code == 200


async def test_the_fallback_gets_the_photo_while_its_own_provider_has_money(
    api: Api, http: httpx.AsyncClient, simulators: str, tmp_path: Path, database_url: str, known_providers: Providers
) -> None:
    await set_budgets(api.db, gemini={"usd_per_month": 5, "stop": True}, openai={"usd_per_month": 5, "stop": True})
    await spend(api.db, "6")
    async with api.db.begin() as conn:
        fallback = {"provider": "openai", "operation": "image_edit", "settings": {"prompt": "a portrait"}}
        await conn.execute(update(slot).values(fallback=fallback))
    async with running(settings(simulators, tmp_path, database_url), known_providers, database_url):
        answer = await post_photo(http, api.url, PHOTO)
    assert answer.status_code == 200
    assert await calls(http, simulators, "gemini") == 0
    assert await calls(http, simulators, "openai") == 1


async def test_no_photo_fails_because_nobody_knows_how_its_budget_stands(
    db: Database, known_providers: Providers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spent_budgets, "LOOK_AGAIN_SECONDS", 0.0)
    gemini, known = known_providers.by_name["gemini"], SpentBudgets()
    await set_budgets(db, gemini={"usd_per_month": 5, "stop": True})
    await known.check(db, gemini)
    await spend(db, "5")
    async with db.begin() as conn:
        await conn.execute(text("LOCK TABLE app_settings"))
        await known.check(db, gemini)  # waits for the lock, gives up, and goes by what was known
    with pytest.raises(ProviderFailed):
        await known.check(db, gemini)
    async with db.begin() as conn:
        await conn.execute(text("LOCK TABLE app_settings"))
        with pytest.raises(ProviderFailed):
            await known.check(db, gemini)


async def test_a_runner_sees_within_its_ten_seconds_that_there_is_money_again(
    api: Api,
    http: httpx.AsyncClient,
    simulators: str,
    tmp_path: Path,
    database_url: str,
    known_providers: Providers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spent_budgets, "LOOK_AGAIN_SECONDS", 0.2)
    await set_budgets(api.db, gemini={"usd_per_month": 5, "stop": True})
    await spend(api.db, "5")
    async with running(settings(simulators, tmp_path, database_url), known_providers, database_url):
        assert (await post_photo(http, api.url, PHOTO)).json()["failure_reason"] == "quota"
        await set_budgets(api.db, gemini={"usd_per_month": 50, "stop": True})
        for number in range(50):
            again = await post_photo(http, api.url, PHOTO + b"%d" % number)
            if again.status_code == 200:
                break
    assert again.status_code == 200
    async with api.db.begin() as conn:
        done = select(job_attempt.c.cost_usd).join(job, job.c.job_id == job_attempt.c.job_id)
        costs = (await conn.execute(done.where(job.c.job_id == again.headers["x-job-id"]))).scalars().all()
    assert [cost > 0 for cost in costs] == [True]
