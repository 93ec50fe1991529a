"""`/api/slots`: every mistake is named, nothing is saved by halves, and of two who save at once one gets through."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, select

from photochanger.tables import media_object, slot_template
from tests.administrators import bearer
from tests.queue_rows import until_blocked
from tests.serving import Api
from tests.slot_bodies import STYLE_TRANSFER, Slots, body, bound, template

pytestmark = pytest.mark.anyio


@pytest.fixture
async def slots(api: Api, http: httpx.AsyncClient) -> Slots:
    return Slots(api, http, await bearer(api))


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
