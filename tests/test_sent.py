"""What became of an answer is in the photo's way: that it went out, or that the booth had gone; and it costs nobody."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text
from structlog.testing import capture_logs

from photochanger import jobs, timeline
from photochanger.errors import Failure
from photochanger.tables import processing_log
from photochanger.timeline import Moment
from tests.booths import photo_bytes, post_photo
from tests.raw_http import FORM_TYPE, Wire, connect, eventually, form, parts, post, queued
from tests.results import claimed_job, finish_job
from tests.serving import Api

pytestmark = pytest.mark.anyio

PHOTO = photo_bytes()
PICTURE = photo_bytes(seed=2)
LARGE = photo_bytes(width=4000, height=3000, seed=3)
"""More than what the network holds for a client that does not read."""


async def answers(api: Api, count: int = 1) -> list[Moment]:
    """The lines of the job's answers, once there are so many."""
    found: list[Moment] = []

    async def there() -> bool:
        async with api.db.begin() as conn:
            (job_id,) = (await conn.execute(select(processing_log.c.job_id).distinct())).scalars()
            told = await timeline.timeline(conn, job_id)
        found[:] = [moment for moment in told if moment.event in {"sent", "booth_gone"}]
        return len(found) == count

    await eventually(there)
    return found


def details(moment: Moment) -> dict[str, Any]:
    return dict(moment.details or {})


async def hold(wire: Wire, photo: bytes = PHOTO) -> None:
    """Post it as a booth does, and wait until it is a job."""
    body = form(*parts(photo))
    await wire.send(post("/ingest/slot-001", FORM_TYPE, length=len(body)) + body)


async def test_a_picture_that_went_out_is_told_with_its_bytes(api: Api, http: httpx.AsyncClient) -> None:
    waiting = asyncio.create_task(post_photo(http, api.url, PHOTO))
    await queued(api)
    assert await finish_job(api, await claimed_job(api), PICTURE)
    answer = await waiting
    (sent,) = await answers(api)
    assert answer.status_code == 200
    assert sent.event == "sent"
    told = details(sent)
    assert (told["http_status"], told["bytes"]) == (200, len(PICTURE))
    assert 0 <= told["seconds"] < 5
    async with api.db.begin() as conn:
        moments = await timeline.timeline(conn, answer.headers["x-job-id"])
    assert [moment.event for moment in moments if moment.event in {"finished", "sent"}] == ["finished", "sent"]


async def test_an_error_that_went_out_is_told_too(api: Api, http: httpx.AsyncClient) -> None:
    waiting = asyncio.create_task(post_photo(http, api.url, PHOTO))
    await queued(api)
    async with api.db.at_once() as conn:
        assert await jobs.fail(conn, await claimed_job(api), failure=Failure.QUOTA, details="as told")
    answer = await waiting
    (sent,) = await answers(api)
    assert (sent.event, details(sent)["http_status"]) == ("sent", 503)
    assert details(sent)["bytes"] == len(answer.content)


async def test_a_booth_that_hung_up_while_it_waited_is_told(api: Api) -> None:
    async with connect(api.url) as wire:
        await hold(wire)
        await queued(api)
        wire.reset()
    await asyncio.sleep(0.1)  # until the server has noticed
    assert await finish_job(api, await claimed_job(api), PICTURE)
    (gone,) = await answers(api)
    assert gone.event == "booth_gone"
    assert details(gone)["bytes"] == 0


async def test_a_booth_that_hung_up_before_an_error_is_told(api: Api) -> None:
    async with connect(api.url) as wire:
        await hold(wire)
        await queued(api)
        wire.reset()
    await asyncio.sleep(0.1)
    async with api.db.at_once() as conn:
        assert await jobs.fail(conn, await claimed_job(api), failure=Failure.NO_IMAGE, details="none")
    (gone,) = await answers(api)
    assert (gone.event, details(gone)["http_status"]) == ("booth_gone", 502)


async def test_a_booth_that_hung_up_in_the_middle_of_its_picture_is_told(api: Api) -> None:
    async with connect(api.url) as wire:
        await hold(wire)
        await queued(api)
        assert await finish_job(api, await claimed_job(api), LARGE * 4)
        status, headers = await wire.head()
        assert (status, int(headers["content-length"])) == (200, len(LARGE) * 4)
        wire.reset()
    (gone,) = await answers(api)
    assert gone.event == "booth_gone"
    assert details(gone)["bytes"] < len(LARGE) * 4


async def test_each_of_two_booths_with_the_same_photo_has_its_answer_told(api: Api, http: httpx.AsyncClient) -> None:
    first = asyncio.create_task(post_photo(http, api.url, PHOTO))
    await queued(api)
    second = asyncio.create_task(post_photo(http, api.url, PHOTO))
    await eventually(lambda: len(api.services.waiting) == 2)
    assert await finish_job(api, await claimed_job(api), PICTURE)
    assert [answer.status_code for answer in await asyncio.gather(first, second)] == [200, 200]
    told = await answers(api, 2)
    assert sorted(bool(details(moment).get("joined")) for moment in told) == [False, True]


async def test_what_was_refused_before_it_was_a_job_is_told_nowhere(api: Api, http: httpx.AsyncClient) -> None:
    answer = await post_photo(http, api.url, PHOTO, password=b"wrong")
    assert answer.status_code == 401
    async with api.db.begin() as conn:
        assert (await conn.execute(select(processing_log))).all() == []


async def test_a_line_that_cannot_be_written_harms_nobody(api: Api, http: httpx.AsyncClient) -> None:
    waiting = asyncio.create_task(post_photo(http, api.url, PHOTO))
    await queued(api)
    assert await finish_job(api, await claimed_job(api), PICTURE)
    async with api.db.begin() as conn:
        await conn.execute(text("ALTER TABLE processing_log RENAME TO elsewhere"))
    with capture_logs() as logged:
        answer = await waiting
        assert (answer.status_code, answer.content) == (200, PICTURE)
        await eventually(lambda: "sent_answers_not_recorded" in {line["event"] for line in logged})
    async with api.db.begin() as conn:
        await conn.execute(text("ALTER TABLE elsewhere RENAME TO processing_log"))
    again = asyncio.create_task(post_photo(http, api.url, PHOTO))
    assert (await again).headers["x-duplicate-of"]
    (sent,) = await answers(api)
    assert details(sent)["joined"] is True


async def test_a_slow_table_delays_no_answer(api: Api, http: httpx.AsyncClient) -> None:
    waiting = asyncio.create_task(post_photo(http, api.url, PHOTO))
    await queued(api)
    assert await finish_job(api, await claimed_job(api), PICTURE)
    async with api.db.begin() as conn:
        await conn.execute(text("LOCK TABLE processing_log IN EXCLUSIVE MODE"))
        assert (await waiting).status_code == 200  # the lock is held until it has come
    (sent,) = await answers(api)
    assert sent.event == "sent"
