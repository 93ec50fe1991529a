"""What Turbotext makes of a photo: the simulators' changed photo, on which the second picture is seen as well.

`style` (mix_images) lays the style picture's colours over the photo; `paste` (deepfake_photo) sets the donor's upper
left corner into the photo's middle. Both are under the frame and the poster, in the oval that keeps the photo.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from PIL import Image

from photochanger.errors import PictureError
from simulators.pictures import CANNED_SIZE, Photo, canned, change, look

MAX_SIDE_PX = 1536
STYLE_SHARE = 0.5
STYLE_CELLS = (2, 2)
PASTED_SHARE = 4
"""The pasted corner is this part of the photo's width and height."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """A finished picture."""

    data: bytes
    mime: str
    width: int
    height: int


def decode(data: bytes, *, to_paint: bool, takes_webp: bool) -> Photo:
    """A fetched picture. Raises `PictureError` when it is broken or of a type that Turbotext does not take."""
    photo = look(data, to_paint=to_paint)
    if photo.mime not in ("image/jpeg", "image/png") and not (takes_webp and photo.mime == "image/webp"):
        raise PictureError(f"{photo.mime} is not taken")
    return photo


def paint(photo: Photo, second: Photo | None, *, effect: str, mime: str, seed: int) -> Made:
    """The changed photo: of its size, but no side over 1536 pixels."""
    image = photo.image if second is None else EFFECTS[effect](photo.image, second.image)
    shrink = max(1.0, max(photo.width, photo.height) / MAX_SIDE_PX)
    width, height = max(1, round(photo.width / shrink)), max(1, round(photo.height / shrink))
    data = change(replace(photo, image=image), width=width, height=height, mime=mime, seed=seed)
    return Made(data=data, mime=mime, width=width, height=height)


def ready_made(mime: str) -> Made:
    """A picture that costs nothing, for loads."""
    return Made(data=canned(mime), mime=mime, width=CANNED_SIZE[0], height=CANNED_SIZE[1])


def _in_colours_of(image: Image.Image, style: Image.Image) -> Image.Image:
    """The mean colours of the style's quarters, laid over the image."""
    means = style.resize(STYLE_CELLS, Image.Resampling.BOX).resize(image.size, Image.Resampling.BILINEAR)
    return Image.blend(image, means, STYLE_SHARE)


def _with_corner_of(image: Image.Image, donor: Image.Image) -> Image.Image:
    """The image with the donor's upper left quarter in its middle."""
    size = (max(1, image.width // PASTED_SHARE), max(1, image.height // PASTED_SHARE))
    corner = donor.resize(size, Image.Resampling.BILINEAR, box=(0, 0, donor.width / 2, donor.height / 2))
    pasted = image.copy()
    pasted.paste(corner, ((image.width - size[0]) // 2, (image.height - size[1]) // 2))
    return pasted


EFFECTS: Mapping[str, Callable[[Image.Image, Image.Image], Image.Image]] = {
    "style": _in_colours_of,
    "paste": _with_corner_of,
}
