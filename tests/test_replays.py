"""`POST /api/jobs/{job_id}/replay`: what is run again, from what, with which settings, and what is refused."""

from typing import Any

import httpx
import pytest
from sqlalchemy import select, text, update

from photochanger import app_settings
from photochanger.tables import job, job_input, slot
from tests.administrators import bearer
from tests.queue_rows import log_lines
from tests.raw_http import eventually
from tests.results import claimed_job, finish_job, finished_job, queued_job
from tests.serving import Api
from tests.test_contract import check

pytestmark = pytest.mark.anyio

NOBODYS = "0" * 32


async def replayed(api: Api, http: httpx.AsyncClient, job_id: str, body: Any = None) -> httpx.Response:
    url = f"{api.url}/api/jobs/{job_id}/replay"
    return await http.post(url, headers=await bearer(api, account="igor"), json=body)


async def refusal(api: Api, http: httpx.AsyncClient, job_id: str, body: Any = None) -> tuple[int, str]:
    answer = await replayed(api, http, job_id, body)
    check(answer.json(), "Refusal")
    return answer.status_code, answer.json()["failure_reason"]


async def accepted(api: Api, http: httpx.AsyncClient, job_id: str, body: Any = None) -> Any:
    answer = await replayed(api, http, job_id, body)
    assert answer.status_code == 202, answer.text
    check(answer.json(), "ReplayAccepted")
    return answer.json()


async def without_photo(api: Api) -> tuple[str, bytes]:
    """A done job as its runner leaves it."""
    job_id, picture = await finished_job(api)
    api.media.discard(f"ingest/{job_id}")
    return job_id, picture


async def rows_of(api: Api, job_id: str) -> tuple[Any, Any]:
    async with api.db.begin() as conn:
        its = (await conn.execute(select(job).where(job.c.job_id == job_id))).one()
        return its, (await conn.execute(select(job_input).where(job_input.c.job_id == job_id))).one()


async def test_a_done_job_is_run_again_from_its_result(api: Api, http: httpx.AsyncClient) -> None:
    job_id, picture = await without_photo(api)
    answer = await accepted(api, http, job_id)
    assert (answer["from"], answer["replay_of"]) == ("result", job_id)
    its, written = await rows_of(api, answer["job_id"])
    assert (its.status, its.source, its.slot_id, written.replay_of) == ("queued", "ui_test", "slot-001", job_id)
    assert (written.photo_mime, written.photo_width, written.photo_bytes) == ("image/jpeg", 640, len(picture))
    assert api.media.path_of(written.photo_path).read_bytes() == picture
    shown = await http.get(answer["status_url"])
    assert (shown.json()["status"], shown.json()["expires_at"]) == ("queued", answer["deadline"])


async def test_while_the_photo_is_there_it_is_run_again_from_it(api: Api, http: httpx.AsyncClient) -> None:
    job_id, picture = await finished_job(api)
    photo = api.media.path_of(f"ingest/{job_id}").read_bytes()
    answer = await accepted(api, http, job_id)
    assert answer["from"] == "photo"
    assert api.media.path_of(f"ingest/{answer['job_id']}").read_bytes() == photo != picture


async def test_the_two_lives_are_independent(api: Api, http: httpx.AsyncClient) -> None:
    job_id, picture = await without_photo(api)
    replay = (await accepted(api, http, job_id))["job_id"]
    copy, original = api.media.path_of(f"ingest/{replay}"), api.media.path_of(f"results/{job_id}.jpg")
    assert copy.stat().st_ino != original.stat().st_ino
    assert copy.stat().st_mtime > original.stat().st_mtime - 1
    original.unlink()
    held = await claimed_job(api)
    assert held.job_id == replay
    assert await finish_job(api, held, picture)
    assert (await http.get(f"{api.url}/public/results/{replay}")).content == picture


async def test_a_failed_job_without_photo_and_result_is_gone(api: Api, http: httpx.AsyncClient) -> None:
    job_id = await queued_job(api)
    async with api.db.begin() as conn:
        await conn.execute(
            text("UPDATE job SET status = 'failed', failure_reason = 'quota', finished_at = now()"),
        )
    assert (await accepted(api, http, job_id))["from"] == "photo"
    api.media.discard(f"ingest/{job_id}")
    assert await refusal(api, http, job_id) == (410, "photo_gone")


@pytest.mark.parametrize("end", ["expired", "swept", "file gone"])
async def test_a_result_that_no_longer_lives_is_not_run_again(api: Api, http: httpx.AsyncClient, end: str) -> None:
    job_id, _ = await without_photo(api)
    changes = {"expired": "result_expires_at = now()", "swept": "result_path = NULL, preview_path = NULL"}
    if end in changes:
        async with api.db.begin() as conn:
            await conn.execute(text(f"UPDATE job SET {changes[end]}"))
    else:
        api.media.discard(f"results/{job_id}.jpg")
    assert await refusal(api, http, job_id) == (410, "photo_gone")
    assert list(api.media.folder("ingest").iterdir()) == []


async def test_a_link_in_the_place_of_a_photo_is_not_followed(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await finished_job(api)
    path = api.media.path_of(f"ingest/{job_id}")
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert (await accepted(api, http, job_id))["from"] == "result"


async def test_an_open_job_is_not_run_again(api: Api, http: httpx.AsyncClient) -> None:
    job_id = await queued_job(api)
    assert await refusal(api, http, job_id) == (409, "job_open")
    await claimed_job(api)
    assert await refusal(api, http, job_id) == (409, "job_open")


@pytest.mark.parametrize("job_id", [NOBODYS, "x", "A" * 32, "0" * 33])
async def test_a_job_nobody_has_is_not_found(api: Api, http: httpx.AsyncClient, job_id: str) -> None:
    assert await refusal(api, http, job_id) == (404, "job_not_found")


async def test_it_runs_with_the_settings_of_now_or_with_those_of_then(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await without_photo(api)
    async with api.db.begin() as conn:
        await conn.execute(update(slot).values(settings={"prompt": "of now", "retries": 3}, version=2))
    now = await accepted(api, http, job_id, {"settings": "now"})
    by_default = await accepted(api, http, job_id, {})
    then = await accepted(api, http, job_id, {"settings": "snapshot"})
    for answer, prompt, version, most in ((now, "of now", 2, 4), (by_default, "of now", 2, 4), (then, "Turn", 1, 2)):
        its, written = await rows_of(api, answer["job_id"])
        assert written.snapshot["settings"]["prompt"].startswith(prompt)
        assert (written.slot_version, its.max_attempts) == (version, most)


async def test_settings_that_are_no_longer_good_are_named(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await without_photo(api)
    for changes, field in (
        ({"provider": "nobody"}, "provider"),
        ({"operation": "nothing"}, "operation"),
        ({"settings": {}}, "settings.prompt"),
    ):
        async with api.db.begin() as conn:
            await conn.execute(update(slot).values(**changes))
        answer = await replayed(api, http, job_id)
        assert (answer.status_code, list(answer.json()["fields"])) == (422, [field])
        await accepted(api, http, job_id, {"settings": "snapshot"})
        async with api.db.begin() as conn:
            await conn.execute(text("DELETE FROM job WHERE source = 'ui_test'"))
            good = {"provider": "gemini", "operation": "image_edit", "settings": {"prompt": "good"}}
            await conn.execute(update(slot).values(**good))


@pytest.mark.parametrize("body", [{"settings": "old"}, {"settings": 1}, {"settings": None}, {"settings": []}, {"x": 1}])
async def test_a_wish_nobody_knows_is_named(api: Api, http: httpx.AsyncClient, body: Any) -> None:
    job_id, _ = await without_photo(api)
    answer = await replayed(api, http, job_id, body)
    assert (answer.status_code, list(answer.json()["fields"])) == (422, list(body))


@pytest.mark.parametrize("raw", [b"[]", b"{", b"nan", b"\xff", b"[" * 100_000])
async def test_a_body_that_is_no_object_is_refused(api: Api, http: httpx.AsyncClient, raw: bytes) -> None:
    url = f"{api.url}/api/jobs/{NOBODYS}/replay"
    answer = await http.post(url, headers=await bearer(api), content=raw)
    assert (answer.status_code, answer.json()["failure_reason"]) == (400, "invalid_request")


async def test_each_replay_is_a_job_of_its_own_until_the_slot_has_its_limit(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await without_photo(api)
    replays = {(await accepted(api, http, job_id))["job_id"] for _ in range(3)}
    assert len(replays) == 3
    assert await refusal(api, http, job_id) == (429, "rate_limited")
    assert {path.name for path in api.media.folder("ingest").iterdir()} == replays


async def test_it_works_on_a_slot_that_is_switched_off(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await without_photo(api)
    async with api.db.begin() as conn:
        await conn.execute(update(slot).values(is_active=False))
    replay = (await accepted(api, http, job_id))["job_id"]
    assert (await rows_of(api, replay))[0].status == "queued"


async def test_no_room_on_the_disk_is_told(api: Api, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id, _ = await without_photo(api)
    monkeypatch.setattr("photochanger.media.LEAST_FREE_BYTES", 1 << 60)
    assert await refusal(api, http, job_id) == (503, "storage_full")


async def test_both_jobs_remember_who_did_it(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await without_photo(api)
    replay = (await accepted(api, http, job_id, {"settings": "snapshot"}))["job_id"]
    for of_job in (job_id, replay):
        (line,) = [line for line in await log_lines(api.db, of_job) if line.event == "job_replayed"]
        told = {"replay_of": job_id, "replay": replay, "from": "result", "settings": "snapshot", "slot": "slot-001"}
        assert (line.actor, line.details) == ("igor", told)


async def test_only_administrators_run_a_job_again(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await without_photo(api)
    answer = await http.post(f"{api.url}/api/jobs/{job_id}/replay")
    assert (answer.status_code, answer.json()["failure_reason"]) == (401, "login_required")
    assert list(api.media.folder("ingest").iterdir()) == []


async def test_a_replay_that_nobody_works_on_is_closed_at_its_deadline(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await without_photo(api)
    async with api.db.begin() as conn:
        await app_settings.store(conn, "sync_response_seconds", 2, by="test")
    replay = (await accepted(api, http, job_id))["job_id"]

    async def closed() -> bool:
        return bool((await rows_of(api, replay))[0].status == "timeout")

    await eventually(closed)
    await eventually(lambda: not api.media.path_of(f"ingest/{replay}").exists())
    assert (await rows_of(api, replay))[0].failure_reason == "timeout"
