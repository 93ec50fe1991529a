"""A studio's afternoon in the database: slots with names, photos in every state, results to look at."""

import hashlib
import io
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from PIL import Image, ImageEnhance, ImageOps
from sqlalchemy import func, text, update

from photochanger import attempts, jobs, sweep_runs
from photochanger.attempts import AttemptEnd
from photochanger.errors import Failure
from photochanger.jobs import Job, Result
from photochanger.leases import beat
from photochanger.tables import job, job_input, slot
from simulators.sample import SAMPLE
from tests.results import queued_job
from tests.serving import Api

NAMES = {
    "slot-001": "Свадьба — акварель",
    "slot-002": "Корпоратив: ретро 80-х",
    "slot-003": "Выпускной, школа № 57",
    "slot-004": "Новогодний портрет",
    "slot-005": "Комикс",
    "slot-006": "Масляная живопись",
    "slot-007": "Киберпанк",
    "slot-008": "Фэнтези для детей",
    "slot-010": "<script>alert(1)</script>",
    "slot-012": "Запасной",
}
TINTS = ("#9fd3e6", "#e6c79f", "#b7e69f", "#d79fe6", "#e69f9f", "#9fa8e6", "#e6e29f", "#9fe6d3", "#cccccc", "#f0b0c8")


@dataclass(frozen=True, kw_only=True)
class Told:
    """Jobs of the afternoon, one of each kind."""

    done: str
    open: str
    failed: str
    expired: str


async def empty(api: Api) -> None:
    """Runners live and the cleanup has swept; nothing has happened yet."""
    async with api.db.begin() as conn:
        for number in (1, 2):
            await beat(conn, f"studio:{number}", host="studio", pid=number)
        await conn.execute(text("UPDATE runner SET lease_until = now() + interval '1 hour'"))
        await sweep_runs.finish(conn, {"overdue_jobs": 0})


async def afternoon(api: Api) -> Told:
    """Fill it."""
    async with api.db.begin() as conn:
        for slot_id, name in NAMES.items():
            saved = {"display_name": name, "version": 2, "updated_by": "serg"}
            await conn.execute(update(slot).where(slot.c.slot_id == slot_id).values(**saved))
        await conn.execute(update(slot).where(slot.c.slot_id == "slot-012").values(is_active=False))
        style = {"provider": "turbotext", "operation": "style_transfer", "settings": {}}
        await conn.execute(update(slot).where(slot.c.slot_id == "slot-013").values(**style))
    done = [await finished(api, "slot-001", minutes_ago=3 * number, tint=tint) for number, tint in enumerate(TINTS)]
    for number, tint in enumerate(TINTS[:4]):
        await finished(api, "slot-002", minutes_ago=40 + number, tint=tint)
        await finished(api, "slot-003", minutes_ago=number * 130, tint=tint)
    expired = await finished(api, "slot-008", minutes_ago=10, tint=TINTS[0])
    await change(api, expired, result_expires_at=func.now() - timedelta(minutes=1))
    failed = [await failing(api, "slot-005", Failure.CONTENT_BLOCKED) for _ in range(3)]
    for _ in range(2):
        await late(api, "slot-006")
    for _ in range(3):
        await queued_job(api, slot_id="slot-004")
    running = await queued_job(api, slot_id="slot-007")
    await claim(api, running)
    return Told(done=done[0], open=running, failed=failed[0], expired=expired)


async def claim(api: Api, job_id: str) -> Job:
    """Have a runner take this one up."""
    async with api.db.begin() as others:
        await others.execute(
            text("SELECT 1 FROM job WHERE status = 'queued' AND job_id <> CAST(:id AS uuid) FOR UPDATE"), {"id": job_id}
        )
        async with api.db.at_once() as conn:
            (claimed,) = await jobs.claim(conn, runner="studio:1", places=1)
    return claimed


async def finished(api: Api, slot_id: str, *, minutes_ago: float, tint: str) -> str:
    """A photo that became a picture; its job's id."""
    claimed = await claim(api, await queued_job(api, slot_id=slot_id))
    picture, preview = picture_of(tint)
    result = Result(
        path=f"results/{claimed.job_id}.jpg",
        preview_path=f"previews/{claimed.job_id}.webp",
        mime="image/jpeg",
        size_bytes=len(picture),
        sha256=hashlib.sha256(picture).digest(),
    )
    async with api.db.begin() as conn:
        number = await attempts.begin(conn, claimed, provider="gemini", model="gemini-nano-banana-2.1")
        assert number is not None
        await attempts.end(conn, claimed.job_id, number, AttemptEnd(outcome="ok"))
        assert await jobs.finish(conn, claimed, result=result, ttl_hours=72)
        api.media.path_of(result.path).write_bytes(picture)
        api.media.path_of(str(result.preview_path)).write_bytes(preview)
    ended = func.now() - timedelta(minutes=minutes_ago)
    await change(api, claimed.job_id, created_at=ended - timedelta(seconds=6 + minutes_ago % 9), finished_at=ended)
    return claimed.job_id


async def failing(api: Api, slot_id: str, failure: Failure) -> str:
    """A photo that its provider refused."""
    claimed = await claim(api, await queued_job(api, slot_id=slot_id))
    async with api.db.begin() as conn:
        await jobs.fail(conn, claimed, failure=failure, details=failure.sentence)
    return claimed.job_id


async def late(api: Api, slot_id: str) -> str:
    """A photo that was not ready in time."""
    job_id = await queued_job(api, slot_id=slot_id)
    past = {"expires_at": func.now() - timedelta(seconds=5), "start_by": func.now() - timedelta(seconds=10)}
    await change(api, job_id, created_at=func.now() - timedelta(seconds=53), **past)
    async with api.db.begin() as conn:
        assert await jobs.expire(conn, job_id)
    return job_id


async def change(api: Api, job_id: str, **values: Any) -> None:
    """Write into the job's row, and the moment of its arrival into its input's too."""
    async with api.db.begin() as conn:
        await conn.execute(update(job).where(job.c.job_id == job_id).values(**values))
        if "created_at" in values:
            moment = {"created_at": values["created_at"]}
            await conn.execute(update(job_input).where(job_input.c.job_id == job_id).values(**moment))


def picture_of(tint: str) -> tuple[bytes, bytes]:
    """The sample in another colour: a JPEG and its WEBP preview."""
    with Image.open(SAMPLE) as sample:
        grey = ImageOps.grayscale(sample.convert("RGB"))
    coloured = ImageEnhance.Contrast(ImageOps.colorize(grey, black="#1b2a33", white="#ffffff", mid=tint)).enhance(1.1)
    whole, small = io.BytesIO(), io.BytesIO()
    coloured.save(whole, "JPEG", quality=85)
    coloured.thumbnail((480, 480))
    coloured.save(small, "WEBP", quality=80)
    return whole.getvalue(), small.getvalue()
