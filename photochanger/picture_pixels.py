"""Pillow's part: a picture's pixels, upright and in 8-bit sRGB. Runs in a picture child only, never in a server.

Nothing of the file's metadata survives into what this module returns.
"""

import io
from typing import TYPE_CHECKING

from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from photochanger.errors import PictureError
from photochanger.picture_kinds import JPEG, MAX_PIXELS, PNG, WEBP, shape_mistake

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

# The plugins are called directly: Pillow's own detection would import a dozen more and take an MPO for what it is not.
PLENTY_PX = 2048
"""More than any provider draws in one go."""
_READERS: dict[str, type[ImageFile.ImageFile]] = {
    JPEG: JpegImagePlugin.JpegImageFile,
    PNG: PngImagePlugin.PngImageFile,
    WEBP: WebPImagePlugin.WebPImageFile,
}
_ORIENTATION_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SAME_COLOUR = 3
"""Of 255: profiles that move no colour further are sRGB under another name."""


def open_picture(data: bytes, *, mime: str) -> ImageFile.ImageFile:
    """The picture, not yet decoded. Raises `PictureError` for its size, and whatever Pillow may raise."""
    image = _READERS[mime](io.BytesIO(data))
    if image.width * image.height > MAX_PIXELS:
        raise PictureError("The picture has too many pixels.")
    if mistake := shape_mistake(*image.size):
        raise PictureError(mistake)
    return image


def is_upright_srgb(image: ImageFile.ImageFile) -> bool:
    """Whether an RGB picture's pixels are to be shown just as they are stored."""
    return _turn(image) is None and _to_srgb(image, mode="RGB") is None


def fitting(width: int, height: int, *, max_side_px: int) -> tuple[int, int]:
    """The size that fits into a square of `max_side_px`; never larger than it is."""
    scale = min(1.0, max_side_px / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def side_to_shrink_to(width: int, height: int, *, max_side_px: int) -> int:
    """The longest side of a picture that must become smaller: half of it, where that is still plenty for a provider.

    A JPEG gives half its size for a quarter of the work: 116 instead of 415 ms for 20 megapixels.
    """
    half = -(-max(width, height) // 2)
    return half if PLENTY_PX <= half <= max_side_px < max(width, height) else max_side_px


def read_through(image: ImageFile.ImageFile) -> None:
    """Have every bit decoded, for a picture whose pixels are not needed: of a JPEG hardly any are made."""
    image.draft("L", (1, 1))
    image.load()


def decode(image: ImageFile.ImageFile, *, max_side_px: int) -> None:
    """Decode all of the file; of a JPEG no more pixels than a picture with this longest side needs."""
    image.draft(None, fitting(*image.size, max_side_px=max_side_px))
    image.load()


def upright_srgb(image: ImageFile.ImageFile, *, max_side_px: int) -> Image.Image:
    """The first frame's pixels as RGB, or RGBA where something shows through, within `max_side_px`."""
    decode(image, max_side_px=max_side_px)
    turn = _turn(image)
    pixels = shrink(_in_srgb(image), max_side_px=max_side_px)
    if turn is not None:
        pixels = pixels.transpose(turn)
    pixels.info = {}  # what is in there, Pillow would write into the next file
    return pixels


def shrink(image: Image.Image, *, max_side_px: int, reducing_gap: float = 2.0) -> Image.Image:
    """The picture with a longest side of at most `max_side_px`; itself when it has that. A small gap is quick."""
    size = fitting(*image.size, max_side_px=max_side_px)
    if size == image.size:
        return image
    # For making smaller as good as LANCZOS to the eye, in half the time.
    return image.resize(size, Image.Resampling.HAMMING, reducing_gap=reducing_gap)


def flatten(image: Image.Image) -> Image.Image:
    """On white, when something shows through."""
    if image.mode == "RGB":
        return image
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white


def _turn(image: ImageFile.ImageFile) -> Image.Transpose | None:
    """What brings the picture upright. None when it is, or when the EXIF block says nothing that makes sense."""
    if image.format == "PNG":
        image.load()  # the EXIF block may come behind the pixels
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:
        return None


def _in_srgb(image: Image.Image) -> Image.Image:
    alpha = None
    if image.mode.startswith("I;16"):
        # 16-bit grey: the upper bytes are the picture; Pillow's own conversion would clip instead of scale.
        upper = 0 if image.mode.endswith("B") else 1
        colours = Image.frombytes("L", image.size, image.tobytes()[upper::2])
    elif image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        alpha, colours = with_alpha.getchannel("A"), with_alpha.convert("RGB")
        if alpha.getextrema() == (255, 255):
            alpha = None
    else:
        colours = image if image.mode in {"L", "RGB", "CMYK"} else image.convert("RGB")
    if (transform := _to_srgb(image, mode=colours.mode)) is not None:
        colours = transform.apply(colours)
    colours = colours.convert("RGB")
    if alpha is not None:
        colours.putalpha(alpha)
    return colours


def _to_srgb(image: Image.Image, *, mode: str) -> "ImageCmsTransform | None":
    """What brings the picture's colours into sRGB; None when its profile is sRGB, unreadable or for another mode."""
    profile = image.info.get("icc_profile")
    if not profile:
        return None
    from PIL import ImageCms  # few photos need it

    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    if mode != "RGB":
        return transform
    steps = range(0, 256, 51)
    probe = bytes(level for red in steps for green in steps for blue in steps for level in (red, green, blue))
    shown = transform.apply(Image.frombytes("RGB", (36, 6), probe)).tobytes()
    is_srgb = all(abs(before - after) <= _SAME_COLOUR for before, after in zip(probe, shown, strict=True))
    return None if is_srgb else transform
