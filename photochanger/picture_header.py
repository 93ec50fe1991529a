"""What an uploaded picture says about itself in its first bytes. Nothing is decoded: the API may do this itself."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import imagesize

from photochanger.errors import Failure, Refusal
from photochanger.picture_kinds import MAGIC_BYTES, MAX_PIXELS, mime_of, shape_mistake
from photochanger.plain_files import open_plain

MAX_READS = 20_000
"""A real photo's size stands within a few hundred reads; a hostile file could ask for one per byte."""


@dataclass(frozen=True)
class Header:
    """Type by content, and size in pixels as stored (before any EXIF orientation)."""

    mime: str
    width: int
    height: int


def read_header(path: Path) -> Header:
    """The header of an uploaded file, in a few milliseconds whatever the bytes are.

    Raises `Refusal`: unsupported_media_type when it is no JPEG, PNG or WEBP; payload_too_large over 64 megapixels;
    invalid_image when it is empty, its header cannot be read, a side is under 64 pixels or over 20 times the other.
    """
    with os.fdopen(open_plain(path), "rb") as file:
        head = file.read(MAGIC_BYTES)
        if not head:
            raise Refusal(Failure.INVALID_IMAGE, "The file is empty.")
        mime = mime_of(head)
        if mime is None:
            raise Refusal(Failure.UNSUPPORTED_MEDIA_TYPE)
        # Pillow would already allocate a WEBP's canvas here; imagesize answers (-1, -1) when it cannot read on.
        width, height = imagesize.get(_PatientReader(file), exif_rotation=False)
    if width < 0 or height < 0:
        raise Refusal(Failure.INVALID_IMAGE, "The picture's header cannot be read.")
    if width * height > MAX_PIXELS:
        raise Refusal(
            Failure.PAYLOAD_TOO_LARGE,
            f"The picture is {width} × {height} pixels; at most {MAX_PIXELS // 1_000_000} megapixels are accepted.",
        )
    if mistake := shape_mistake(width, height):
        raise Refusal(Failure.INVALID_IMAGE, mistake)
    return Header(mime, width, height)


class _PatientReader:
    """A file that loses its patience after `MAX_READS` reads."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._reads_left = MAX_READS

    def read(self, size: int) -> bytes:
        if self._reads_left == 0:
            raise ValueError("the header does not come to an end")
        self._reads_left -= 1
        return self._file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)
