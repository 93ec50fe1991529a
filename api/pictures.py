"""Sending a picture from disk, and only as a picture."""

import os
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from photochanger.errors import Failure, Refusal
from photochanger.job_state import JobState
from photochanger.media import Media
from photochanger.plain_files import open_plain


class PictureResponse(FileResponse):
    """A `FileResponse` that opens no link, and reads larger pieces: fewer hops to a thread for a picture."""

    chunk_size = 256 * 1024

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what is there now. Raises `Refusal` (`media_lost`) when that is no plain file any more."""
        try:
            descriptor = open_plain(Path(self.path))
        except FileNotFoundError as error:
            raise Refusal(Failure.MEDIA_LOST) from error
        try:
            # Starlette opens by name. This name is that of the open file, whatever has its old one by then.
            self.path = f"/dev/fd/{descriptor}"
            await super().__call__(scope, receive, send)
        finally:
            os.close(descriptor)


def regular_file(media: Media, relative: str | None, *, job_id: str) -> tuple[Path, os.stat_result]:
    """A result's file. Raises `Refusal` (`media_lost`) when it is gone."""
    found = media.regular_file(relative) if relative is not None else None
    if found is None:
        raise Refusal(Failure.MEDIA_LOST, job_id=job_id)
    return found


def result_response(media: Media, state: JobState, *, headers: dict[str, str]) -> PictureResponse:
    """The picture's bytes with its type and length."""
    assert state.result_mime is not None
    path, figures = regular_file(media, state.result_path, job_id=state.job_id)
    return PictureResponse(path, headers=headers, media_type=state.result_mime, stat_result=figures)


def or_unchanged(request: Request, response: PictureResponse) -> Response:
    """304 when the client has this picture already (RFC 9110, 13.1.2)."""
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if response.headers["etag"] in known or "*" in known:
        kept = {name: response.headers[name] for name in ("etag", "cache-control")}
        return Response(status_code=304, headers=kept)
    return response
