"""What is done to a picture: made ready for a provider, or checked when it comes back from one.

Runs in a picture child only (picture_child.py): a file of 3 KB can need a gigabyte to decode. Files that were begun by
a task that failed are removed.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from photochanger import plain_files
from photochanger.errors import PictureError
from photochanger.picture_bytes import beginning, plain_bytes
from photochanger.picture_encoding import encode, encode_within, output_mime
from photochanger.picture_kinds import EXTENSIONS, JPEG, WEBP, mime_of
from photochanger.picture_pixels import (
    decode,
    is_upright_srgb,
    open_picture,
    read_through,
    shrink,
    side_to_shrink_to,
    upright_srgb,
)

Answer = dict[str, Any]

PREVIEW_SIDE_PX = 480
PREVIEW_QUALITY = 75
RESULT_QUALITY = 95


def prepare(
    *, source: str, target_folder: str, name: str, accepted: list[str], max_bytes: int, max_side_px: int
) -> Answer:
    """Write the picture as the provider takes it; its mime, width, height, size_bytes and file_name.

    Raises `PictureError` for the picture and `OSError` for the disk.
    """
    data = plain_files.read(Path(source))
    with _blaming_the_picture():
        mime, size, output = _prepared(data, accepted=accepted, max_bytes=max_bytes, max_side_px=max_side_px)
    file = Path(target_folder) / f"{name}.{EXTENSIONS[mime]}"
    _write({file: output}, durably=False)
    return {"mime": mime, "width": size[0], "height": size[1], "size_bytes": len(output), "file_name": file.name}


def check_result(*, source: str, target_folder: str, name: str, preview_folder: str) -> Answer:
    """Write the provider's picture and its preview durably; as `prepare`, with sha256 (hex) and preview_name."""
    data = plain_files.read(Path(source))
    with _blaming_the_picture():
        mime, size, output, preview = _checked(data)
    file = Path(target_folder) / f"{name}.{EXTENSIONS[mime]}"
    preview_file = Path(preview_folder) / f"{name}.{EXTENSIONS[WEBP]}"
    _write({file: output, preview_file: preview}, durably=True)
    return {
        "mime": mime,
        "width": size[0],
        "height": size[1],
        "size_bytes": len(output),
        "sha256": hashlib.sha256(output).hexdigest(),
        "file_name": file.name,
        "preview_name": preview_file.name,
    }


def _prepared(
    data: bytes, *, accepted: list[str], max_bytes: int, max_side_px: int
) -> tuple[str, tuple[int, int], bytes]:
    source_mime = _mime(data)
    plain = plain_bytes(data, mime=source_mime)
    image = open_picture(data, mime=source_mime)
    size = image.size
    fits = source_mime in accepted and max(size) <= max_side_px
    if fits and plain is not None and len(plain) <= max_bytes and is_upright_srgb(image):
        begun = beginning(plain) if source_mime == JPEG else None
        read_through(image if begun is None else open_picture(begun, mime=JPEG))
        return source_mime, size, plain
    pixels = upright_srgb(image, max_side_px=side_to_shrink_to(*size, max_side_px=max_side_px))
    wanted = output_mime(pixels, source_mime=source_mime, accepted=accepted)
    mime, pixels, output = encode_within(pixels, mime=wanted, accepted=accepted, max_bytes=max_bytes)
    return mime, pixels.size, output


def _checked(data: bytes) -> tuple[str, tuple[int, int], bytes, bytes]:
    mime = _mime(data)
    plain = plain_bytes(data, mime=mime)
    image = open_picture(data, mime=mime)
    size = image.size
    pixels: Image.Image = image
    if plain is not None and is_upright_srgb(image):
        output = plain
        decode(image, max_side_px=PREVIEW_SIDE_PX)
    else:
        pixels = upright_srgb(image, max_side_px=max(size))
        size = pixels.size
        output = encode(pixels, mime=mime, quality=RESULT_QUALITY)
    small = shrink(pixels, max_side_px=PREVIEW_SIDE_PX, reducing_gap=1.0)
    return mime, size, output, encode(small, mime=WEBP, quality=PREVIEW_QUALITY, webp_method=0)


def _mime(data: bytes) -> str:
    mime = mime_of(data)
    if mime is None:
        raise PictureError("The file is not a JPEG, PNG or WEBP picture." if data else "The file is empty.")
    return mime


@contextmanager
def _blaming_the_picture() -> Iterator[None]:
    """Pillow tells a damaged file by any of a dozen exceptions, and nothing else is at work in here."""
    try:
        yield
    except PictureError:
        raise
    except MemoryError:
        raise PictureError("The picture needs too much memory to decode.") from None
    except Exception as error:
        raise PictureError(f"The picture cannot be decoded: {error or type(error).__name__}"[:200]) from error


def _write(files: dict[Path, bytes], *, durably: bool) -> None:
    try:
        for path, data in files.items():
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
            with os.fdopen(os.open(path, flags, plain_files.FILE_MODE), "wb") as file:
                os.fchmod(file.fileno(), plain_files.FILE_MODE)  # whatever the umask
                file.write(data)
                file.flush()
                if durably:
                    os.fsync(file.fileno())
    except OSError:
        for path in files:
            path.unlink(missing_ok=True)
        raise
