"""`GET /api/jobs` and `GET /api/jobs/{job_id}/detail`: who sees them, what they take, what they tell."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import text, update

from photochanger import audit, jobs
from photochanger.errors import Failure
from photochanger.job import Job
from photochanger.tables import job, job_input, slot
from tests.administrators import bearer, browser
from tests.results import claimed_job, finish_job, finished_job, queued_job
from tests.serving import PASSWORD_HASH, Api
from tests.test_contract import check

pytestmark = pytest.mark.anyio

NOBODYS = "0" * 32


async def asked(api: Api, http: httpx.AsyncClient, path: str) -> Any:
    answer = await http.get(f"{api.url}{path}", headers=await bearer(api))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


async def refused(api: Api, http: httpx.AsyncClient, query: str) -> dict[str, str]:
    """The fields that the log refuses, with their sentences."""
    answer = await http.get(f"{api.url}/api/jobs?{query}", headers=await bearer(api))
    body = answer.json()
    assert (answer.status_code, body["failure_reason"]) == (422, "validation_failed"), query
    check(body, "Refusal")
    fields: dict[str, str] = body["fields"]
    return fields


async def test_only_administrators_see_the_log_and_the_details(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await finished_job(api)
    for path in ("/api/jobs", f"/api/jobs/{job_id}/detail"):
        for headers in ({}, {"Authorization": "Bearer nobody"}, {"Cookie": "photochanger_session=x"}):
            answer = await http.get(f"{api.url}{path}", headers=headers)
            assert (answer.status_code, answer.json()["failure_reason"]) == (401, "login_required")


async def test_a_page_tells_of_each_job_and_where_the_next_one_begins(api: Api, http: httpx.AsyncClient) -> None:
    done, _ = await finished_job(api)
    waiting = await queued_job(api, slot_id="slot-002")
    first = await asked(api, http, "/api/jobs?limit=1")
    check(first, "JobLog")
    assert [line["job_id"] for line in first["jobs"]] == [waiting]
    second = await asked(api, http, f"/api/jobs?limit=1&cursor={quote(first['next_cursor'])}")
    check(second, "JobLog")
    (line,) = second["jobs"]
    assert second["next_cursor"] is None
    assert (line["job_id"], line["status"], line["source"], line["attempts"]) == (done, "done", "ingest", 1)
    assert (line["display_name"], line["model"]) == ("Slot 1 (Gemini)", "gemini-nano-banana-2.1")
    assert line["seconds"] > 0
    for name in ("result_url", "preview_url"):
        assert (await http.get(line[name])).status_code == 200


async def test_an_expired_result_has_no_link_in_the_log(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await finished_job(api)
    api.media.discard(f"ingest/{job_id}")
    async with api.db.begin() as conn:
        await conn.execute(text("UPDATE job SET result_expires_at = now() - interval '1 second'"))
    (line,) = (await asked(api, http, "/api/jobs"))["jobs"]
    assert (line["result_url"], line["preview_url"], line["result_expires_at"]) == (None, None, None)
    detail = await asked(api, http, f"/api/jobs/{job_id}/detail")
    check(detail, "JobDetail")
    assert (detail["result"]["url"], detail["result"]["preview_url"], detail["replay_from"]) == (None, None, None)
    assert detail["result"]["bytes"] > 0


async def test_filters_are_taken_from_the_query(api: Api, http: httpx.AsyncClient) -> None:
    done, _ = await finished_job(api)
    waiting = await queued_job(api, slot_id="slot-002")
    moment = (await asked(api, http, f"/api/jobs/{waiting}/detail"))["created_at"]
    for query, expected in {
        "status=done": [done],
        "status=queued&slot_id=slot-002": [waiting],
        "slot_id=slot-003": [],
        "source=ui_test": [],
        "provider=gemini&limit=200": [waiting, done],
        "provider=nobody": [],
        "failure_reason=quota": [],
        "failure_reason=provider_error": [],
        f"job_id={done[:7]}": [done],
        f"from={moment}": [waiting],
        f"to={moment}": [done],
        "from=2020-01-01T00:00:00+03:00": [waiting, done],  # a plus that was not escaped
        "to=2020-01-01t00:00:00.5-03:00": [],
        "status=&slot_id=&from=&cursor=&limit=": [waiting, done],
    }.items():
        assert [line["job_id"] for line in (await asked(api, http, f"/api/jobs?{query}"))["jobs"]] == expected, query


@pytest.mark.parametrize(
    ("name", "values"),
    {
        "limit": ["0", "201", "-1", "1.5", "1e1", "many", "٣", " 5", "9" * 40],
        "slot_id": ["slot-016", "slot-1", "../x", "слот-001", "slot-001%00", "x" * 3000],
        "status": ["finished", "DONE", "done%0a"],
        "failure_reason": ["nothing", "%00", "provider_errors"],
        "source": ["booth", "INGEST"],
        "provider": ["Gemini", "a%20b", "x" * 65, "%27"],
        "from": ["yesterday", "2026-11-05", "2026-11-05T18:00:00", "2026-13-05T18:00:00Z", "2026-11-05T25:00:00Z", "1"],
        "to": ["2026-W45-1", "2026-11-05T18:00:00%2b99:00", "²026-11-05T18:00:00Z"],
        "job_id": ["g", "A", "x" * 33, "a" * 33, "%25", "a%20"],
        "cursor": ["x", "AAAA", "A" * 31 + "%0a", "ж" * 32],
    }.items(),
)
async def test_a_parameter_that_cannot_be_taken_is_named(
    api: Api, http: httpx.AsyncClient, name: str, values: list[str]
) -> None:
    for value in values:
        assert set(await refused(api, http, f"{name}={value}")) == {name}, value


async def test_all_mistakes_are_named_at_once(api: Api, http: httpx.AsyncClient) -> None:
    query = (
        "limit=0&status=x&slot=slot-001&source=ingest&source=ui_test&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"
    )
    assert set(await refused(api, http, query)) == {"limit", "status", "slot", "source", "to"}


async def test_a_detail_tells_the_whole_way_of_a_job_in_order(api: Api, http: httpx.AsyncClient) -> None:
    job_id, picture = await finished_job(api)
    async with api.db.begin() as conn:
        await audit.record(conn, "job_replayed", actor="igor", job_id=job_id, replay=NOBODYS)
    detail = await asked(api, http, f"/api/jobs/{job_id}/detail")
    check(detail, "JobDetail")
    assert [line["event"] for line in detail["timeline"]] == [
        *("received", "checked", "queued", "claimed", "attempt_begun", "attempt_ended", "finished", "job_replayed"),
        *("deadline", "result_expires"),
    ]
    assert [line["at"] for line in detail["timeline"]] == sorted(line["at"] for line in detail["timeline"])
    assert detail["timeline"][3]["runner"] == "test"
    assert detail["timeline"][5]["details"]["outcome"] == "ok"
    assert detail["timeline"][7]["actor"] == "igor"
    assert (detail["result"]["bytes"], detail["photo"]["width"], detail["photo"]["there"]) == (len(picture), 640, True)
    assert detail["snapshot"]["settings"]["prompt"]
    assert detail["replay_from"] == "photo"


async def failed_job(api: Api) -> Job:
    """One whose only attempt was refused."""
    await queued_job(api)
    held = await claimed_job(api)
    async with api.db.begin() as conn:
        await conn.execute(
            text(
                "INSERT INTO job_attempt (job_id, number, provider, model, started_at, finished_at, outcome,"
                " http_status, request_id, usage, cost_usd, reason) VALUES (CAST(:id AS uuid), 1, 'gemini', 'm',"
                " now(), now(), 'quota', 429, 'req-1', '{\"total_tokens\": 7}', 0.0336, 'try later')"
            ),
            {"id": held.job_id},
        )
        await jobs.fail(conn, held, failure=Failure.QUOTA, details="Used up.", retry_after_seconds=9)
    return held


async def test_a_failed_job_tells_what_failed_and_what_it_cost(api: Api, http: httpx.AsyncClient) -> None:
    held = await failed_job(api)
    detail = await asked(api, http, f"/api/jobs/{held.job_id}/detail")
    check(detail, "JobDetail")
    assert (detail["failure_reason"], detail["details"], detail["retry_after"]) == ("quota", "Used up.", 9)
    assert (detail["result"], detail["cost_usd"]) == (None, 0.0336)
    (attempt,) = detail["attempts"]
    assert (attempt["http_status"], attempt["request_id"], attempt["reason"]) == (429, "req-1", "try later")
    assert attempt["usage"] == {"total_tokens": 7}
    url = f"{api.url}/api/jobs/{held.job_id}"
    for stranger in ({}, {"Authorization": "Bearer x"}, {"Cookie": "photochanger_session=x"}):
        public = await http.get(url, headers=stranger)
        check(public.json(), "Job")
        assert set(public.json()["attempts"][0]) == {"number", "provider", "model", "started_at", "seconds", "outcome"}
        for secret in ("0.0336", "try later", "req-1", "total_tokens"):
            assert secret not in public.text


async def test_whoever_is_logged_in_sees_attempts_whole_at_the_address_that_guests_know(
    api: Api, http: httpx.AsyncClient
) -> None:
    held = await failed_job(api)
    url = f"{api.url}/api/jobs/{held.job_id}"
    session = {"Cookie": (await browser(api))["Cookie"]}
    for who in (await bearer(api), session):
        answer = await http.get(url, headers=who)
        check(answer.json(), "Job")
        detail = await asked(api, http, f"/api/jobs/{held.job_id}/detail")
        assert answer.json()["attempts"] == detail["attempts"]
        assert answer.json()["attempts"][0]["reason"] == "try later"
    for who in (session, {}):
        answer = await http.get(url, headers=who)
        assert answer.headers["vary"] == "Authorization, Cookie"
        assert answer.headers["cache-control"] == "no-store"
    assert "try later" not in answer.text


async def test_a_session_that_has_ended_sees_no_more_than_a_guest(api: Api, http: httpx.AsyncClient) -> None:
    held, who = await failed_job(api), await bearer(api)
    assert (await http.post(f"{api.url}/api/logout", headers=who)).status_code == 204
    answer = await http.get(f"{api.url}/api/jobs/{held.job_id}", headers=who)
    assert answer.status_code == 200
    assert "try later" not in answer.text


async def test_an_open_job_has_a_detail_too(api: Api, http: httpx.AsyncClient) -> None:
    await queued_job(api)
    held = await claimed_job(api)
    detail = await asked(api, http, f"/api/jobs/{held.job_id}/detail")
    check(detail, "JobDetail")
    assert (detail["status"], detail["runner"], detail["seconds"]) == ("running", "test", None)
    assert (detail["replay_from"], detail["finished_at"]) == (None, None)


async def test_neighbours_obey_the_filters_of_the_log(api: Api, http: httpx.AsyncClient) -> None:
    one, other, third = [await queued_job(api, slot_id=f"slot-00{number}") for number in (1, 2, 1)]
    path = f"/api/jobs/{other}/detail"
    assert (await asked(api, http, path))["neighbours"] == {"newer": third, "older": one}
    path = f"/api/jobs/{third}/detail"
    assert (await asked(api, http, path))["neighbours"] == {"newer": None, "older": other}
    assert (await asked(api, http, f"{path}?slot_id=slot-001"))["neighbours"] == {"newer": None, "older": one}
    wrong = await http.get(f"{api.url}{path}?slot_id=x", headers=await bearer(api))
    assert wrong.status_code == 422


@pytest.mark.parametrize("job_id", [NOBODYS, "x", "A" * 32, "0" * 33, "%2e%2e"])
async def test_a_job_nobody_has_is_not_found(api: Api, http: httpx.AsyncClient, job_id: str) -> None:
    answer = await http.get(f"{api.url}/api/jobs/{job_id}/detail", headers=await bearer(api))
    assert (answer.status_code, answer.json()["failure_reason"]) == (404, "job_not_found")


async def test_no_secret_is_in_the_log_or_the_details(api: Api, http: httpx.AsyncClient) -> None:
    async with api.db.begin() as conn:
        await conn.execute(update(slot).values(ingest_password_hash=PASSWORD_HASH))
    await queued_job(api)
    held = await claimed_job(api)
    await finish_job(api, held, b"picture")
    async with api.db.begin() as conn:
        await conn.execute(update(job_input).values(idempotency_key="canary-key"))
    told = str(await asked(api, http, "/api/jobs")) + str(await asked(api, http, f"/api/jobs/{held.job_id}/detail"))
    for secret in (PASSWORD_HASH, "canary-key", str(api.media.root), "ingest/"):
        assert secret not in told


async def test_a_job_found_by_no_index_of_the_log_is_still_found(api: Api, http: httpx.AsyncClient) -> None:
    """A provider that only a fallback brought in."""
    job_id = await queued_job(api)
    async with api.db.begin() as conn:
        await conn.execute(update(job).values(provider="turbotext", on_fallback=True))
    for provider, expected in (("turbotext", [job_id]), ("gemini", [])):
        page = await asked(api, http, f"/api/jobs?provider={provider}")
        assert [line["job_id"] for line in page["jobs"]] == expected
