"""The table for spreadsheets: every day and slot, right to the last cent, and no name is taken for a formula."""

import csv
import io
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import update

from api.stats_export import as_text
from photochanger import window
from photochanger.tables import slot
from tests import figure_rows
from tests.administrators import bearer
from tests.figure_rows import MadeJob, count, hour_of
from tests.serving import Api

pytestmark = pytest.mark.anyio


async def export(api: Api, http: httpx.AsyncClient, **parameters: str) -> httpx.Response:
    return await http.get(f"{api.url}/api/stats/export.csv", params=parameters, headers=await bearer(api))


async def table(api: Api, http: httpx.AsyncClient, *, delimiter: str = ",", **parameters: str) -> list[dict[str, str]]:
    answer = await export(api, http, **parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")), delimiter=delimiter))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Moscow", "America/New_York"])
async def test_every_day_and_slot_with_photos_is_a_line(
    api: Api, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    now = await figure_rows.now(api.db)
    made = figure_rows.many(400, start=now - timedelta(days=70), until=now)
    await figure_rows.write(api.db, made)
    await figure_rows.roll(api.db, made, until=hour_of(now))
    today = now.astimezone(ZoneInfo(zone)).date()
    first, last = today - timedelta(days=65), today
    days: dict[tuple[str, str], list[MadeJob]] = defaultdict(list)
    for one in made:
        day = one.created_at.astimezone(ZoneInfo(zone)).date()
        if one.source == "ingest" and first <= day <= last:
            days[day.isoformat(), one.slot_id].append(one)
    for most in (20_000, 0):
        monkeypatch.setattr(window, "MOST_JOBS_BY_ROW", most)
        lines = await table(api, http, **{"from": str(first), "to": str(last), "tz": zone})
        assert [(line["day"], line["slot_id"]) for line in lines] == sorted(days)
        for line in lines:
            its = days[line["day"], line["slot_id"]]
            assert int(line["photos"]) == len(its)
            told = [int(line[name]) for name in ("ok", "timeouts", "errors")]
            assert told == [count(its, status) for status in ("done", "timeout", "failed")]
            cost = sum((call.cost_usd or Decimal() for one in its for call in one.attempts), Decimal())
            assert Decimal(line["cost_usd"]) == cost
            assert int(line["attempts"]) == sum(len(one.attempts) for one in its)
            assert bool(line["p50_seconds"]) == bool(count(its, "done"))


async def test_days_whose_rows_are_gone_come_from_the_rolled_hours_each_once(api: Api, http: httpx.AsyncClient) -> None:
    now = await figure_rows.now(api.db)
    made = figure_rows.many(300, start=now - timedelta(days=200), until=now - timedelta(days=100), seed=5)
    await figure_rows.roll(api.db, made, until=hour_of(now))
    booths = [one for one in made if one.source == "ingest"]
    asked = {"from": str((now - timedelta(days=201)).date()), "to": str(now.date())}
    for zone in ("UTC", "Asia/Kolkata", "Asia/Kathmandu"):
        lines = await table(api, http, **asked, tz=zone)
        assert sum(int(line["photos"]) for line in lines) == len(booths)
        by_day = [line["day"] for line in lines]
        assert by_day == sorted(by_day)
        keys = [(line["day"], line["slot_id"]) for line in lines]
        assert len(keys) == len(set(keys))


async def test_one_slot_has_a_table_of_its_own(api: Api, http: httpx.AsyncClient) -> None:
    now = await figure_rows.now(api.db)
    made = figure_rows.many(60, start=now - timedelta(days=2), until=now)
    await figure_rows.write(api.db, made)
    asked = {"from": str((now - timedelta(days=3)).date()), "to": str(now.date())}
    everything = await table(api, http, **asked)
    alone = await table(api, http, **asked, slot_id="slot-002")
    assert alone == [line for line in everything if line["slot_id"] == "slot-002"]
    assert 0 < len(alone) < len(everything)
    answer = await export(api, http, **asked, slot_id="slot-002")
    assert f"photochanger-slot-002-{asked['from']}-{asked['to']}.csv" in answer.headers["content-disposition"]
    assert (await export(api, http, slot_id="slot-015", **asked)).text.count("\r\n") == 1
    for unknown in ("slot-016", "slot-1", "'; DROP TABLE job", "slot-002\n"):
        refused = await export(api, http, slot_id=unknown)
        assert (refused.status_code, set(refused.json()["fields"])) == (422, {"slot_id"}), unknown


async def test_the_usual_days_are_the_last_thirty(api: Api, http: httpx.AsyncClient) -> None:
    now = await figure_rows.now(api.db)
    made = [MadeJob(created_at=now - timedelta(days=days)) for days in (0, 29, 30)]
    await figure_rows.write(api.db, made)
    assert [line["day"] for line in await table(api, http)] == [
        str((now - timedelta(days=days)).date()) for days in (29, 0)
    ]
    answer = await export(api, http)
    span = f"{(now - timedelta(days=29)).date()}-{now.date()}"
    assert answer.headers["content-disposition"] == f'attachment; filename="photochanger-{span}.csv"'


async def test_nothing_is_a_table_with_a_head_only(api: Api, http: httpx.AsyncClient) -> None:
    answer = await export(api, http, **{"from": "2031-01-01", "to": "2031-12-31"})
    assert answer.status_code == 200
    assert answer.text.count("\r\n") == 1
    assert answer.text.startswith("\ufeffday,slot_id,display_name,photos,ok,timeouts,errors,")


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1+1"])
async def test_a_name_that_looks_like_a_formula_is_text(api: Api, http: httpx.AsyncClient, name: str) -> None:
    now = await figure_rows.now(api.db)
    await figure_rows.write(api.db, [MadeJob(created_at=now)])
    async with api.db.begin() as conn:
        await conn.execute(update(slot).values(display_name=name))
    answer = await export(api, http)
    (line,) = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert line["display_name"] == f"'{name}"


def test_other_names_stay_as_they_are() -> None:
    for name in ("Слот 1 (Gemini)", "a=b", 'with "quotes", commas', "", "1-2"):
        assert as_text(name) == name


async def test_names_with_quotes_commas_and_newlines_stay_in_their_cell(api: Api, http: httpx.AsyncClient) -> None:
    name = 'Зал "А", стойка;\n=2'
    await figure_rows.write(api.db, [MadeJob(created_at=await figure_rows.now(api.db))])
    async with api.db.begin() as conn:
        await conn.execute(update(slot).values(display_name=name))
    for delimiter, decimal in ((",", "point"), (";", "comma")):
        (line,) = await table(api, http, delimiter=delimiter, decimal=decimal)
        assert line["display_name"] == name


async def test_decimal_commas_come_with_semicolons(api: Api, http: httpx.AsyncClient) -> None:
    await figure_rows.write(api.db, [MadeJob(created_at=await figure_rows.now(api.db), seconds=12.5)])
    (line,) = await table(api, http, delimiter=";", decimal="comma")
    assert (line["p50_seconds"], line["cost_usd"]) == ("12,50", "0,000000")


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        *(
            ({"from": rubbish}, "from")
            for rubbish in (
                "yesterday",
                "2026-13-01",
                "2026-02-30",
                "20260101",
                "1026-01-01",
                "2026-1-1",
                "２０２６-01-01",
            )
        ),
        ({"to": "0000-00-00"}, "to"),
        ({"from": "2026-11-07", "to": "2026-11-06"}, "from"),
        ({"from": "2001-01-01", "to": "2026-11-06"}, "from"),
        ({"tz": "Mars/Olympus"}, "tz"),
        ({"decimal": "dot"}, "decimal"),
    ],
)
async def test_days_that_make_no_sense_are_named(
    api: Api, http: httpx.AsyncClient, parameters: dict[str, str], field: str
) -> None:
    answer = await export(api, http, **parameters)
    assert (answer.status_code, answer.json()["failure_reason"]) == (422, "validation_failed")
    assert list(answer.json()["fields"]) == [field]


async def test_ten_years_are_no_trouble(api: Api, http: httpx.AsyncClient) -> None:
    last = date(2026, 11, 6)
    answer = await export(api, http, **{"from": str(last - timedelta(days=3659)), "to": str(last)})
    assert answer.status_code == 200
