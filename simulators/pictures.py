"""The pictures of the simulators: a photo that everybody sees went through, at little cost.

The surroundings become a two-colour poster, the oval in the middle where people stand stays as it is, and a frame with
a caption goes around it all. The same input always gives the same bytes. A JPEG of 8 megapixels (2 MB) takes 36 ms, 21
of them for its decoding at a fraction of its size; what is to be larger than a megapixel is painted small and enlarged.
"""

import io
import random
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from photochanger.errors import PictureError

CAPTION = "PhotoChanger simulator"
MAX_PIXELS = 64_000_000
MAX_PAINTED_PIXELS = 1_300_000
PAINTED_PIXELS = 1_000_000
GLANCED_PIXELS = 10_000
GRAIN_PX = 30
MIDDLE = (0.08, 0.08, 0.92, 0.94)
"""Left, top, right and bottom of what is kept, as shares of the whole."""
SMOOTH = Image.Resampling.BILINEAR
Colour = tuple[int, int, int]
POSTER_STEPS = 6
QUALITY = 85
CANNED_SIZE = (1264, 848)
CANNED_SEED = 20_261_121
PALETTES = (
    ((58, 24, 40), (255, 226, 170)),
    ((16, 40, 66), (255, 214, 190)),
    ((20, 56, 48), (250, 236, 180)),
    ((52, 28, 84), (255, 220, 224)),
)
"""Dark and light of the poster."""
OPENED = ("JPEG", "PNG", "WEBP")
FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "MPO": "image/jpeg"}
HEIF_BRANDS = {b"heic": "image/heic", b"heix": "image/heic", b"mif1": "image/heif", b"msf1": "image/heif"}
"""Known by their first bytes only: Pillow does not decode them."""


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A picture somebody sent, decoded."""

    mime: str
    """By its bytes, whatever was said about them."""
    width: int
    height: int
    """Of the whole picture, upright."""
    image: Image.Image
    """Upright and in RGB, but no larger than it is needed."""


def look(data: bytes, *, to_paint: bool = True) -> Photo:
    """Decode a picture; small, if it is not `to_paint`. Raises `PictureError` unless it is one of a supported type."""
    if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS:
        sheet = Image.new("RGB", (1200, 900), (128, 128, 128))
        return Photo(mime=HEIF_BRANDS[data[8:12]], width=sheet.width, height=sheet.height, image=sheet)
    try:
        with Image.open(io.BytesIO(data), formats=OPENED) as image:
            mime, whole = FORMATS[image.format or ""], image.size
            if whole[0] * whole[1] > MAX_PIXELS:
                raise PictureError("the picture has too many pixels")
            shrink = ((PAINTED_PIXELS if to_paint else GLANCED_PIXELS) / (whole[0] * whole[1])) ** 0.5
            image.draft(None, (max(1, int(whole[0] * shrink)), max(1, int(whole[1] * shrink))))
            decoded = image.size
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            upright = image if image.mode == "RGB" else image.convert("RGB")
    except (OSError, ValueError, SyntaxError, MemoryError, Warning, Image.DecompressionBombError) as error:
        raise PictureError(f"the picture cannot be decoded: {error}") from error
    turned = (upright.width < upright.height) != (decoded[0] < decoded[1])
    width, height = whole[::-1] if turned else whole
    return Photo(mime=mime, width=width, height=height, image=upright)


def change(photo: Photo | None, *, width: int, height: int, mime: str, seed: int = 0) -> bytes:
    """The changed photo, filling width × height. `seed` chooses the colours, and the poster where there is no photo."""
    shrink = max(1.0, (width * height / MAX_PAINTED_PIXELS) ** 0.5)
    size = (round(width / shrink), round(height / shrink))
    original = _cut_to_ratio(photo.image, size) if photo is not None else _texture(size, seed=seed)
    dark, light = PALETTES[seed % len(PALETTES)]
    poster = _poster(original.convert("L").resize(size, Image.Resampling.NEAREST), dark=dark, light=light)
    _keep_middle(poster, original)
    _frame(poster, colour=dark, paper=light)
    if shrink > 1:
        poster = poster.resize((width, height), SMOOTH)
    return _encoded(poster, mime)


@lru_cache(maxsize=4)
def canned(mime: str) -> bytes:
    """A megapixel in about 150 KB (as JPEG), painted once: for loads, and where the picture is not the point."""
    return change(None, width=CANNED_SIZE[0], height=CANNED_SIZE[1], mime=mime, seed=CANNED_SEED)


def _cut_to_ratio(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The largest part from the middle with the ratio of the size."""
    scale = min(image.width / size[0], image.height / size[1])
    width, height = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _texture(size: tuple[int, int], *, seed: int) -> Image.Image:
    """Something like a photo where there is none: soft noise, the same for the same seed."""
    coarse = (max(2, size[0] // GRAIN_PX), max(2, size[1] // GRAIN_PX))
    noise = random.Random(seed).randbytes(coarse[0] * coarse[1] * 3)
    return Image.frombytes("RGB", coarse, noise).resize(size, SMOOTH)


def _poster(grey: Image.Image, *, dark: Colour, light: Colour) -> Image.Image:
    """The picture in a few steps between two colours."""
    poster = Image.frombytes("P", grey.size, grey.tobytes())
    poster.putpalette(_palette(dark, light))
    return poster.convert("RGB")


@lru_cache(maxsize=8)
def _palette(dark: Colour, light: Colour) -> bytes:
    steps = [min(grey * POSTER_STEPS // 256, POSTER_STEPS - 1) / (POSTER_STEPS - 1) for grey in range(256)]
    return bytes(round(low + (high - low) * step) for step in steps for low, high in zip(dark, light, strict=True))


def _keep_middle(poster: Image.Image, original: Image.Image) -> None:
    """Put the original, of any size, back into the oval. Only this part of it is scaled: that is the costly step."""
    left, top, right, bottom = (
        round(share * side) for share, side in zip(MIDDLE, (poster.width, poster.height) * 2, strict=True)
    )
    across, down = original.width / poster.width, original.height / poster.height
    size = (right - left, bottom - top)
    quickest = Image.Resampling.BOX if across > 1 else SMOOTH
    part = original.resize(size, quickest, box=(left * across, top * down, right * across, bottom * down))
    poster.paste(part, (left, top), mask=_oval(size))


@lru_cache(maxsize=32)
def _oval(size: tuple[int, int]) -> Image.Image:
    """Opaque in the middle, with a soft edge."""
    small = (max(8, size[0] // 8), max(8, size[1] // 8))
    soft = min(small) / 16
    mask = Image.new("L", small, 0)
    ImageDraw.Draw(mask).ellipse((soft * 2, soft * 2, small[0] - soft * 2, small[1] - soft * 2), fill=255)
    return mask.filter(ImageFilter.GaussianBlur(soft)).resize(size, SMOOTH)


def _frame(picture: Image.Image, *, colour: Colour, paper: Colour) -> None:
    """Draw the frame and set the caption into its lower edge."""
    edge = max(4, min(picture.size) // 40)
    ImageDraw.Draw(picture).rectangle((0, 0, picture.width - 1, picture.height - 1), outline=colour, width=edge)
    caption = _caption(max(10, min(picture.width // 24, picture.height // 12)), colour=colour, paper=paper)
    picture.paste(caption, ((picture.width - caption.width) // 2, picture.height - caption.height - edge // 2))


@lru_cache(maxsize=64)
def _caption(height: int, *, colour: Colour, paper: Colour) -> Image.Image:
    font = ImageFont.load_default(height * 0.7)
    left, top, right, bottom = (round(side) for side in font.getbbox(CAPTION))
    strip = Image.new("RGB", (right - left + height, height), colour)
    ImageDraw.Draw(strip).text((height // 2 - left, (height - bottom + top) // 2 - top), CAPTION, fill=paper, font=font)
    return strip


def _encoded(picture: Image.Image, mime: str) -> bytes:
    file = io.BytesIO()
    if mime == "image/png":
        picture.save(file, "PNG", compress_level=1)
    else:
        picture.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
