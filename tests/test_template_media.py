"""Template media over HTTP: registered, listed, looked at, deleted; and what a photo in work says without it."""

import asyncio
import hashlib
import os
import stat
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select, text, update

from cleanup.orphans import orphaned_files
from cleanup.sweep import sweep_all
from photochanger import templates
from photochanger.providers import Providers
from photochanger.tables import media_object, slot
from tests import pictures
from tests.admin_pictures import audit_lines, registered, tree, upload
from tests.administrators import bearer
from tests.booths import photo_bytes, post_photo
from tests.raw_http import queued
from tests.serving import Api, running, settings_for
from tests.simulated import opened
from tests.sweeping import scope
from tests.test_contract import check

pytestmark = pytest.mark.anyio

STYLE = photo_bytes(width=320, height=240, seed=7)


async def bind(api: Api, media_id: str, *, slot_id: str = "slot-001") -> None:
    async with api.db.begin() as conn:
        await templates.bind(conn, slot_id, {"style": media_id})


async def unbind(api: Api, *, slot_id: str = "slot-001") -> None:
    async with api.db.begin() as conn:
        await templates.bind(conn, slot_id, {})


async def test_a_template_is_registered_and_described(api: Api, http: httpx.AsyncClient) -> None:
    answer = await upload(api, http, STYLE, title="  Winter garden  ")
    assert answer.status_code == 201, answer.text
    body = answer.json()
    check(body, "Template")
    media_id = body["media_object_id"]
    assert (body["title"], body["mime"], body["created_by"]) == ("Winter garden", "image/jpeg", "serg")
    assert (body["width"], body["height"], body["used_by"]) == (320, 240, [])
    assert tree(api.media) == {f"templates/{media_id}.jpg", f"templates/previews/{media_id}.webp"}
    for name in tree(api.media):
        assert stat.S_IMODE((api.media.root / name).stat().st_mode) == 0o640
    async with api.db.at_once() as conn:
        row = (await conn.execute(select(media_object))).one()
    kept = api.media.path_of(row.path).read_bytes()
    assert (row.kind, row.bytes, row.sha256) == ("template", len(kept), hashlib.sha256(kept).digest())
    assert row.expires_at is None
    (line,) = await audit_lines(api.db)
    assert (line.event, line.actor, line.details["template"]) == ("template_registered", "serg", media_id)


async def test_pictures_come_with_an_etag_and_for_administrators_only(api: Api, http: httpx.AsyncClient) -> None:
    media_id = await registered(api, http)
    headers = await bearer(api)
    for suffix, kind in (("", "image/jpeg"), ("/preview", "image/webp")):
        url = f"{api.url}/api/template-media/{media_id}{suffix}"
        answer = await http.get(url, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
        assert answer.headers["cache-control"] == "private, no-cache"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert max(opened(answer.content).size) <= 640
        known = {**headers, "If-None-Match": answer.headers["etag"]}
        assert (await http.get(url, headers=known)).status_code == 304
        for strangers in ({}, {"If-None-Match": answer.headers["etag"]}):
            refused = await http.get(url, headers=strangers)
            assert (refused.status_code, refused.json()["failure_reason"]) == (401, "login_required")
    public = await http.get(f"{api.url}/public/provider-media/{media_id}")
    assert public.status_code == 404, "a template has no public link"


async def test_the_list_is_the_newest_first_with_used_by(api: Api, http: httpx.AsyncClient) -> None:
    first, second = await registered(api, http), await registered(api, http)
    await bind(api, first, slot_id="slot-004")
    answer = await http.get(f"{api.url}/api/template-media", headers=await bearer(api))
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()["templates"]
    for one in found:
        check(one, "Template")
    assert [(one["media_object_id"], one["used_by"]) for one in found] == [(second, []), (first, ["slot-004"])]


async def test_what_is_kept_is_upright_and_says_nothing_of_the_camera(api: Api, http: httpx.AsyncClient) -> None:
    for make in (pictures.talkative_jpeg, pictures.talkative_png, pictures.talkative_webp):
        answer = await upload(api, http, make(6))
        assert answer.status_code == 201, answer.text
        body = answer.json()
        assert (body["width"], body["height"]) == (pictures.HEIGHT, pictures.WIDTH)
    for name in tree(api.media):
        data = (api.media.root / name).read_bytes()
        assert b"CANARY" not in data, name
        assert not opened(data).getexif()


async def test_a_picture_is_a_template_once(api: Api, http: httpx.AsyncClient) -> None:
    """Also when only its metadata differs: what is kept is the same."""
    media_id = await registered(api, http, STYLE)
    before = tree(api.media)
    again = await upload(api, http, STYLE, title="Winter")
    assert (again.status_code, again.json()["media_object_id"], again.json()["title"]) == (200, media_id, "Winter")
    with_comment = STYLE[:2] + pictures.segment(0xFE, b"taken by Anna") + STYLE[2:]
    assert (await upload(api, http, with_comment)).json()["media_object_id"] == media_id
    assert tree(api.media) == before
    assert [line.event for line in await audit_lines(api.db)] == ["template_registered"]


async def test_ten_registrations_of_one_picture_at_once_keep_one_file(api: Api, http: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(upload(api, http, STYLE) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    (media_id,) = {answer.json()["media_object_id"] for answer in answers}
    assert tree(api.media) == {f"templates/{media_id}.jpg", f"templates/previews/{media_id}.webp"}


async def test_a_row_that_cannot_be_written_leaves_no_file(api: Api, http: httpx.AsyncClient) -> None:
    """Somebody else holds the same picture's row for longer than a statement waits."""
    media_id = await registered(api, http, STYLE)
    before = tree(api.media)
    async with api.db.begin() as conn:
        await templates.delete(conn, media_id)
        answer = await upload(api, http, STYLE)
        assert (answer.status_code, answer.json()["failure_reason"]) == (503, "database_unavailable")
        assert tree(api.media) == before
    assert (await upload(api, http, STYLE)).status_code == 201


async def test_a_lost_file_comes_back_with_the_same_picture(api: Api, http: httpx.AsyncClient) -> None:
    media_id = await registered(api, http, STYLE)
    url, headers = f"{api.url}/api/template-media/{media_id}", await bearer(api)
    before = (await http.get(url, headers=headers)).content
    api.media.discard(f"templates/{media_id}.jpg", f"templates/previews/{media_id}.webp")
    lost = await http.get(url, headers=headers)
    assert (lost.status_code, lost.json()["failure_reason"]) == (500, "media_lost")
    assert (await upload(api, http, STYLE)).json()["media_object_id"] == media_id
    assert (await http.get(url, headers=headers)).content == before
    assert (await http.get(f"{url}/preview", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("title", "sentence"),
    [
        ("x" * 201, "200 characters"),
        ("one\ntwo", "one line"),
        ("nul\0", "one line"),
        ("a\u2028b", "one line"),
    ],
)
async def test_a_title_that_cannot_be_taken_is_named(
    api: Api, http: httpx.AsyncClient, title: str, sentence: str
) -> None:
    answer = await upload(api, http, STYLE, title=title)
    assert (answer.status_code, answer.json()["failure_reason"]) == (422, "validation_failed")
    assert sentence in answer.json()["fields"]["title"]
    assert tree(api.media) == set()


async def test_titles_are_text_whatever_they_say(api: Api, http: httpx.AsyncClient) -> None:
    for title in ("<script>{{7*7}}</script>", "Зимний сад ❄️", "x" * 200, "'; DROP TABLE slot; --"):
        answer = await upload(api, http, photo_bytes(), title=title)
        assert (answer.status_code, answer.json()["title"]) == (201, title)


async def test_a_deleted_template_is_gone_with_its_files(api: Api, http: httpx.AsyncClient) -> None:
    media_id, headers = await registered(api, http), await bearer(api, account="igor")
    url = f"{api.url}/api/template-media/{media_id}"
    answer = await http.delete(url, headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert tree(api.media) == set()
    assert (await http.get(url, headers=headers)).json()["failure_reason"] == "media_not_found"
    assert (await http.delete(url, headers=headers)).status_code == 404
    line = (await audit_lines(api.db))[-1]
    assert (line.event, line.actor, line.details["template"]) == ("template_deleted", "igor", media_id)


async def test_a_template_that_a_slot_uses_is_not_deleted(api: Api, http: httpx.AsyncClient) -> None:
    media_id = await registered(api, http)
    await bind(api, media_id, slot_id="slot-002")
    await bind(api, media_id, slot_id="slot-011")
    answer = await http.delete(f"{api.url}/api/template-media/{media_id}", headers=await bearer(api))
    assert answer.status_code == 409
    check(answer.json(), "Refusal")
    assert answer.json()["failure_reason"] == "template_in_use"
    assert answer.json()["conflict"] == {"slots": ["slot-002", "slot-011"]}
    assert "slot-002, slot-011" in answer.json()["details"]
    assert len(tree(api.media)) == 2


async def test_templates_are_never_swept_and_their_orphans_are(api: Api, http: httpx.AsyncClient) -> None:
    kept = await registered(api, http)
    orphan = await registered(api, http)
    async with api.db.begin() as conn:  # a deletion that died between the row and the files
        await templates.delete(conn, orphan)
        await conn.execute(text("UPDATE media_object SET created_at = now() - interval '9 years'"))
    for name in tree(api.media):
        os.utime(api.media.root / name, (1, 1))
    assert (await orphaned_files(scope(api.db, api.media))).count == 2
    await sweep_all(scope(api.db, api.media))
    assert tree(api.media) == {f"templates/{kept}.jpg", f"templates/previews/{kept}.webp"}
    async with api.db.at_once() as conn:
        assert (await conn.execute(select(media_object.c.cleaned_at))).scalars().all() == [None]


async def styled(api: Api, http: httpx.AsyncClient) -> str:
    """A template that slot-001 needs."""
    media_id = await registered(api, http)
    await bind(api, media_id)
    async with api.db.begin() as conn:
        values = {"provider": "openai", "operation": "style_transfer", "settings": {}}
        await conn.execute(update(slot).where(slot.c.slot_id == "slot-001").values(**values))
    return media_id


@pytest.mark.parametrize("how", ["deleted", "file lost", "file damaged", "a link"])
async def test_a_photo_in_work_whose_template_is_gone_says_which(
    api: Api, http: httpx.AsyncClient, tmp_path: Path, known_providers: Providers, how: str
) -> None:
    media_id = await styled(api, http)
    posting = asyncio.create_task(post_photo(http, api.url, photo_bytes(seed=3)))
    await queued(api)
    file = api.media.path_of(f"templates/{media_id}.jpg")
    match how:
        case "deleted":
            await unbind(api)
            deleted = await http.delete(f"{api.url}/api/template-media/{media_id}", headers=await bearer(api))
            assert deleted.status_code == 204
        case "file lost":
            file.unlink()
        case "file damaged":
            file.write_bytes(file.read_bytes()[:500])
        case "a link":
            file.rename(tmp_path / "elsewhere.jpg")
            file.symlink_to(tmp_path / "elsewhere.jpg")
    url = api.services.settings.database_url
    assert url is not None
    settings = settings_for(tmp_path, url, OPENAI_API_KEY="key", OPENAI_BASE_URL="http://127.0.0.1:9/openai")
    async with running(settings, known_providers, url):
        answer = await posting
    assert (answer.status_code, answer.json()["failure_reason"]) == (500, "media_lost")
    assert "'style'" in answer.json()["details"]
    assert media_id in answer.json()["details"]
    assert not [name for name in tree(api.media) if name.startswith(("ingest/", "work/"))]
