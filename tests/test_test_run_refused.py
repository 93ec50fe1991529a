"""`POST /api/slots/{slot_id}/test-run`: what of a form, a picture and a visitor is refused, and what that leaves."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.administrators import bearer
from tests.booths import nothing_left, photo_bytes
from tests.raw_http import jobs_in
from tests.serving import Api
from tests.test_contract import check
from tests.trial_runs import PHOTO, Parts, accepted, posted, template, tried

pytestmark = pytest.mark.anyio


async def fields(api: Api, http: httpx.AsyncClient, form: Any) -> dict[str, str]:
    """The fields that are refused."""
    answer = await tried(api, http, form)
    body = answer.json()
    check(body, "Refusal")
    assert (answer.status_code, body["failure_reason"]) == (422, "validation_failed"), (form, body)
    named: dict[str, str] = body["fields"]
    return named


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


async def test_a_mistake_of_ours_leaves_no_photo_behind(api: Api, http: httpx.AsyncClient) -> None:
    headers = await bearer(api)
    async with api.db.begin() as conn:
        await conn.execute(text("ALTER TABLE processing_log RENAME TO elsewhere"))
    url = f"{api.url}/api/slots/slot-001/test-run"
    answer = await http.post(url, files={"test_image": ("a.jpg", PHOTO)}, headers=headers)
    assert (answer.status_code, answer.json()["failure_reason"]) == (500, "internal_error")
    nothing_left(api.media)
