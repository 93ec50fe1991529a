"""`DELETE /api/jobs/{job_id}/result`: gone at once, also when we die in the middle of it."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import func, select, update

from cleanup.results import expired_results
from photochanger import results
from photochanger.jobs import Status
from photochanger.tables import job
from tests.admin_pictures import audit_lines, tree
from tests.administrators import bearer
from tests.booths import photo_bytes, post_photo
from tests.queue_rows import job_in, row, until_blocked
from tests.raw_http import jobs_in, queued
from tests.results import claimed_job, finish_job, finished_job
from tests.serving import Api
from tests.sweeping import scope

pytestmark = pytest.mark.anyio


async def delete(api: Api, http: httpx.AsyncClient, job_id: str) -> httpx.Response:
    return await http.delete(f"{api.url}/api/jobs/{job_id}/result", headers=await bearer(api))


async def status_of(api: Api, http: httpx.AsyncClient, job_id: str) -> set[int]:
    """What the public links and the job's own address say."""
    paths = (f"/public/results/{job_id}", f"/public/results/{job_id}/preview", f"/public/results/{job_id}?inline=1")
    return {(await http.get(f"{api.url}{path}")).status_code for path in paths}


def result_files(api: Api) -> set[str]:
    return {name for name in tree(api.media) if name.startswith(("results/", "previews/"))}


async def test_a_deleted_result_is_gone_at_once_and_its_row_stays(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await finished_job(api)
    before = await row(api.db, job_id)
    assert await status_of(api, http, job_id) == {200}
    answer = await delete(api, http, job_id)
    assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (204, b"", "no-store")
    assert await status_of(api, http, job_id) == {410}
    assert (await http.get(f"{api.url}/public/results/{job_id}")).json()["failure_reason"] == "result_expired"
    assert (await http.get(f"{api.url}/api/jobs/{job_id}")).status_code == 404
    assert result_files(api) == set()
    after = await row(api.db, job_id)
    assert (after.status, after.result_path, after.preview_path) == ("done", None, None)
    assert (after.result_sha256, after.result_bytes) == (before.result_sha256, before.result_bytes)
    assert after.result_expires_at < before.result_expires_at
    (line,) = await audit_lines(api.db)
    assert (line.event, line.actor, line.job_id) == ("result_deleted", "serg", job_id)


async def test_deleted_again_it_stays_deleted_and_only_the_first_is_written_down(
    api: Api, http: httpx.AsyncClient
) -> None:
    job_id, _ = await finished_job(api)
    answers = await asyncio.gather(*(delete(api, http, job_id) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {204}
    when = (await row(api.db, job_id)).result_expires_at
    count = len(await audit_lines(api.db))
    assert (await delete(api, http, job_id)).status_code == 204
    assert len(await audit_lines(api.db)) == count
    assert (await row(api.db, job_id)).result_expires_at == when, "its end is not moved"


async def test_an_expired_result_that_nobody_has_swept_goes_as_well(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await finished_job(api)
    past = func.now() - timedelta(hours=1)
    async with api.db.at_once() as conn:
        await conn.execute(update(job).values(result_expires_at=past))
    when = (await row(api.db, job_id)).result_expires_at
    assert (await delete(api, http, job_id)).status_code == 204
    assert result_files(api) == set()
    assert (await row(api.db, job_id)).result_expires_at == when


async def test_no_other_result_is_touched(api: Api, http: httpx.AsyncClient) -> None:
    gone, _ = await finished_job(api)
    kept, picture = await finished_job(api)
    await delete(api, http, gone)
    assert (await http.get(f"{api.url}/public/results/{kept}")).content == picture
    assert result_files(api) == {f"results/{kept}.jpg", f"previews/{kept}.webp"}


@pytest.mark.parametrize("job_id", ["0" * 32, "x", "A" * 32, "..%2f..%2fetc", "0" * 33])
async def test_an_unknown_job_is_not_found(api: Api, http: httpx.AsyncClient, job_id: str) -> None:
    answer = await delete(api, http, job_id)
    assert answer.status_code == 404
    assert answer.json()["failure_reason"] in {"result_not_found", "not_found"}


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.DONE])
async def test_a_job_without_a_result_is_not_found_and_not_changed(
    api: Api, http: httpx.AsyncClient, status: Status
) -> None:
    job_id, _ = await job_in(api.db, status)
    before = await row(api.db, job_id)
    answer = await delete(api, http, job_id)
    assert (answer.status_code, answer.json()["failure_reason"]) == (404, "result_not_found")
    assert await row(api.db, job_id) == before
    assert await audit_lines(api.db) == []


async def test_strangers_delete_nothing(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await finished_job(api)
    assert (await http.delete(f"{api.url}/api/jobs/{job_id}/result")).status_code == 401
    assert await status_of(api, http, job_id) == {200}


@pytest.mark.parametrize("step", ["before the files", "between the files", "before the row"])
async def test_a_crash_between_two_steps_is_made_good_by_the_sweep(
    api: Api, http: httpx.AsyncClient, step: str
) -> None:
    job_id, _ = await finished_job(api)
    async with api.db.begin() as conn:
        files = await results.expire_now(conn, job_id)
    if step != "before the files":
        api.media.discard(files.result_path)
    if step == "before the row":
        api.media.discard(files.preview_path)
    assert await status_of(api, http, job_id) == {410}
    assert (await expired_results(scope(api.db, api.media))).count == 1
    assert result_files(api) == set()
    assert (await row(api.db, job_id)).result_path is None


async def test_the_row_says_so_before_the_first_file_goes(api: Api, http: httpx.AsyncClient) -> None:
    """While the row cannot be written, both files are still there."""
    job_id, picture = await finished_job(api)
    async with api.db.begin() as conn:
        await conn.execute(select(job.c.job_id).where(job.c.job_id == job_id).with_for_update())
        deleting = asyncio.create_task(delete(api, http, job_id))
        await until_blocked(api.db)
        assert (await http.get(f"{api.url}/public/results/{job_id}")).content == picture
        assert len(result_files(api)) == 2
    assert (await deleting).status_code == 204


async def test_a_deleted_result_answers_for_no_further_photo(api: Api, http: httpx.AsyncClient) -> None:
    """The same photo again within a minute would be given the result that is there; there is none any more."""
    photo = photo_bytes(seed=5)
    posting = asyncio.create_task(post_photo(http, api.url, photo))
    await queued(api)
    assert await finish_job(api, await claimed_job(api), photo_bytes(seed=2))
    job_id = (await posting).headers["x-job-id"]
    assert (await post_photo(http, api.url, photo)).headers["x-duplicate-of"] == job_id
    async with api.db.begin() as conn:
        await results.expire_now(conn, job_id)  # and then we died: the row still has its path
    posting = asyncio.create_task(post_photo(http, api.url, photo))
    await queued(api, 2)
    posting.cancel()
    await asyncio.gather(posting, return_exceptions=True)
    assert await jobs_in(api) == 2
