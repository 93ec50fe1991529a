"""OpenAI through the whole house: nothing but its driver and its entry in providers.json knows of it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import ClientSession
from sqlalchemy import insert, select, text, update

from photochanger import provider_media
from photochanger.attempts import of_job
from photochanger.providers import Providers
from photochanger.tables import media_object, slot, slot_template
from simulators.openai import KEY
from simulators.server import serving
from tests.booths import nothing_left, photo_bytes, post_photo
from tests.serving import Api, running, settings_for
from tests.simulated_openai import OpenAISimulator, opened

pytestmark = pytest.mark.anyio

PHOTO = photo_bytes()
STYLE = photo_bytes(width=320, height=320, seed=9)


@dataclass(frozen=True)
class Studio:
    """The API, the simulator, and a runner while a photo is posted."""

    api: Api
    simulator: OpenAISimulator
    http: httpx.AsyncClient
    folder: Path
    providers: Providers
    database_url: str

    async def set_slots(self, operation: str, **settings: Any) -> None:
        async with self.api.db.begin() as conn:
            await conn.execute(update(slot).values(provider="openai", operation=operation, settings=settings))

    async def bind_style(self) -> None:
        media_id = provider_media.new_media_id()
        path = f"templates/{media_id}.jpg"
        self.api.media.path_of(path).write_bytes(STYLE)
        figures = {"mime": "image/jpeg", "bytes": len(STYLE), "sha256": b"s" * 32, "created_at": text("now()")}
        async with self.api.db.begin() as conn:
            row = {"media_object_id": media_id, "kind": "template", "path": path, **figures}
            await conn.execute(insert(media_object).values(**row))
            bound = select(slot.c.slot_id, text("'style'"), text(f"'{media_id}'::uuid"))
            await conn.execute(insert(slot_template).from_select(["slot_id", "role", "media_object_id"], bound))

    async def post(self) -> httpx.Response:
        told = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{self.simulator.url}/openai"}
        settings = settings_for(self.folder, self.database_url, **told)
        async with running(settings, self.providers, self.database_url):
            return await post_photo(self.http, self.api.url, PHOTO)


@pytest.fixture
async def studio(
    api: Api, http: httpx.AsyncClient, tmp_path: Path, database_url: str, known_providers: Providers
) -> AsyncIterator[Studio]:
    async with serving() as served, ClientSession() as session:
        simulator = OpenAISimulator(served.url, session)
        yield Studio(api, simulator, http, tmp_path, known_providers, database_url)
        assert await simulator.violations() == []


async def test_a_photo_is_edited_and_its_cost_is_known(studio: Studio) -> None:
    await studio.set_slots("image_edit", prompt="a castle", size="1536x1024", quality="low")
    answer = await studio.post()
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg"), answer.text
    assert opened(answer.content).size == (1536, 1024)
    async with studio.api.db.at_once() as conn:
        (tried,) = await of_job(conn, answer.headers["x-job-id"])
    assert (tried.provider, tried.model, tried.outcome) == ("openai", "gpt-image-2.5-flare", "ok")
    assert tried.cost_usd is not None
    assert 0.01 < tried.cost_usd < 0.02


async def test_a_style_goes_along_by_its_role(studio: Studio) -> None:
    await studio.set_slots("style_transfer")
    await studio.bind_style()
    answer = await studio.post()
    assert answer.status_code == 200, answer.text
    seen = (await studio.simulator.read("requests"))[-1]
    assert [(one["filename"], one["width"], one["height"]) for one in seen["pictures"]] == [
        ("photo.jpg", 640, 480),
        ("style.jpg", 320, 320),
    ]


async def test_a_slot_on_a_retired_model_goes_on_with_its_replacement(studio: Studio) -> None:
    await studio.set_slots("image_edit", prompt="a castle", model="gpt-image-1", input_fidelity="high")
    answer = await studio.post()
    assert answer.status_code == 200, answer.text
    assert (await studio.simulator.read("requests"))[-1]["model"] == "gpt-image-2.5-sunburst"


@pytest.mark.parametrize(
    ("behaviour", "status", "reason"),
    [
        ({"name": "moderation_blocked"}, 502, "content_blocked"),
        ({"name": "empty_data"}, 502, "no_image"),
        ({"name": "picture_cut"}, 502, "bad_response"),
        ({"name": "insufficient_quota"}, 503, "quota"),
        ({"name": "not_verified"}, 503, "provider_auth"),
        ({"name": "cloudflare", "status": 520}, 503, "provider_unavailable"),
        ({"name": "reset_after"}, 503, "interrupted"),
    ],
)
async def test_a_failure_reaches_the_booth_by_its_code(
    studio: Studio, behaviour: dict[str, Any], status: int, reason: str
) -> None:
    await studio.set_slots("image_edit", prompt="a castle", retries=0)
    await studio.simulator.behave(**behaviour)
    answer = await studio.post()
    assert (answer.status_code, answer.json()["failure_reason"]) == (status, reason)
    assert (await studio.simulator.read("openai/stats"))["requests"] == 1
    nothing_left(studio.api.media)
