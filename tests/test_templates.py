"""Templates as rows: registered once, bound by role, and never deleted while a slot uses them, whoever comes first."""

import asyncio
import secrets
from collections.abc import Mapping

import pytest
from sqlalchemy import func, select

from photochanger import slot_rules, slots, templates
from photochanger.db import Database
from photochanger.errors import Failure, Refusal
from photochanger.tables import media_object, slot, slot_template
from tests.admin_pictures import checked, template_row
from tests.queue_rows import until_blocked

pytestmark = pytest.mark.anyio


def new_id() -> str:
    return secrets.token_hex(16)


async def bind(db: Database, slot_id: str, template_media: Mapping[str, str]) -> None:
    async with db.begin() as conn:
        await conn.execute(select(slot).where(slot.c.slot_id == slot_id).with_for_update())  # as who saves it has it
        slot_rules.refuse(await templates.unknown(conn, template_media))
        await templates.bind(conn, slot_id, template_media)


async def bound(db: Database, slot_id: str) -> Mapping[str, str]:
    async with db.at_once() as conn:
        found = await slots.get(conn, slot_id)
    assert found is not None
    return found.template_media


async def delete(db: Database, media_id: str) -> None:
    async with db.begin() as conn:
        await templates.delete(conn, media_id)


async def count(db: Database) -> int:
    async with db.at_once() as conn:
        return int((await conn.execute(select(func.count()).select_from(media_object))).scalar_one())


async def test_templates_come_newest_first_with_the_slots_that_use_them(db: Database) -> None:
    first, second = new_id(), new_id()
    await template_row(db, first, mark=b"1", title="Winter")
    await template_row(db, second, mark=b"2")
    await bind(db, "slot-003", {"style": first, "face": first})
    await bind(db, "slot-001", {"style": first})
    async with db.at_once() as conn:
        found = await templates.all_templates(conn)
    assert [(one.media_object_id, one.title, one.used_by) for one in found] == [
        (second, None, ()),
        (first, "Winter", ("slot-001", "slot-003")),
    ]
    assert (found[1].width, found[1].height, found[1].bytes, found[1].created_by) == (640, 480, 1000, "serg")
    assert found[1].path == f"templates/{first}.jpg"


async def test_the_same_picture_is_one_template_and_gets_a_title_if_it_had_none(db: Database) -> None:
    first = new_id()
    await template_row(db, first)
    assert (await template_row(db, new_id(), title="Winter")).media_object_id == first
    again = await template_row(db, new_id(), title="Summer")
    assert (again.media_object_id, again.title) == (first, "Winter")
    assert await count(db) == 1


async def test_the_same_picture_registered_by_twenty_at_once_is_one_template(db: Database) -> None:
    found = await asyncio.gather(*(template_row(db, new_id()) for _ in range(20)))
    assert len({one.media_object_id for one in found}) == 1
    assert await count(db) == 1


async def test_a_binding_replaces_all_that_the_slot_had(db: Database) -> None:
    one, two = new_id(), new_id()
    await template_row(db, one, mark=b"1")
    await template_row(db, two, mark=b"2")
    await bind(db, "slot-001", {"style": one, "face": two})
    await bind(db, "slot-001", {"style": two})
    assert await bound(db, "slot-001") == {"style": two}
    await bind(db, "slot-001", {})
    assert await bound(db, "slot-001") == {}


async def test_unknown_templates_are_named(db: Database) -> None:
    known = new_id()
    await template_row(db, known)
    wrong = {"style": new_id(), "face": "../../etc/passwd", "background": known}
    async with db.begin() as conn:
        assert await templates.unknown(conn, wrong) == {
            "template_media.style": "There is no such template.",
            "template_media.face": "There is no such template.",
        }
        assert await templates.unknown(conn, None) == {}


async def test_a_template_that_is_used_is_not_deleted_and_the_slots_are_named(db: Database) -> None:
    media_id = new_id()
    await template_row(db, media_id)
    await bind(db, "slot-002", {"style": media_id})
    await bind(db, "slot-001", {"face": media_id})
    with pytest.raises(Refusal) as caught:
        await delete(db, media_id)
    assert caught.value.failure is Failure.TEMPLATE_IN_USE
    assert caught.value.facts == {"conflict": {"slots": ["slot-001", "slot-002"]}}
    for slot_id in ("slot-001", "slot-002"):
        await bind(db, slot_id, {})
    await delete(db, media_id)
    assert await count(db) == 0


@pytest.mark.parametrize("media_id", ["0" * 32, "", "x", "A" * 32, "../slots", "0" * 33])
async def test_what_is_no_template_is_not_found(db: Database, media_id: str) -> None:
    with pytest.raises(Refusal) as caught:
        await delete(db, media_id)
    assert caught.value.failure is Failure.MEDIA_NOT_FOUND


async def test_a_deletion_waits_for_the_binding_that_came_first_and_is_refused(db: Database) -> None:
    media_id = new_id()
    await template_row(db, media_id)
    async with db.begin() as conn:
        assert await templates.unknown(conn, {"style": media_id}) == {}
        await templates.bind(conn, "slot-001", {"style": media_id})
        deleting = asyncio.create_task(delete(db, media_id))
        await until_blocked(db)
    with pytest.raises(Refusal) as caught:
        await deleting
    assert caught.value.failure is Failure.TEMPLATE_IN_USE
    assert await bound(db, "slot-001") == {"style": media_id}


async def test_a_binding_waits_for_the_deletion_that_came_first_and_is_refused(db: Database) -> None:
    media_id = new_id()
    await template_row(db, media_id)
    async with db.begin() as conn:
        await templates.delete(conn, media_id)
        binding = asyncio.create_task(bind(db, "slot-001", {"style": media_id}))
        await until_blocked(db)
    with pytest.raises(Refusal) as caught:
        await binding
    assert caught.value.failure is Failure.VALIDATION_FAILED
    assert await bound(db, "slot-001") == {}


async def test_of_a_deletion_and_bindings_at_once_one_side_wins_whole(db: Database) -> None:
    """Forty rounds: three slots bind the template while it is deleted."""
    for _ in range(40):
        media_id = new_id()
        await template_row(db, media_id, mark=media_id.encode())
        slot_ids = ("slot-001", "slot-002", "slot-003")
        doing = [delete(db, media_id), *(bind(db, slot_id, {"style": media_id}) for slot_id in slot_ids)]
        deleted, *binding = await asyncio.gather(*doing, return_exceptions=True)
        refused = [one for one in binding if isinstance(one, Refusal)]
        assert [one for one in (deleted, *binding) if not (one is None or isinstance(one, Refusal))] == []
        async with db.at_once() as conn:
            query = select(func.count()).where(slot_template.c.media_object_id == media_id)
            bindings = (await conn.execute(query)).scalar_one()
        if deleted is None:
            assert (bindings, len(refused)) == (0, 3)
        else:
            assert isinstance(deleted, Refusal)
            assert deleted.failure is Failure.TEMPLATE_IN_USE
            assert (bindings, len(refused)) == (3, 0)


async def test_two_bindings_of_one_slot_at_once_leave_one_of_them_whole(db: Database) -> None:
    one, two = new_id(), new_id()
    await template_row(db, one, mark=b"1")
    await template_row(db, two, mark=b"2")
    wanted = [{"style": one, "face": one}, {"style": two, "face": two}]
    for _ in range(10):
        await asyncio.gather(*(bind(db, "slot-001", which) for which in wanted * 2))
        assert await bound(db, "slot-001") in wanted


async def test_a_registration_that_is_rolled_back_leaves_no_template(db: Database) -> None:
    media_id = new_id()
    async with db.begin() as conn:
        await templates.register(conn, media_object_id=media_id, title=None, picture=checked(media_id), by="serg")
        await conn.rollback()
    assert await count(db) == 0
