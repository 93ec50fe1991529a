"""A slot's history: kept, told, restored; and a slot's settings copied to another."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, func, select, update

from photochanger import audit
from photochanger.tables import media_object, slot, slot_template, slot_version
from tests.administrators import bearer
from tests.serving import Api
from tests.slot_bodies import STYLE_TRANSFER, Slots, bound, template
from tests.test_contract import check

pytestmark = pytest.mark.anyio


@pytest.fixture
async def slots(api: Api, http: httpx.AsyncClient) -> Slots:
    return Slots(api, http, await bearer(api))


async def versions(slots: Slots, slot_id: str = "slot-001") -> list[dict[str, Any]]:
    answer = await slots.ask("GET", f"/api/slots/{slot_id}/versions")
    check(answer.json(), "SlotVersions")
    found: list[dict[str, Any]] = answer.json()["versions"]
    return found


async def restore(slots: Slots, wanted: int | str, *, version: int) -> httpx.Response:
    return await slots.ask("POST", f"/api/slots/slot-001/versions/{wanted}/restore", json={"version": version})


async def copy(slots: Slots, other: str, *, version: int) -> httpx.Response:
    return await slots.ask("POST", f"/api/slots/slot-001/copy-to/{other}", json={"version": version})


async def test_the_first_save_keeps_what_stood_before(slots: Slots) -> None:
    assert await versions(slots) == []
    before = await slots.get()
    await slots.saved(display_name="New", settings={**before["settings"], "prompt": "New"})
    saved, stood = await versions(slots)
    assert (stood["version"], stood["saved_by"], stood["changed"]) == (1, "migration", None)
    assert stood["saved_at"] == before["updated_at"]
    assert stood["document"]["settings"] == before["settings"]
    assert (saved["version"], saved["saved_by"]) == (2, "serg")
    assert saved["changed"] == ["display_name", "sync_response_seconds", "settings.prompt"]


async def test_the_last_twenty_are_kept(slots: Slots) -> None:
    for version in range(1, 25):
        await slots.saved(version=version, display_name=f"Saved as {version + 1}")
    kept = await versions(slots)
    assert [one["version"] for one in kept] == list(range(25, 5, -1))
    assert all(one["document"]["display_name"] == f"Saved as {one['version']}" for one in kept)


async def test_no_version_has_a_password(slots: Slots) -> None:
    await slots.saved(ingest_password="own-password")
    async with slots.api.db.begin() as conn:
        documents = (await conn.execute(select(slot_version.c.document))).scalars().all()
    assert "password" not in str(documents)


async def test_a_version_is_restored_as_a_new_one(slots: Slots) -> None:
    picture = await template(slots.api.db)
    fallback = {"provider": "gemini", "operation": "image_edit", "settings": {"prompt": "x"}}
    await slots.saved(display_name="With all", fallback=fallback, template_media=bound(picture), **STYLE_TRANSFER)
    wanted = await slots.get()
    await slots.saved(version=2, fallback=None, ingest_password="own-password", is_active=False)
    answer = await restore(slots, 2, version=3)
    assert answer.status_code == 200, answer.text
    check(answer.json(), "Slot")
    found = await slots.get()
    assert found == answer.json()
    assert {name for name in found if found[name] != wanted[name]} == {"version", "updated_at", "own_ingest_password"}
    assert (found["version"], found["own_ingest_password"]) == (4, True)
    async with slots.api.db.begin() as conn:
        line = (await audit.latest(conn, limit=1))[0]
    assert (line.event, line.details["restored"], line.details["version"]) == ("slot_restored", 2, 4)


async def test_a_version_whose_template_is_gone_is_not_restored(slots: Slots) -> None:
    picture = await template(slots.api.db)
    await slots.saved(template_media=bound(picture), **STYLE_TRANSFER)
    await slots.saved(version=2)
    async with slots.api.db.begin() as conn:
        await conn.execute(delete(media_object).where(media_object.c.media_object_id == picture))
    answer = await restore(slots, 2, version=3)
    assert answer.status_code == 422
    assert answer.json()["fields"] == {"template_media.style": "There is no such template."}
    assert (await slots.get())["version"] == 3


async def test_a_version_that_providers_json_no_longer_takes_is_not_restored(slots: Slots) -> None:
    await slots.saved()
    async with slots.api.db.begin() as conn:
        old = func.jsonb_set(slot_version.c.document, ["settings", "size"], func.to_jsonb("8K"))
        await conn.execute(update(slot_version).where(slot_version.c.version == 1).values(document=old))
    answer = await restore(slots, 1, version=2)
    assert set(answer.json()["fields"]) == {"settings.size"}


async def test_a_restore_needs_the_version_that_stands(slots: Slots) -> None:
    await slots.saved()
    await slots.saved(version=2)
    stale = await restore(slots, 1, version=2)
    assert (stale.status_code, stale.json()["conflict"]["version"]) == (409, 3)
    answers = await asyncio.gather(*(restore(slots, 1, version=3) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5


async def test_versions_that_are_not_kept_are_not_found(slots: Slots) -> None:
    await slots.saved()
    for wanted in (3, 0, "x", "1e3", "9" * 30, "-1", "%31%0A"):
        answer = await restore(slots, wanted, version=2)
        assert (answer.status_code, answer.json()["failure_reason"]) == (404, "not_found")


async def test_a_body_without_the_version_is_refused(slots: Slots) -> None:
    await slots.saved()
    for path in ("/api/slots/slot-001/versions/1/restore", "/api/slots/slot-001/copy-to/slot-002"):
        for given in ({}, {"version": "2"}, {"version": 2, "x": 1}, {"version": 2.0}):
            answer = await slots.ask("POST", path, json=given)
            assert (answer.status_code, answer.json()["failure_reason"]) == (422, "validation_failed")


async def test_another_slot_makes_the_same_pictures(slots: Slots) -> None:
    picture = await template(slots.api.db)
    fallback = {"provider": "gemini", "operation": "image_edit", "settings": {"prompt": "x"}}
    source = await slots.saved(
        display_name="Source", size_limit_mb=5, fallback=fallback, template_media=bound(picture), **STYLE_TRANSFER
    )
    before = await slots.saved("slot-002", display_name="Other", is_active=False, ingest_password="own-password")
    answer = await copy(slots, "slot-002", version=2)
    assert answer.status_code == 200, answer.text
    found = await slots.get("slot-002")
    assert found == answer.json()
    for name in ("provider", "operation", "settings", "fallback", "template_media"):
        assert found[name] == source[name]
    for name in ("display_name", "is_active", "size_limit_mb", "sync_response_seconds", "own_ingest_password"):
        assert found[name] == before[name]
    assert (found["version"], (await slots.get())["version"]) == (3, 2)
    assert (await versions(slots, "slot-002"))[0]["changed"] == [
        *("fallback", "operation", "provider", "template_media", "settings.prompt"),
    ]
    async with slots.api.db.begin() as conn:
        line = (await audit.latest(conn, limit=1))[0]
        bound_now = (await conn.execute(select(slot_template.c.slot_id))).scalars().all()
    assert (line.event, line.details["slot"], line.details["copied_from"]) == ("slot_copied", "slot-002", "slot-001")
    assert sorted(bound_now) == ["slot-001", "slot-002"]


async def test_a_copy_is_refused_where_it_cannot_be(slots: Slots) -> None:
    await slots.saved("slot-002")
    stale = await copy(slots, "slot-002", version=1)
    assert (stale.status_code, stale.json()["conflict"]["version"]) == (409, 2)
    assert (await copy(slots, "slot-016", version=1)).status_code == 404
    itself = await copy(slots, "slot-001", version=1)
    assert (itself.status_code, itself.json()["fields"]) == (422, {"other": "It is the same slot."})
    async with slots.api.db.begin() as conn:
        await conn.execute(update(slot).where(slot.c.slot_id == "slot-001").values(settings={"prompt": 5}))
    broken = await copy(slots, "slot-003", version=1)
    assert set(broken.json()["fields"]) == {"settings.prompt"}
