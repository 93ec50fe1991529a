"""`GET /public/slots/{slot_id}`: the last results of a slot's booths, and nothing else."""

import httpx
import pytest
from sqlalchemy import func, text, update

from photochanger import app_settings, recent_results
from photochanger.tables import job, slot
from tests.results import claimed_job, finish_job, queued_job
from tests.serving import Api
from tests.test_contract import check

pytestmark = pytest.mark.anyio

PICTURE = b"a picture"


async def done(api: Api, *, slot_id: str = "slot-001", **changes: object) -> str:
    """A done job with its files, changed like this."""
    await queued_job(api, slot_id=slot_id)
    held = await claimed_job(api)
    assert await finish_job(api, held, PICTURE)
    if changes:
        async with api.db.begin() as conn:
            await conn.execute(update(job).where(job.c.job_id == held.job_id).values(**changes))
    return held.job_id


async def shown(api: Api, http: httpx.AsyncClient, slot_id: str = "slot-001") -> list[str]:
    """The ids in the links of a gallery, in its order."""
    answer = await http.get(f"{api.url}/public/slots/{slot_id}")
    assert answer.status_code == 200
    check(answer.json(), "Gallery")
    return [result["result_url"].rpartition("/")[2] for result in answer.json()["results"]]


async def test_the_newest_results_come_first_and_their_links_work(api: Api, http: httpx.AsyncClient) -> None:
    job_ids = [await done(api) for _ in range(3)]
    assert await shown(api, http) == job_ids[::-1]
    body = (await http.get(f"{api.url}/public/slots/slot-001")).json()
    assert body["display_name"] == "Slot 1 (Gemini)"
    for result in body["results"]:
        assert (await http.get(result["result_url"])).content == PICTURE
        assert (await http.get(result["preview_url"])).status_code == 200


async def test_only_living_results_of_this_slots_booths_are_in_it(api: Api, http: httpx.AsyncClient) -> None:
    living = await done(api)
    await done(api, source="ui_test")
    await done(api, result_expires_at=func.now())
    await done(api, result_path=None, preview_path=None)
    other = await done(api, slot_id="slot-002")
    await queued_job(api)
    assert await shown(api, http) == [living]
    assert await shown(api, http, "slot-002") == [other]
    assert await shown(api, http, "slot-003") == []


async def test_it_is_as_large_as_the_settings_say(api: Api, http: httpx.AsyncClient) -> None:
    job_ids = [await done(api) for _ in range(11)]
    assert await shown(api, http) == job_ids[:0:-1]
    async with api.db.begin() as conn:
        await app_settings.store(conn, "gallery_size", 2, by="test")
    assert await shown(api, http) == job_ids[:-3:-1]


async def test_a_slot_that_is_switched_off_keeps_its_gallery(api: Api, http: httpx.AsyncClient) -> None:
    job_id = await done(api)
    async with api.db.begin() as conn:
        await conn.execute(update(slot).values(is_active=False))
    assert await shown(api, http) == [job_id]


@pytest.mark.parametrize("slot_id", ["slot-016", "slot-1", "SLOT-001", "%2e%2e", "слот-001", "x" * 300, "slot-001%00"])
async def test_an_unknown_slot_is_not_found(api: Api, http: httpx.AsyncClient, slot_id: str) -> None:
    answer = await http.get(f"{api.url}/public/slots/{slot_id}")
    assert (answer.status_code, answer.json()["failure_reason"]) == (404, "slot_not_found")


async def test_no_search_engine_keeps_what_guests_see(api: Api, http: httpx.AsyncClient) -> None:
    job_id = await done(api)
    for path in ("slots/slot-001", f"results/{job_id}", f"results/{job_id}/preview"):
        assert (await http.get(f"{api.url}/public/{path}")).headers["x-robots-tag"] == "noindex, nofollow"


async def test_it_tells_nothing_of_provider_or_settings(api: Api, http: httpx.AsyncClient) -> None:
    await done(api)
    async with api.db.begin() as conn:
        await conn.execute(update(slot).values(display_name="Свадьба <b>"))
    body = (await http.get(f"{api.url}/public/slots/slot-001")).json()
    assert body["display_name"] == "Свадьба <b>"
    assert "gemini" not in str(body)
    assert set(body) == {"display_name", "results"}


async def test_expired_results_that_pile_up_are_not_all_walked_through(
    api: Api, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_results, "LOOKED_AT", 3)
    old = await done(api)
    await done(api, source="ui_test")
    newest = await done(api)
    assert await shown(api, http) == [newest, old]
    await done(api, result_expires_at=text("now()"))
    assert await shown(api, http) == [newest]
