"""Public links: the result and its preview, as guests fetch them."""

import asyncio

import httpx
import pytest
from sqlalchemy import text

from tests.results import finished_job
from tests.serving import Api

pytestmark = pytest.mark.anyio


async def test_a_result_comes_as_an_attachment_with_a_readable_name(api: Api, http: httpx.AsyncClient) -> None:
    job_id, picture = await finished_job(api)
    answer = await http.get(f"{api.url}/public/results/{job_id}")
    assert answer.status_code == 200
    assert answer.content == picture
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-length"] == str(len(picture))
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["content-disposition"].startswith('attachment; filename="photo-20')


async def test_inline_shows_it(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await finished_job(api)
    answer = await http.get(f"{api.url}/public/results/{job_id}?inline=1")
    assert answer.headers["content-disposition"].startswith("inline;")


async def test_ranges_heads_and_etags_work(api: Api, http: httpx.AsyncClient) -> None:
    job_id, picture = await finished_job(api)
    url = f"{api.url}/public/results/{job_id}"
    part = await http.get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, picture[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(picture)}"
    beyond = await http.get(url, headers={"Range": f"bytes={len(picture)}-"})
    assert beyond.status_code == 416
    head = await http.head(url)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(picture)))
    unchanged = await http.get(url, headers={"If-None-Match": head.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    changed = await http.get(url, headers={"If-None-Match": '"another"'})
    assert changed.status_code == 200


async def test_the_preview_is_a_webp_beside_it(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await finished_job(api)
    answer = await http.get(f"{api.url}/public/results/{job_id}/preview")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    assert answer.content[8:12] == b"WEBP"


@pytest.mark.parametrize("job_id", ["0" * 32, "0" * 31, "0" * 33, "A" * 32, "..%2f..%2fetc%2fpasswd", "x"])
@pytest.mark.parametrize("suffix", ["", "/preview"])
async def test_an_unknown_result_is_not_found(api: Api, http: httpx.AsyncClient, job_id: str, suffix: str) -> None:
    answer = await http.get(f"{api.url}/public/results/{job_id}{suffix}")
    assert answer.status_code == 404
    assert answer.json()["status"] == "error"
    if "%2f" not in job_id:
        assert answer.json()["failure_reason"] == "result_not_found"


async def test_an_expired_result_is_gone_though_its_file_is_still_there(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await finished_job(api)
    async with api.db.begin() as conn:
        await conn.execute(text("UPDATE job SET result_expires_at = now() - interval '1 second'"))
    for suffix in ("", "/preview", "?inline=1"):
        answer = await http.get(f"{api.url}/public/results/{job_id}{suffix}")
        assert answer.status_code == 410
        assert answer.json() == {
            "status": "error",
            "failure_reason": "result_expired",
            "details": "The result has expired.",
        }
    assert (await http.get(f"{api.url}/api/jobs/{job_id}")).status_code == 404


async def test_a_result_expires_by_the_databases_clock_with_the_second_and_its_row_stays(
    api: Api, http: httpx.AsyncClient
) -> None:
    """Nobody has swept: the row alone decides, and it keeps what is known of the picture."""
    job_id, picture = await finished_job(api)
    soon = "clock_timestamp() + interval '1.5 seconds'"
    async with api.db.begin() as conn:
        await conn.execute(text(f"UPDATE job SET result_expires_at = {soon}"))
    left = text("SELECT extract(epoch FROM result_expires_at - clock_timestamp()) FROM job")
    statuses = []
    while True:
        async with api.db.at_once() as conn:
            before = float((await conn.execute(left)).scalar_one())
            answer = await http.get(f"{api.url}/public/results/{job_id}")
            after = float((await conn.execute(left)).scalar_one())
        if before <= 0:
            assert answer.status_code == 410
            break
        if after > 0:
            assert (answer.status_code, answer.content) == (200, picture)
            statuses.append(answer.status_code)
        await asyncio.sleep(0.02)
    assert statuses, "it was never seen while it lived"
    async with api.db.at_once() as conn:
        kept = (await conn.execute(text("SELECT result_path, result_bytes, status FROM job"))).one()
    assert api.media.path_of(kept.result_path).read_bytes() == picture
    assert (kept.result_bytes, kept.status) == (len(picture), "done")


async def test_a_file_that_is_gone_early_is_media_lost(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await finished_job(api)
    for path in api.media.folder("results").iterdir():
        path.unlink()
    answer = await http.get(f"{api.url}/public/results/{job_id}")
    assert (answer.status_code, answer.json()["failure_reason"]) == (500, "media_lost")


async def test_a_link_in_the_place_of_a_result_is_not_followed(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await finished_job(api)
    result = next(api.media.folder("results").iterdir())
    result.unlink()
    result.symlink_to("/etc/passwd")
    answer = await http.get(f"{api.url}/public/results/{job_id}")
    assert (answer.status_code, answer.json()["failure_reason"]) == (500, "media_lost")


async def test_a_job_tells_how_it_stands(api: Api, http: httpx.AsyncClient) -> None:
    job_id, _ = await finished_job(api)
    body = (await http.get(f"{api.url}/api/jobs/{job_id}")).json()
    assert body["status"] == "done"
    assert body["slot_id"] == "slot-001"
    assert body["result_url"] == f"{api.url}/public/results/{job_id}"
    assert [attempt["outcome"] for attempt in body["attempts"]] == ["ok"]
    assert (await http.get(f"{api.url}/api/jobs/{'0' * 32}")).json()["failure_reason"] == "job_not_found"


async def test_health_and_life(api: Api, http: httpx.AsyncClient) -> None:
    assert (await http.get(f"{api.url}/livez")).json() == {"status": "ok"}
    degraded = await http.get(f"{api.url}/healthz")
    assert (degraded.status_code, degraded.json()["status"]) == (200, "degraded")
    checks = degraded.json()["checks"]
    assert {name for name, told in checks.items() if told == "failed"} == {"runners", "cleanup"}
    api.media.root.rename(api.media.root.with_name("elsewhere"))
    failed = await http.get(f"{api.url}/healthz")
    assert (failed.status_code, failed.json()["checks"]["folders"]) == (503, "failed")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("GET", "/ingest/slot-001", 405)])
async def test_other_addresses_answer_in_json_too(
    api: Api, http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await http.request(method, f"{api.url}{path}")
    assert answer.status_code == status
    assert answer.json()["status"] == "error"
