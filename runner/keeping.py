"""Keeping a changed picture: checked and written beside its place first, then put there under the job's row lock."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import attempts, jobs
from photochanger.attempts import AttemptEnd
from photochanger.errors import PictureError
from photochanger.jobs import Job, Result
from photochanger.media import Media, storage_refusal
from photochanger.placing import put_in_place
from photochanger.plain_files import open_new
from runner.driver import Image, Outcome, ProviderFailed, Receipt
from runner.workshop import Workshop


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A picture that was decoded, and lies with its preview in `work/`, synced."""

    picture: Path
    preview: Path
    result: Result
    receipt: Receipt


async def check(shop: Workshop, job: Job, image: Image, *, name: str) -> Checked:
    """Decode what the provider sent. Raises `ProviderFailed` (BAD_RESPONSE), or `Refusal` when there is no room."""
    media = shop.media
    work, previews = media.folder("work"), media.folder("work/previews")
    answer = work / f"{name}-answer"
    try:
        await asyncio.to_thread(_write_file, answer, image.data)
        checked = await shop.pictures.check_result(answer, work, name=name, preview_folder=previews)
    except OSError as error:
        raise storage_refusal(error) from error
    except PictureError as error:
        raise ProviderFailed(Outcome.BAD_RESPONSE, str(error), repeatable=True, receipt=image.receipt) from error
    return Checked(
        picture=work / checked.file_name,
        preview=previews / checked.preview_name,
        result=Result(
            path=f"results/{job.job_id}{Path(checked.file_name).suffix}",
            preview_path=f"previews/{job.job_id}.webp",
            mime=checked.mime,
            size_bytes=checked.size_bytes,
            sha256=checked.sha256,
        ),
        receipt=image.receipt,
    )


async def record(conn: AsyncConnection, media: Media, job: Job, checked: Checked, *, number: int) -> bool:
    """Job done, attempt closed, files in their place: in one transaction. False when the job is no longer ours.

    From the UPDATE on the row is locked until the commit: nobody else can end this job or put files in their place. So
    this comes last before it.
    """
    if not await jobs.finish(conn, job, result=checked.result, ttl_hours=job.snapshot["result_ttl_hours"]):
        return False
    await attempts.end(conn, job.job_id, number, AttemptEnd(outcome=Outcome.OK.value, **vars(checked.receipt)))
    files = {checked.preview: checked.result.preview_path, checked.picture: checked.result.path}
    await put_in_place(media, files, are_new=True)
    return True


def _write_file(path: Path, data: bytes) -> None:
    with os.fdopen(open_new(path), "wb") as file:
        file.write(data)
