"""The pictures of an edit: those that were sent, decoded and checked, and the one that is made of them."""

import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from PIL import Image, ImageDraw, ImageOps

from photochanger.errors import PictureError
from simulators.openai_errors import invalid
from simulators.openai_form import File
from simulators.openai_request import FORMATS, Asked
from simulators.pictures import Photo, canned, change, look
from simulators.stage import picture_facts

MIDDLE = (0.08, 0.08, 0.92, 0.94)
"""What stays of a picture with a transparent background."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What became of a request's pictures."""

    facts: list[dict[str, Any]]
    """Of the images and then the mask, for the journal."""
    size: tuple[int, int]
    pictures: Sequence[bytes]
    """None where none were to be painted."""


def work(asked: Asked, *, paint: bool) -> Work:
    """Decode all pictures and edit the first; for a thread. Raises `ApiError` for one that cannot be used."""
    photos = [open_image(file, to_paint=paint and file is asked.images[0]) for file in asked.images]
    facts = [_facts(file, photo) for file, photo in zip(asked.images, photos, strict=True)]
    first = photos[0]
    mask = None
    if asked.mask is not None:
        mask = open_mask(asked.mask, size=(first.width, first.height))
        facts.append(_facts(asked.mask, first))
    size = asked.model.pixels(asked.size, ratio=first.width / first.height)
    seed = zlib.crc32(b"".join([asked.prompt.encode(), *(file.data for file in asked.images[1:])]))
    numbers = range(asked.count if paint else 0)
    return Work(
        facts=facts,
        size=size,
        pictures=[_edited(first, asked, mask=mask, size=size, seed=seed + number) for number in numbers],
    )


def open_image(file: File, *, to_paint: bool) -> Photo:
    """Decode an image. Raises `ApiError` unless it is one, and of the type its part says."""
    try:
        photo = look(file.data, to_paint=to_paint)
    except PictureError as error:
        message = f"Invalid image file or mode for '{file.field}', please check your image file: {error}"
        raise invalid(message, param=file.field, code="invalid_image_file") from error
    if photo.mime != file.mime:
        message = f"Invalid file '{file.field}': it is {photo.mime}, not {file.mime}."
        raise invalid(message, param=file.field, code="invalid_image_file")
    return photo


def open_mask(file: File, *, size: tuple[int, int]) -> Image.Image:
    """What of a mask is opaque, and so to be kept. Raises `ApiError` unless it is a PNG with alpha of this size."""
    try:
        with Image.open(io.BytesIO(file.data), formats=["PNG"]) as mask:
            mask.load()
            if "A" not in mask.getbands():
                raise invalid("Invalid mask: it must have an alpha channel.", param="mask", code="invalid_mask")
            alpha = mask.getchannel("A")
    except (OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError) as error:
        raise invalid(f"Invalid mask: {error}", param="mask", code="invalid_image_file") from error
    if alpha.size != size:
        message = f"Invalid mask: its size {alpha.size} is not the first image's {size}."
        raise invalid(message, param="mask", code="invalid_mask_image_format")
    return alpha


@lru_cache(maxsize=4)
def canned_in(output_format: str) -> bytes:
    """A picture for where it is not the point, in one of the three formats."""
    if output_format == "webp":
        return _encoded(_decoded(canned("image/png")), output_format)
    return canned(FORMATS[output_format])


def _facts(file: File, photo: Photo) -> dict[str, Any]:
    facts = picture_facts(file.data, mime=file.mime, width=photo.width, height=photo.height)
    return {"field": file.field, "filename": file.filename, **facts}


def _edited(photo: Photo, asked: Asked, *, mask: Image.Image | None, size: tuple[int, int], seed: int) -> bytes:
    """The changed photo; where a mask is opaque, and fits, the photo itself."""
    direct = mask is None and not asked.transparent and asked.output_format != "webp"
    mime = FORMATS[asked.output_format] if direct else "image/png"
    data = change(photo, width=size[0], height=size[1], mime=mime, seed=seed)
    if direct:
        return data
    picture = _decoded(data)
    if mask is not None:
        picture = Image.composite(ImageOps.fit(photo.image, size), picture, ImageOps.fit(mask, size))
    if asked.transparent:
        picture.putalpha(_middle(size))
    return _encoded(picture, asked.output_format)


def _middle(size: tuple[int, int]) -> Image.Image:
    alpha = Image.new("L", size, 0)
    left, top, right, bottom = MIDDLE
    ImageDraw.Draw(alpha).ellipse(
        (round(left * size[0]), round(top * size[1]), round(right * size[0]), round(bottom * size[1])), fill=255
    )
    return alpha


def _decoded(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as picture:
        return picture.convert("RGB")


def _encoded(picture: Image.Image, output_format: str) -> bytes:
    file = io.BytesIO()
    if output_format == "png":
        picture.save(file, "PNG", compress_level=1)
    else:
        picture.save(file, output_format.upper(), quality=85)
    return file.getvalue()
