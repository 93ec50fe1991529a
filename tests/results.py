"""Finished jobs for the tests that look at results: through the queue's real functions, with real files."""

import hashlib
import secrets

from photochanger import attempts, intake, jobs, slots
from photochanger.attempts import AttemptEnd
from photochanger.intake import NewPhoto
from photochanger.jobs import Job, Result
from tests.booths import photo_bytes
from tests.serving import Api


async def queued_job(api: Api, *, slot_id: str = "slot-001", sync_response_seconds: int = 48) -> str:
    """A photo that was taken in, and its file."""
    job_id, photo = secrets.token_hex(16), photo_bytes()
    api.media.path_of(f"ingest/{job_id}").write_bytes(photo)
    async with api.db.begin() as conn:
        slot = await slots.get(conn, slot_id)
        assert slot is not None
        new = NewPhoto(
            job_id=job_id,
            source="ingest",
            slot_id=slot_id,
            slot_version=slot.version,
            provider=slot.provider,
            snapshot={**slot.snapshot(), "result_ttl_hours": 72},
            booth_fields={},
            photo_path=f"ingest/{job_id}",
            mime="image/jpeg",
            size_bytes=len(photo),
            width=640,
            height=480,
            sha256=secrets.token_bytes(32),
            idempotency_key=None,
            age_seconds=0.0,
            sync_response_seconds=sync_response_seconds,
            least_seconds=2.0,
            max_attempts=2,
        )
        await intake.admit(conn, new, in_work_limit=1000)
    return job_id


async def claimed_job(api: Api) -> Job:
    """The next job, claimed as a runner does."""
    async with api.db.at_once() as conn:
        (job,) = await jobs.claim(conn, runner="test", places=1)
    return job


async def finish_job(api: Api, job: Job, picture: bytes) -> bool:
    """Put its result in place and record it, as a runner does."""
    result = Result(
        path=f"results/{job.job_id}.jpg",
        preview_path=f"previews/{job.job_id}.webp",
        mime="image/jpeg",
        size_bytes=len(picture),
        sha256=hashlib.sha256(picture).digest(),
    )
    async with api.db.begin() as conn:
        number = await attempts.begin(conn, job, provider="gemini", model="gemini-nano-banana-2.1")
        if not await jobs.finish(conn, job, result=result, ttl_hours=72):
            return False
        assert number is not None
        await attempts.end(conn, job.job_id, number, AttemptEnd(outcome="ok"))
        api.media.path_of(result.path).write_bytes(picture)
        api.media.path_of(result.preview_path).write_bytes(b"RIFF\x00\x00\x00\x00WEBPVP8 ")
        return True


async def finished_job(api: Api) -> tuple[str, bytes]:
    """The id of a done job and its picture."""
    await queued_job(api)
    picture = photo_bytes(seed=2)
    job = await claimed_job(api)
    assert await finish_job(api, job, picture)
    return job.job_id, picture
