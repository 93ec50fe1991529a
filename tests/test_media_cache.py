"""Purges that administrators ask for, and what storage is taken: rows only, nothing is done in the request."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from photochanger import purges
from photochanger.db import Database
from photochanger.tables import storage_figure
from tests.admin_pictures import audit_lines
from tests.administrators import bearer
from tests.queue_rows import until_blocked
from tests.serving import Api
from tests.test_contract import check

pytestmark = pytest.mark.anyio

EVERYTHING = "/api/media/cache/purge"


async def ask(api: Api, http: httpx.AsyncClient, path: str, *, account: str = "serg") -> httpx.Response:
    return await http.post(f"{api.url}{path}", headers=await bearer(api, account=account))


async def waiting(db: Database) -> list[tuple[str | None, str]]:
    async with db.at_once() as conn:
        return [(purge.slot_id, purge.requested_by) for purge in await purges.waiting(conn)]


async def test_a_purge_is_asked_for_and_answered_at_once(api: Api, http: httpx.AsyncClient) -> None:
    answer = await ask(api, http, EVERYTHING)
    assert answer.status_code == 202
    assert set(answer.json()) == {"purge_id", "requested_at"}
    assert answer.json()["requested_at"].endswith("Z")
    assert await waiting(api.db) == [(None, "serg")]
    (line,) = await audit_lines(api.db)
    assert (line.event, line.actor) == ("purge_requested", "serg")
    assert line.details == {"purge": answer.json()["purge_id"], "slot": None}


async def test_a_slots_purge_is_its_own(api: Api, http: httpx.AsyncClient) -> None:
    ids = [(await ask(api, http, f"/api/slots/slot-0{number}/cleanup")).json()["purge_id"] for number in ("07", "15")]
    assert len(set(ids)) == 2
    assert await waiting(api.db) == [("slot-007", "serg"), ("slot-015", "serg")]


@pytest.mark.parametrize(
    "slot_id", ["slot-000", "slot-016", "SLOT-001", "..%2fslot-001", "x" * 300, "слот", "slot-001%00"]
)
async def test_an_unknown_slot_is_not_found_and_nothing_is_asked_for(
    api: Api, http: httpx.AsyncClient, slot_id: str
) -> None:
    answer = await ask(api, http, f"/api/slots/{slot_id}/cleanup")
    assert answer.status_code == 404
    assert answer.json()["failure_reason"] in {"slot_not_found", "not_found"}
    assert await waiting(api.db) == []
    assert await audit_lines(api.db) == []


@pytest.mark.parametrize("path", [EVERYTHING, "/api/slots/slot-003/cleanup"])
async def test_a_purge_that_waits_is_joined(api: Api, http: httpx.AsyncClient, path: str) -> None:
    first = await ask(api, http, path)
    second = await ask(api, http, path, account="igor")
    assert (second.status_code, second.json()) == (202, first.json())
    async with api.db.begin() as conn:
        assert (await purges.get(conn, first.json()["purge_id"])).requested_by == "serg"
        await purges.finish(conn, first.json()["purge_id"], files=3, size_bytes=300)
    third = await ask(api, http, path)
    assert third.json()["purge_id"] != first.json()["purge_id"]
    assert [line.actor for line in await audit_lines(api.db)] == ["serg", "igor", "serg"]


@pytest.mark.parametrize("path", [EVERYTHING, "/api/slots/slot-003/cleanup"])
async def test_twenty_that_ask_at_once_get_one_purge(api: Api, http: httpx.AsyncClient, path: str) -> None:
    answers = await asyncio.gather(*(ask(api, http, path) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["purge_id"] for answer in answers}) == 1
    assert len(await waiting(api.db)) == 1


async def test_who_asks_while_a_purge_is_being_finished_gets_a_new_one(db: Database) -> None:
    async with db.begin() as conn:
        first = await purges.request(conn, slot_id=None, by="serg")

    async def ask_again() -> int:
        async with db.begin() as conn:
            return await purges.request(conn, slot_id=None, by="igor")

    async with db.begin() as conn:
        await purges.finish(conn, first, files=0, size_bytes=0)
        asking = asyncio.create_task(ask_again())
        await until_blocked(db)
    assert await asking != first
    assert await waiting(db) == [(None, "igor")]


async def test_strangers_purge_nothing(api: Api, http: httpx.AsyncClient) -> None:
    for path in (EVERYTHING, "/api/slots/slot-001/cleanup", "/api/slots/slot-099/cleanup"):
        assert (await http.post(f"{api.url}{path}")).status_code == 401
    assert (await http.get(f"{api.url}/api/media/cache")).status_code == 401
    assert await waiting(api.db) == []


async def test_before_the_daemon_has_looked_there_are_no_figures(api: Api, http: httpx.AsyncClient) -> None:
    answer = await http.get(f"{api.url}/api/media/cache", headers=await bearer(api))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    check(answer.json(), "MediaCache")
    assert answer.json() == {"storage": {}, "last_purge": None, "waiting_purges": []}


async def test_the_daemons_figures_and_the_last_purge_are_shown(api: Api, http: httpx.AsyncClient) -> None:
    rows: list[dict[str, Any]] = [
        {"name": "results", "files": 12, "bytes": 34_000_000_000},
        {"name": "disk_free", "files": None, "bytes": 500},
    ]
    asked = [(await ask(api, http, f"/api/slots/slot-00{number}/cleanup")).json()["purge_id"] for number in (1, 2, 3)]
    async with api.db.begin() as conn:
        await conn.execute(insert(storage_figure), rows)
        await purges.finish(conn, asked[1], files=9, size_bytes=5_000_000_000)
    async with api.db.begin() as conn:
        await purges.finish(conn, asked[0], files=1, size_bytes=10)
    body = (await http.get(f"{api.url}/api/media/cache", headers=await bearer(api))).json()
    check(body, "MediaCache")
    assert {name: (one["files"], one["bytes"]) for name, one in body["storage"].items()} == {
        "results": (12, 34_000_000_000), "disk_free": (None, 500),
    }  # fmt: skip
    assert all(one["measured_at"].endswith("Z") for one in body["storage"].values())
    last = body["last_purge"]
    assert (last["purge_id"], last["slot_id"], last["files"], last["bytes"]) == (asked[0], "slot-001", 1, 10)
    assert [one["purge_id"] for one in body["waiting_purges"]] == [asked[2]]
