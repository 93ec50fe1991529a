"""`/api/slots`: what administrators see of a slot and how they save it."""

import httpx
import pytest
from sqlalchemy import text, update

from photochanger import audit
from photochanger.tables import job, slot
from tests.administrators import bearer
from tests.booths import photo_bytes, post_photo
from tests.results import finished_job
from tests.serving import Api
from tests.slot_bodies import Slots, body, bound, template
from tests.test_contract import check

pytestmark = pytest.mark.anyio


@pytest.fixture
async def slots(api: Api, http: httpx.AsyncClient) -> Slots:
    return Slots(api, http, await bearer(api))


async def test_who_is_not_logged_in_sees_and_changes_nothing(api: Api, http: httpx.AsyncClient) -> None:
    for method, path in (
        ("GET", "/api/slots"),
        ("GET", "/api/slots/slot-001"),
        ("PUT", "/api/slots/slot-001"),
        ("GET", "/api/slots/slot-001/versions"),
        ("POST", "/api/slots/slot-001/versions/1/restore"),
        ("POST", "/api/slots/slot-001/copy-to/slot-002"),
        ("GET", "/api/providers"),
    ):
        answer = await http.request(method, f"{api.url}{path}", json=body())
        assert (answer.status_code, answer.json()["failure_reason"]) == (401, "login_required")


async def test_all_fifteen_are_listed_in_their_order(slots: Slots) -> None:
    answer = await slots.ask("GET", "/api/slots")
    check(answer.json(), "SlotList")
    listed = answer.json()["slots"]
    assert [one["slot_id"] for one in listed] == [f"slot-{number:03}" for number in range(1, 16)]
    assert all(one["problems"] == {} and one["version"] == 1 for one in listed)
    assert answer.headers["cache-control"] == "no-store"


async def test_a_slot_is_told_whole(slots: Slots) -> None:
    picture = await template(slots.api.db)
    job_id, _ = await finished_job(slots.api)
    await slots.saved(template_media=bound(picture), ingest_password="own-password")
    found = await slots.get()
    check(found, "Slot")
    url = slots.api.url
    assert found["ingest_url"] == f"{url}/ingest/slot-001"
    assert (found["version"], found["updated_by"]) == (2, "serg")
    assert found["own_ingest_password"] is True
    assert "own-password" not in str(found)
    assert "$2b$" not in str(found)
    assert found["template_media"] == [
        {"media_kind": "style", "media_object_id": picture, "title": "Watercolour"},
    ]
    (shown,) = found["recent_results"]
    assert shown["job_id"] == job_id
    assert shown["result_url"] == f"{url}/public/results/{job_id}"
    assert shown["preview_url"] == f"{url}/public/results/{job_id}/preview"


async def test_only_results_that_can_be_fetched_and_came_from_booths_are_shown(slots: Slots) -> None:
    for change in (
        {"source": "ui_test"},
        {"result_expires_at": text("now() - interval '1 second'")},
        {"result_path": None, "preview_path": None},
        {"slot_id": "slot-002"},
    ):
        job_id, _ = await finished_job(slots.api)
        async with slots.api.db.begin() as conn:
            await conn.execute(update(job).where(job.c.job_id == job_id).values(change))
    assert (await slots.get())["recent_results"] == []


async def test_the_last_ten_results_are_shown_the_newest_first(slots: Slots) -> None:
    made = [(await finished_job(slots.api))[0] for _ in range(12)]
    assert [one["job_id"] for one in (await slots.get())["recent_results"]] == made[:1:-1]


async def test_what_is_saved_is_what_is_told(slots: Slots) -> None:
    fallback = {"provider": "openai", "operation": "image_edit", "settings": {"prompt": "the same"}}
    given = body(
        display_name="Портрет «Весна»", size_limit_mb=20, sync_response_seconds=None, is_active=False, fallback=fallback
    )
    answer = await slots.ask("PUT", "/api/slots/slot-003", json=given)
    assert answer.status_code == 200, answer.text
    check(answer.json(), "Slot")
    found = await slots.get("slot-003")
    assert answer.json() == found
    assert {name: found[name] for name in given if name != "version"} == {
        name: value for name, value in given.items() if name != "version"
    }


async def test_a_program_may_send_back_what_it_got(slots: Slots) -> None:
    await slots.saved(template_media=bound(await template(slots.api.db)))
    found = await slots.get()
    check(found, "SlotBody")
    answer = await slots.ask("PUT", "/api/slots/slot-001", json={**found, "display_name": "Renamed"})
    assert answer.status_code == 200, answer.text
    after = answer.json()
    told = {"display_name", "version", "updated_at"}
    assert {name for name in found if found[name] != after[name]} == told


async def test_what_is_left_out_stays_and_null_removes_it(slots: Slots) -> None:
    picture = await template(slots.api.db)
    plan = {"provider": "openai", "operation": "image_edit", "settings": {"prompt": "x"}}
    await slots.saved(fallback=plan, template_media=bound(picture), ingest_password="own-password")
    short = {name: value for name, value in body(version=2).items() if name != "template_media"}
    kept = (await slots.ask("PUT", "/api/slots/slot-001", json=short)).json()
    assert (kept["fallback"], len(kept["template_media"]), kept["own_ingest_password"]) == (plan, 1, True)
    gone = await slots.saved(version=3, fallback=None, ingest_password=None)
    assert (gone["fallback"], gone["template_media"], gone["own_ingest_password"]) == (None, [], False)


async def test_the_next_photo_obeys_at_once(slots: Slots, http: httpx.AsyncClient) -> None:
    await slots.saved(ingest_password="a new password", is_active=True)
    refused = await post_photo(http, slots.api.url, photo_bytes())
    assert refused.json()["failure_reason"] == "invalid_password"
    wrong_hash = await post_photo(http, slots.api.url, photo_bytes(), password=b"a new password", hash_="0" * 32)
    assert wrong_hash.json()["failure_reason"] == "hash_mismatch"
    await slots.saved(version=2, is_active=False)
    assert (await post_photo(http, slots.api.url, photo_bytes())).json()["failure_reason"] == "slot_disabled"


async def test_a_template_the_operation_does_not_need_may_be_bound_for_later(slots: Slots) -> None:
    """The document in product.md does so: Gemini, and a background."""
    picture = await template(slots.api.db)
    saved = await slots.saved(template_media=bound(picture, role="background"))
    assert [one["media_kind"] for one in saved["template_media"]] == ["background"]


async def test_a_slot_that_its_provider_would_refuse_now_says_so(slots: Slots) -> None:
    async with slots.api.db.begin() as conn:
        await conn.execute(update(slot).where(slot.c.slot_id == "slot-001").values(operation="style_transfer"))
    assert (await slots.get())["problems"] == {"operation": "Google Gemini has no such operation."}


async def test_every_save_has_its_line_in_the_log(slots: Slots) -> None:
    await slots.saved(settings={"prompt": "New", "size": "2K"}, ingest_password="own-password")
    await slots.put()
    async with slots.api.db.begin() as conn:
        (line,) = await audit.latest(conn)
    assert (line.event, line.actor) == ("slot_saved", "serg")
    assert line.details == {
        "slot": "slot-001",
        "version": 2,
        "changed": [
            *("sync_response_seconds", "settings.prompt", "settings.repeat_interrupted", "settings.retries"),
            *("settings.size", "ingest_password"),
        ],
    }


async def test_the_forms_of_slots_find_all_they_need(slots: Slots) -> None:
    answer = await slots.ask("GET", "/api/providers")
    check(answer.json(), "ProviderList")
    gemini = answer.json()["providers"]["gemini"]
    assert gemini["title"] == "Google Gemini"
    assert gemini["key_configured"] is False
    assert gemini["operations"]["image_edit"]["settings_schema"]["required"] == ["prompt"]
    assert gemini["models"]["gemini-nano-banana-2.1"]["price"]["per_picture_usd"]["1K"] == 0.0336
    assert gemini["models"]["gemini-2.5-flash-image"]["replacement"] == "gemini-nano-banana-2.1"
    assert answer.json()["providers"]["openai"]["operations"]["style_transfer"]["media_roles"] == ["style"]
