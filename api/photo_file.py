"""The file of a photo that is being taken in: of its job once there is one, else gone again.

    received ─┬─ refused, joined another job's photo ───────────── removed
              └─ the job's rows are written ─┬─ COMMIT answered ── the job's
                                             └─ answer lost ────── the job's if there is one at its deadline,
                                                                   else removed then
What a killed process leaves here the cleanup removes, as it does with any file without a row.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from api.state import Services


@dataclass
class PhotoFile:
    """One in `ingest/`."""

    path: str
    """Relative to MEDIA_ROOT."""
    job_deadline: float | None = None
    """To be set as the last act before the commit of the job's rows, by `time.monotonic`. From then on there may be a
    job, whatever is heard of the commit: without its file it would fail in a runner's hands.
    """


@asynccontextmanager
async def photo_file(here: Services, job_id: str) -> AsyncIterator[PhotoFile]:
    """Where to write the photo of this new job."""
    file = PhotoFile(f"ingest/{job_id}")
    try:
        yield file
    except BaseException:
        if file.job_deadline is not None:
            here.unattended.watch(job_id, deadline=file.job_deadline, is_certain=False)
        raise
    finally:
        if file.job_deadline is None:
            here.media.discard(file.path)
