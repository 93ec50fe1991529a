"""`POST /api/slots/{slot_id}/test-run`: a slot's form on a photo, through the real pipeline; what of it is refused."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, insert, select, text, update

from photochanger import app_settings, provider_media
from photochanger.providers import Providers
from photochanger.tables import job, job_input, media_object, slot
from simulators.gemini import KEY
from tests.administrators import bearer
from tests.booths import nothing_left, photo_bytes, post_photo
from tests.queue_rows import log_lines
from tests.raw_http import eventually, jobs_in
from tests.serving import Api, running, settings_for
from tests.simulated import Simulators, simulated
from tests.test_contract import check

pytestmark = pytest.mark.anyio

PHOTO = photo_bytes()
Parts = list[tuple[str, tuple[str | None, bytes]]]


async def tried(
    api: Api,
    http: httpx.AsyncClient,
    form: Any = None,
    *,
    photo: bytes = PHOTO,
    slot_id: str = "slot-001",
    query: str = "",
) -> httpx.Response:
    """A test run of this form; None sends none."""
    parts: Parts = [("test_image", ("photo.jpg", photo))]
    if form is not None:
        payload = form if isinstance(form, bytes) else json.dumps(form).encode()
        parts.append(("slot_payload", (None, payload)))
    return await posted(api, http, parts, slot_id=slot_id, query=query)


async def posted(
    api: Api, http: httpx.AsyncClient, parts: Parts, *, slot_id: str = "slot-001", query: str = ""
) -> httpx.Response:
    url = f"{api.url}/api/slots/{slot_id}/test-run{query}"
    return await http.post(url, files=parts, headers=await bearer(api))


async def accepted(api: Api, http: httpx.AsyncClient, form: Any = None, **given: Any) -> Any:
    answer = await tried(api, http, form, **given)
    assert answer.status_code == 202, answer.text
    check(answer.json(), "JobAccepted")
    return answer.json()


async def fields(api: Api, http: httpx.AsyncClient, form: Any) -> dict[str, str]:
    """The fields that are refused."""
    answer = await tried(api, http, form)
    body = answer.json()
    check(body, "Refusal")
    assert (answer.status_code, body["failure_reason"]) == (422, "validation_failed"), (form, body)
    named: dict[str, str] = body["fields"]
    return named


async def input_of(api: Api, job_id: str) -> Any:
    async with api.db.begin() as conn:
        return (await conn.execute(select(job_input).where(job_input.c.job_id == job_id))).one()


async def template(api: Api, *, kind: str = "template") -> str:
    """A template picture that no slot has."""
    media_id = provider_media.new_media_id()
    path = f"templates/{media_id}.jpg"
    api.media.path_of(path).write_bytes(PHOTO)
    row = {"media_object_id": media_id, "kind": kind, "path": path, "mime": "image/jpeg", "bytes": len(PHOTO)}
    async with api.db.begin() as conn:
        expires = None if kind == "template" else func.now()
        await conn.execute(
            insert(media_object).values(**row, sha256=b"s" * 32, created_at=func.now(), expires_at=expires)
        )
    return media_id


@pytest.fixture
async def gemini(api: Api, tmp_path: Path, database_url: str, known_providers: Providers) -> AsyncIterator[Simulators]:
    """A runner, and the provider it asks."""
    async with simulated() as simulators:
        told = {"GEMINI_API_KEY": KEY, "GEMINI_BASE_URL": f"{simulators.url}/gemini"}
        async with running(settings_for(tmp_path, database_url, **told), known_providers, database_url):
            yield simulators


async def test_an_unsaved_form_goes_the_whole_way(api: Api, http: httpx.AsyncClient, gemini: Simulators) -> None:
    answer = await accepted(api, http, {"settings": {"prompt": "В стиле Рембрандта"}, "is_active": False})

    async def shown() -> Any:
        return (await http.get(answer["status_url"])).json()

    assert (await shown())["expires_at"] == answer["deadline"]

    async def is_done() -> bool:
        return bool((await shown())["status"] == "done")

    await eventually(is_done, seconds=30)
    picture = await http.get((await shown())["result_url"])
    assert picture.headers["content-type"].startswith("image/")
    (request,) = [one for one in await gemini.read("requests") if "behaviour" in one]
    assert "В стиле Рембрандта" in json.dumps(request, ensure_ascii=False)
    async with api.db.begin() as conn:
        saved = (await conn.execute(select(slot).where(slot.c.slot_id == "slot-001"))).one()
    assert (saved.version, saved.is_active) == (1, True)
    assert "Рембрандта" not in saved.settings["prompt"]
    assert not list(api.media.folder("ingest").iterdir())


async def test_with_wait_the_answer_is_the_ended_job(api: Api, http: httpx.AsyncClient, gemini: Simulators) -> None:
    answer = await tried(api, http, query="?wait=1")
    assert answer.status_code == 200
    check(answer.json(), "Job")
    assert answer.json()["status"] == "done"
    assert (await http.get(answer.json()["result_url"])).status_code == 200
    await gemini.behave("unavailable")
    failed = await tried(api, http, {"settings": {"prompt": "x", "retries": 0}}, query="?wait=1")
    check(failed.json(), "Job")
    assert (failed.status_code, failed.json()["status"]) == (200, "failed")
    assert not list(api.media.folder("ingest").iterdir())


async def test_it_is_apart_from_the_booths_photos(api: Api, http: httpx.AsyncClient, gemini: Simulators) -> None:
    booth = await post_photo(http, api.url, PHOTO)
    test = (await tried(api, http, query="?wait=1")).json()
    again = (await tried(api, http, query="?wait=1")).json()
    assert len({booth.headers["x-job-id"], test["job_id"], again["job_id"]}) == 3
    shown = (await http.get(f"{api.url}/public/slots/slot-001")).json()["results"]
    assert [result["result_url"] for result in shown] == [booth.headers["x-result-url"]]
    page = (await http.get(f"{api.url}/api/jobs?source=ui_test", headers=await bearer(api))).json()
    assert [line["job_id"] for line in page["jobs"]] == [again["job_id"], test["job_id"]]


async def test_what_the_form_leaves_out_is_as_it_is_saved(api: Api, http: httpx.AsyncClient) -> None:
    saved = await input_of(api, (await accepted(api, http))["job_id"])
    assert "elegant studio portrait" in saved.snapshot["settings"]["prompt"]
    assert (saved.slot_version, saved.snapshot["slot_version"], saved.booth_fields) == (1, 1, {})
    assert saved.photo_sha256 == hashlib.sha256(PHOTO).digest()
    settings = {"prompt": "another", "model": "gemini-3-pro-image", "retries": 2}
    form = {"display_name": "X", "settings": settings, "sync_response_seconds": 20, "fallback": None, "version": 1}
    answer = await accepted(api, http, form)
    tested = await input_of(api, answer["job_id"])
    assert (tested.slot_version, tested.snapshot["settings"]) == (None, settings)
    async with api.db.begin() as conn:
        queued = (await conn.execute(select(job).where(job.c.job_id == answer["job_id"]))).one()
    assert (queued.source, queued.max_attempts, (queued.expires_at - queued.created_at).seconds) == ("ui_test", 3, 20)


async def test_the_form_may_be_what_the_slot_says_of_itself(api: Api, http: httpx.AsyncClient) -> None:
    shown = (await http.get(f"{api.url}/api/slots/slot-001", headers=await bearer(api))).json()
    tested = await input_of(api, (await accepted(api, http, shown))["job_id"])
    assert tested.snapshot["settings"] == shown["settings"]


async def test_another_provider_and_templates_that_no_slot_has_are_tried(api: Api, http: httpx.AsyncClient) -> None:
    style = await template(api)
    media = [{"media_kind": "style", "media_object_id": style}]
    form = {"provider": "openai", "operation": "style_transfer", "settings": {}, "template_media": media}
    tested = await input_of(api, (await accepted(api, http, form))["job_id"])
    assert (tested.snapshot["provider"], tested.snapshot["template_media"]) == ("openai", {"style": style})


async def test_it_works_on_a_slot_that_is_switched_off(api: Api, http: httpx.AsyncClient) -> None:
    async with api.db.begin() as conn:
        await conn.execute(update(slot).values(is_active=False))
    await accepted(api, http)


GOOD = {"prompt": "x"}
PLAN = {"provider": "gemini", "operation": "image_edit", "settings": GOOD}


@pytest.mark.parametrize(
    ("form", "named"),
    [
        ({"settings": {}}, {"settings.prompt"}),
        ({"settings": {"prompt": ""}}, {"settings.prompt"}),
        ({"settings": {"prompt": "x" * 8001}}, {"settings.prompt"}),
        ({"settings": {"prompt": "a\0b"}}, {"settings.prompt"}),
        ({"settings": {"prompt": "\ud800"}}, {"settings.prompt"}),
        ({"settings": {**GOOD, "retries": 4, "model": "gpt", "temperature": 1}},
         {"settings.retries", "settings.model", "settings.temperature"}),
        ({"settings": []}, {"settings"}),
        ({"provider": "nobody"}, {"provider"}),
        ({"provider": 7}, {"provider"}),
        ({"operation": "style_transfer"}, {"operation"}),
        ({"provider": "turbotext", "operation": "object_replace"}, {"operation"}),
        ({"provider": "openai", "operation": "style_transfer", "settings": {}}, {"template_media.style"}),
        ({"template_media": [{"media_kind": "style", "media_object_id": "0" * 32}]}, {"template_media.style"}),
        ({"template_media": [{"media_kind": "style"}]}, {"template_media.0.media_object_id"}),
        ({"template_media": [{"media_kind": "s", "media_object_id": "../x"}]}, {"template_media.0.media_object_id"}),
        ({"template_media": None}, {"template_media"}),
        ({"fallback": {**PLAN, "provider": "nobody"}}, {"fallback.provider"}),
        ({"fallback": {**PLAN, "settings": {}}}, {"fallback.settings.prompt"}),
        ({"fallback": {"provider": "gemini"}}, {"fallback.operation", "fallback.settings"}),
        ({"size_limit_mb": 0}, {"size_limit_mb"}),
        ({"size_limit_mb": 21}, {"size_limit_mb"}),
        ({"size_limit_mb": "15"}, {"size_limit_mb"}),
        ({"sync_response_seconds": 9}, {"sync_response_seconds"}),
        ({"sync_response_seconds": 48.5}, {"sync_response_seconds"}),
        ({"sync_response_seconds": True}, {"sync_response_seconds"}),
        ({"is_active": "yes", "display_name": ""}, {"is_active", "display_name"}),
        ({"settings": {**GOOD, "retries": 2.0}}, {"settings.retries"}),
        ({"ingest_password_hash": "x"}, {"ingest_password_hash"}),
    ],
)  # fmt: skip
async def test_a_field_that_cannot_be_taken_is_named(
    api: Api, http: httpx.AsyncClient, form: Any, named: set[str]
) -> None:
    told = await fields(api, http, form)
    assert set(told) == named
    assert all(len(sentence) <= 200 for sentence in told.values())
    nothing_left(api.media)
    assert await jobs_in(api) == 0


async def test_a_picture_that_is_no_template_cannot_be_one(api: Api, http: httpx.AsyncClient) -> None:
    media = [{"media_kind": "style", "media_object_id": await template(api, kind="upload")}]
    assert set(await fields(api, http, {"template_media": media})) == {"template_media.style"}


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"NaN", b'{"settings": NaN}', b"\xff", b"[" * 50_000])
async def test_a_form_that_is_no_json_object_is_an_invalid_request(
    api: Api, http: httpx.AsyncClient, raw: bytes
) -> None:
    answer = await tried(api, http, raw)
    assert (answer.status_code, answer.json()["failure_reason"]) == (400, "invalid_request")
    nothing_left(api.media)


@pytest.mark.parametrize(
    ("photo", "expected"),
    [
        (b"", (400, "invalid_image")),
        (b"<html>" * 100, (415, "unsupported_media_type")),
        (photo_bytes(width=32), (400, "invalid_image")),
        (PHOTO + b"x" * (15 * 1024 * 1024), (413, "payload_too_large")),
        (PHOTO + b"x" * (21 * 1024 * 1024), (413, "payload_too_large")),
    ],
)
async def test_the_photo_passes_the_same_checks_as_a_booths(
    api: Api, http: httpx.AsyncClient, photo: bytes, expected: tuple[int, str]
) -> None:
    answer = await tried(api, http, photo=photo)
    assert (answer.status_code, answer.json()["failure_reason"]) == expected
    nothing_left(api.media)


async def test_the_forms_own_limit_counts_wherever_it_stands(api: Api, http: httpx.AsyncClient) -> None:
    large = PHOTO + b"x" * (16 * 1024 * 1024)
    payload: Parts = [("slot_payload", (None, b'{"size_limit_mb": 17}'))]
    image: Parts = [("test_image", ("a.jpg", large))]
    for parts in (payload + image, image + payload):
        assert (await posted(api, http, parts)).status_code == 202
    answer = await tried(api, http, {"size_limit_mb": 1}, photo=PHOTO + b"x" * 1024 * 1024)
    assert (answer.status_code, answer.json()["details"]) == (413, "The slot takes photos of up to 1 MB.")


async def test_parts_that_are_missing_too_many_or_unknown_are_told(api: Api, http: httpx.AsyncClient) -> None:
    image: Parts = [("test_image", ("a.jpg", PHOTO))]
    cases: list[tuple[Parts, str]] = [
        ([("slot_payload", (None, b"{}"))], "test_image"),
        (image + image, "test_image"),
        ([*image, ("slot_payload", (None, b"x" * 300_000))], ""),
    ]
    for parts, told in cases:
        answer = await posted(api, http, parts)
        assert answer.status_code in {400, 413}
        assert told in answer.json()["details"]
    strange = await posted(api, http, [*image, ("password", (None, b"x"))])
    assert (strange.status_code, list(strange.json()["fields"])) == (422, ["password"])
    wait = await tried(api, http, query="?wait=yes")
    assert (wait.status_code, list(wait.json()["fields"])) == (422, ["wait"])
    nothing_left(api.media)


async def test_only_administrators_test_and_only_slots_that_exist(api: Api, http: httpx.AsyncClient) -> None:
    files = {"test_image": ("a.jpg", PHOTO)}
    stranger = await http.post(f"{api.url}/api/slots/slot-001/test-run", files=files)
    assert (stranger.status_code, stranger.json()["failure_reason"]) == (401, "login_required")
    for slot_id in ("slot-016", "x", "слот-001"):
        answer = await tried(api, http, slot_id=slot_id)
        assert (answer.status_code, answer.json()["failure_reason"]) == (404, "slot_not_found")
    nothing_left(api.media)


async def test_the_slots_limit_of_photos_in_work_counts(api: Api, http: httpx.AsyncClient) -> None:
    for _ in range(3):
        await accepted(api, http)
    answer = await tried(api, http)
    assert (answer.status_code, answer.json()["failure_reason"]) == (429, "rate_limited")
    assert len(list(api.media.folder("ingest").iterdir())) == 3


async def test_who_tested_is_in_the_jobs_log(api: Api, http: httpx.AsyncClient) -> None:
    job_id = (await accepted(api, http, {}))["job_id"]
    (line,) = [line for line in await log_lines(api.db, job_id) if line.event == "slot_tested"]
    assert (line.actor, line.details) == ("serg", {"slot": "slot-001", "unsaved": True})


async def test_a_test_that_nobody_works_on_is_closed_at_its_deadline(api: Api, http: httpx.AsyncClient) -> None:
    async with api.db.begin() as conn:
        await app_settings.store(conn, "sync_response_seconds", 2, by="test")
    answer = await accepted(api, http)
    waited = await tried(api, http, query="?wait=1")
    assert (waited.status_code, waited.json()["status"]) == (200, "timeout")

    async def closed() -> bool:
        return bool((await http.get(answer["status_url"])).json()["status"] == "timeout")

    await eventually(closed)
    await eventually(lambda: not list(api.media.folder("ingest").iterdir()))


async def test_a_mistake_of_ours_leaves_no_photo_behind(api: Api, http: httpx.AsyncClient) -> None:
    headers = await bearer(api)
    async with api.db.begin() as conn:
        await conn.execute(text("ALTER TABLE processing_log RENAME TO elsewhere"))
    url = f"{api.url}/api/slots/slot-001/test-run"
    answer = await http.post(url, files={"test_image": ("a.jpg", PHOTO)}, headers=headers)
    assert (answer.status_code, answer.json()["failure_reason"]) == (500, "internal_error")
    nothing_left(api.media)
