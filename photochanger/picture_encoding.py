"""Writes pixels as JPEG, PNG or WEBP, and small enough for whoever takes them."""

import io
import math

from PIL import Image

from photochanger.errors import PictureError
from photochanger.picture_kinds import JPEG, PNG, WEBP
from photochanger.picture_pixels import flatten, shrink

QUALITIES = (92, 85, 75)
"""What is tried, one after the other, before a picture is made smaller."""
MAX_SHRINKINGS = 8


def output_mime(image: Image.Image, *, source_mime: str, accepted: list[str]) -> str:
    """The type to encode as: the source's, else JPEG (PNG when something shows through), else what is accepted.

    Raises `PictureError` when none of our types is.
    """
    wanted = [source_mime, PNG if image.mode == "RGBA" else JPEG, JPEG, PNG, WEBP]
    for mime in wanted:
        if mime in accepted:
            return mime
    raise PictureError(f"The picture cannot be written as any of {', '.join(accepted)}.")


def encode(image: Image.Image, *, mime: str, quality: int, webp_method: int = 2) -> bytes:
    """The file's bytes, without any metadata. `quality` is for JPEG and WEBP; method 0 is quick."""
    file = io.BytesIO()
    if mime == JPEG:
        flatten(image).save(file, "JPEG", quality=quality)
    elif mime == PNG:
        image.save(file, "PNG", compress_level=3)
    else:
        image.save(file, "WEBP", quality=quality, method=webp_method)
    return file.getvalue()


def encode_within(
    image: Image.Image, *, mime: str, accepted: list[str], max_bytes: int
) -> tuple[str, Image.Image, bytes]:
    """Type, pixels and bytes of a picture that takes at most `max_bytes`: of lower quality first, then smaller.

    A PNG in which nothing shows through becomes a JPEG where that is accepted. Raises `PictureError`.
    """
    for _ in range(MAX_SHRINKINGS):
        for quality in QUALITIES:
            data = encode(image, mime=mime, quality=quality)
            if len(data) <= max_bytes:
                return mime, image, data
            if mime == PNG:
                if JPEG not in accepted or image.mode == "RGBA":
                    break  # it has no quality to give up
                mime = JPEG
        scale = min(0.9, 0.95 * math.sqrt(max_bytes / len(data)))
        image = shrink(image, max_side_px=max(1, int(max(image.size) * scale)))
    raise PictureError(f"The picture cannot be brought down to {max_bytes} bytes.")
