"""`/api/slots`: what administrators see of a slot and how they save it, whole or not at all."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, select, text, update

from photochanger import audit
from photochanger.tables import job, media_object, slot, slot_template
from tests.administrators import bearer
from tests.booths import photo_bytes, post_photo
from tests.queue_rows import until_blocked
from tests.results import finished_job
from tests.serving import Api
from tests.slot_bodies import STYLE_TRANSFER, Slots, body, bound, template
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


DEEP = b'{"display_name":' + b"[" * 900 + b"]" * 900 + b"}"
WRONG: dict[str, tuple[dict[str, Any], set[str]]] = {
    "types": (
        {"display_name": 5, "is_active": "yes", "size_limit_mb": True, "sync_response_seconds": "48", "settings": []},
        {"display_name", "is_active", "size_limit_mb", "sync_response_seconds", "settings"},
    ),
    "ranges": (
        {"display_name": "x" * 201, "size_limit_mb": 21, "sync_response_seconds": 61},
        {"display_name", "size_limit_mb", "sync_response_seconds"},
    ),
    "no whole numbers": (
        {"size_limit_mb": 15.0, "sync_response_seconds": 48.5},
        {"size_limit_mb", "sync_response_seconds"},
    ),
    "names that are none": ({"display_name": " \t "}, {"display_name"}),
    "a name of two lines": ({"display_name": "a\nb"}, {"display_name"}),
    "unknown fields": ({"colour": "red", "ingest_password_hash": "x"}, {"colour", "ingest_password_hash"}),
    "an unknown provider": ({"provider": "nobody"}, {"provider"}),
    "a foreign operation": ({"operation": "identity_transfer"}, {"operation"}),
    "an operation that is off": ({"provider": "turbotext", "operation": "object_replace"}, {"operation"}),
    "settings outside of the schema": (
        {"settings": {"retries": 4, "surprise": 1}},
        {"settings.prompt", "settings.retries", "settings.surprise"},
    ),
    "a prompt over its limit": ({"settings": {"prompt": "x" * 8001}}, {"settings.prompt"}),
    "a prompt that cannot be kept": ({"settings": {"prompt": "x\0"}}, {"settings.prompt"}),
    "settings the model does not take": (
        {"settings": {"prompt": "x", "model": "gemini-3.1-flash-lite-image", "size": "4K"}},
        {"settings.size"},
    ),
    "all at once": (
        {
            "display_name": "",
            "settings": {"size": "8K"},
            "fallback": {"provider": "x", "operation": "y", "settings": {}},
        },
        {"display_name", "settings.prompt", "settings.size", "fallback.provider"},
    ),
    "a fallback of another shape": ({"fallback": {"provider": "openai"}}, {"fallback.operation", "fallback.settings"}),
    "a fallback's settings": (
        {"fallback": {"provider": "openai", "operation": "image_edit", "settings": {"prompt": "x", "size": "999x999"}}},
        {"fallback.settings.size"},
    ),
    "the same once more": (
        {
            "fallback": {
                "provider": "gemini",
                "operation": "image_edit",
                "settings": {"prompt": "Studio portrait", "retries": 3},
            }
        },
        {"fallback"},
    ),
    "a missing template": ({**STYLE_TRANSFER, "template_media": []}, {"template_media.style"}),
    "a template the fallback misses": ({"fallback": STYLE_TRANSFER}, {"template_media.style"}),
    "an unknown template": ({"template_media": bound("0" * 32)}, {"template_media.style"}),
    "an id that is none": ({"template_media": bound("0" * 32 + "\n")}, {"template_media.0.media_object_id"}),
    "one role twice": ({"template_media": bound("0" * 32) * 2}, {"template_media.style"}),
    "a password that is too short": ({"ingest_password": "short"}, {"ingest_password"}),
    "a password of two lines": ({"ingest_password": "own-password\n"}, {"ingest_password"}),
    "a password that is no text": ({"ingest_password": 12345678}, {"ingest_password"}),
}


@pytest.mark.parametrize("name", WRONG)
async def test_every_mistake_is_named_and_nothing_is_saved(slots: Slots, name: str) -> None:
    changes, places = WRONG[name]
    assert set(await slots.fields(**changes)) == places


@pytest.mark.parametrize("missing", ["display_name", "provider", "operation", "settings", "is_active", "version"])
async def test_a_body_without_a_field_is_refused(slots: Slots, missing: str) -> None:
    answer = await slots.ask(
        "PUT", "/api/slots/slot-001", json={name: value for name, value in body().items() if name != missing}
    )
    assert answer.status_code == 422
    assert answer.json()["fields"] == {missing: "It is missing."}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "48.0", "1e9", "null", '"48"', "true"])
async def test_a_number_that_is_none_is_named(slots: Slots, number: str) -> None:
    raw = f'{{"version": 1, "size_limit_mb": {number}}}'
    answer = await slots.ask("PUT", "/api/slots/slot-001", content=raw)
    assert answer.status_code == 422
    assert answer.json()["fields"]["size_limit_mb"] == "It must be a whole number from 1 to 20."


async def test_a_body_that_is_no_document_is_refused(slots: Slots) -> None:
    for raw, status in (
        (b"", 400),
        (b"[]", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b"{}", 422),
        (b'{"a":' * 9000, 400),
        (DEEP, 422),
    ):
        answer = await slots.ask("PUT", "/api/slots/slot-001", content=raw)
        assert (raw[:10], answer.status_code) == (raw[:10], status)
    assert (await slots.ask("PUT", "/api/slots/slot-001", content=b" " * 300_000)).status_code == 413


async def test_a_picture_that_is_no_template_is_not_bound(slots: Slots) -> None:
    upload = await template(slots.api.db, kind="upload")
    assert set(await slots.fields(template_media=bound(upload))) == {"template_media.style"}


async def test_a_template_the_operation_does_not_need_may_be_bound_for_later(slots: Slots) -> None:
    """The document in product.md does so: Gemini, and a background."""
    picture = await template(slots.api.db)
    saved = await slots.saved(template_media=bound(picture, role="background"))
    assert [one["media_kind"] for one in saved["template_media"]] == ["background"]


async def test_slots_that_are_none_are_not_found(slots: Slots) -> None:
    for slot_id in ("slot-016", "slot-1", "%2e%2e", "SLOT-001", "slot-001%00", "x" * 300):
        for method, path in (("GET", ""), ("PUT", ""), ("GET", "/versions"), ("POST", "/versions/1/restore")):
            answer = await slots.ask(method, f"/api/slots/{slot_id}{path}", json=body())
            assert (answer.status_code, answer.json()["failure_reason"]) == (404, "slot_not_found")


async def test_a_stale_version_is_told_who_was_first(slots: Slots, api: Api, http: httpx.AsyncClient) -> None:
    igor = Slots(api, http, await bearer(api, account="igor"))
    saved = await igor.saved(display_name="Igor's")
    answer = await slots.put(display_name="Serg's")
    assert (answer.status_code, answer.json()["failure_reason"]) == (409, "version_conflict")
    conflict = {"version": 2, "updated_by": "igor", "updated_at": saved["updated_at"]}
    assert answer.json()["conflict"] == conflict
    assert (await slots.get())["display_name"] == "Igor's"
    for version in (0, 3, 99):
        assert (await slots.put(version=version)).status_code == (422 if version == 0 else 409)


async def test_of_two_who_save_at_once_exactly_one_gets_through(slots: Slots) -> None:
    for version in range(1, 6):
        answers = await asyncio.gather(*(slots.put(version=version, display_name=f"n{n}") for n in range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
        (won,) = [answer.json() for answer in answers if answer.status_code == 200]
        assert await slots.get() == won


async def test_a_template_that_goes_at_this_moment_is_not_bound(slots: Slots) -> None:
    picture = await template(slots.api.db)
    async with slots.api.db.begin() as conn:
        await conn.execute(delete(media_object).where(media_object.c.media_object_id == picture))
        saving = asyncio.create_task(slots.put(template_media=bound(picture), **STYLE_TRANSFER))
        await until_blocked(slots.api.db)
    answer = await saving
    assert answer.json()["fields"] == {"template_media.style": "There is no such template."}
    async with slots.api.db.begin() as conn:
        assert (await conn.execute(select(slot_template))).all() == []


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
