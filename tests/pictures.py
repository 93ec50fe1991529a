"""Good pictures, made on the spot: what booths, phones and providers may send.

`KINDS`, `TALKATIVE`, `DISGUISED` and `ODD_BUT_GOOD` name functions that return a file's bytes, so that a test can walk
through all of a sort. Every one of them shows the same picture: four quarters in `QUARTERS`.
"""

import functools
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

from PIL import Image, ImageChops, ImageCms

WIDTH, HEIGHT = 160, 120
QUARTERS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))
"""Top left, top right, bottom left, bottom right."""
GREY_QUARTERS = tuple((level, level, level) for level in (0, 85, 170, 255))

PHP = b"<?php system($_GET['CANARY']); ?>"
SCRIPT = b"<script>alert('CANARY')</script>"

Make = Callable[[], bytes]


def quarters(
    width: int = WIDTH, height: int = HEIGHT, *, colours: tuple[tuple[int, ...], ...] = QUARTERS, mode: str = "RGB"
) -> Image.Image:
    """The picture that all good files show."""
    image = Image.new(mode, (width, height))
    for index, colour in enumerate(colours):
        left, top = (index % 2) * (width // 2), (index // 2) * (height // 2)
        image.paste(colour, (left, top, left + width // 2, top + height // 2))
    return image


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The picture as a file of this kind."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def jpeg(width: int = WIDTH, height: int = HEIGHT, **options: Any) -> bytes:
    return saved(quarters(width, height), "JPEG", **({"quality": 90, "subsampling": 0} | options))


def png(width: int = WIDTH, height: int = HEIGHT, **options: Any) -> bytes:
    return saved(quarters(width, height), "PNG", **options)


def webp(width: int = WIDTH, height: int = HEIGHT, **options: Any) -> bytes:
    return saved(quarters(width, height), "WEBP", **({"quality": 95} | options))


KINDS: dict[str, Callable[..., bytes]] = {"image/jpeg": jpeg, "image/png": png, "image/webp": webp}


@functools.cache
def photo(width: int = 3264, height: int = 2448, *, grain: float = 0.05) -> bytes:
    """Like a booth's photo: soft shapes under sensor noise; 8 megapixels in about 2 MB, the same ones every time."""
    chance = random.Random(width)
    shapes_size = (width // 32 + 1, height // 32 + 1)
    shapes = Image.frombytes("RGB", shapes_size, chance.randbytes(shapes_size[0] * shapes_size[1] * 3))
    noise = Image.frombytes("L", (width, height), chance.randbytes(width * height))
    noise = noise.point([128 + int((level - 128) * grain) for level in range(256)])
    image = ImageChops.add(shapes.resize((width, height)), Image.merge("RGB", (noise,) * 3), 1, -128)
    return saved(image, "JPEG", quality=90)


def segment(code: int, body: bytes) -> bytes:
    """A JPEG segment."""
    return bytes((0xFF, code)) + struct.pack(">H", len(body) + 2) + body


def chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


# --- turned pictures, and pictures that tell too much


def exif(orientation: int | None = None) -> Image.Exif:
    """An EXIF block with a camera's secrets: GPS position, serial number, maker note."""
    block = Image.Exif()
    if orientation is not None:
        block[0x0112] = orientation
    block[0x010E] = "DESCRIPTIONCANARY"
    block.get_ifd(0x8769).update({0xA431: "SERIALCANARY", 0x927C: b"MAKERCANARY"})
    block.get_ifd(0x8825).update({1: "N", 2: (55.0, 45.0, 7.0), 29: "GPSCANARY", 18: "GPSCANARY"})
    return block


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:li>XMPCANARY</rdf:li></x:xmpmeta>'

_STORED_AS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def turned(orientation: int, kind: str = "JPEG") -> bytes:
    """Stored as a camera held that way stores it: the quarters stand right when the EXIF orientation is obeyed."""
    image = quarters()
    if orientation in _STORED_AS:
        image = image.transpose(_STORED_AS[orientation])
    return saved(image, kind, quality=95, exif=exif(orientation))


def talkative_jpeg(orientation: int = 1) -> bytes:
    """CANARY in EXIF, XMP, IPTC, a comment, a JFIF thumbnail and behind the end."""
    data = saved(quarters(), "JPEG", quality=95, exif=exif(orientation), xmp=XMP, comment=b"COMMENTCANARY")
    jfif = segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\x02\x02" + b"THUMBCANARY!")
    iptc = segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x0aIPTCCANARY")
    return data[:2] + jfif + iptc + data[20:] + b"TAILCANARY"


def talkative_png(orientation: int = 1) -> bytes:
    data = saved(quarters(), "PNG", exif=exif(orientation))
    text = chunk(b"tEXt", b"Author\0TEXTCANARY") + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)
    return data[:33] + text + data[33:-12] + chunk(b"tIME", b"CANARY!") + data[-12:] + b"TAILCANARY"


def talkative_webp(orientation: int = 1) -> bytes:
    return saved(quarters(), "WEBP", quality=95, exif=exif(orientation), xmp=XMP) + b"TAILCANARY"


TALKATIVE: dict[str, Callable[[int], bytes]] = {
    "image/jpeg": talkative_jpeg,
    "image/png": talkative_png,
    "image/webp": talkative_webp,
}


def jpeg_and_zip() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("index.php", PHP)
    return jpeg() + archive.getvalue()


DISGUISED: dict[str, Make] = {
    "JPEG and PHP": lambda: jpeg() + PHP,
    "JPEG and ZIP": jpeg_and_zip,
    "script in a JPEG comment": lambda: jpeg(comment=SCRIPT),
    "script in a PNG text": lambda: png()[:33] + chunk(b"tEXt", b"Comment\0" + SCRIPT) + png()[33:],
    "PHP behind a PNG": lambda: png() + PHP,
    "PHP behind a WEBP": lambda: webp() + PHP,
}


# --- colours


def swapped_profile() -> bytes:
    """An ICC profile like sRGB, but with red and green exchanged: what is stored red is green."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"####").replace(b"gXYZ", b"rXYZ").replace(b"####", b"gXYZ")


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def png_of(width: int, height: int, *, depth: int, colour: int, row: Callable[[int], bytes]) -> bytes:
    """A PNG from raw rows: for the depths that Pillow doesn't write."""
    rows = b"".join(b"\0" + row(y) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def _deep_row(y: int, *, colours: tuple[tuple[int, ...], ...]) -> bytes:
    left, right = colours[:2] if y < HEIGHT // 2 else colours[2:]
    return b"".join(
        struct.pack(f">{len(half)}H", *(level * 257 for level in half)) * (WIDTH // 2) for half in (left, right)
    )


def deep_grey_png() -> bytes:
    return png_of(
        WIDTH, HEIGHT, depth=16, colour=0, row=functools.partial(_deep_row, colours=((0,), (85,), (170,), (255,)))
    )


def deep_rgb_png() -> bytes:
    return png_of(WIDTH, HEIGHT, depth=16, colour=2, row=functools.partial(_deep_row, colours=QUARTERS))


def deep_alpha_png() -> bytes:
    opaque = tuple((*colour, 255) for colour in QUARTERS)
    return png_of(WIDTH, HEIGHT, depth=16, colour=6, row=functools.partial(_deep_row, colours=opaque))


def grey() -> Image.Image:
    return quarters(colours=((0,), (85,), (170,), (255,)), mode="L")


def cmyk() -> Image.Image:
    return quarters().convert("CMYK")


def see_through() -> Image.Image:
    """The quarters, of which the last is fully transparent."""
    return quarters(colours=(*((*colour, 255) for colour in QUARTERS[:3]), (255, 255, 0, 0)), mode="RGBA")


def other() -> Image.Image:
    """What a second frame shows: nothing of the first."""
    return Image.new("RGB", (WIDTH, HEIGHT), (0, 255, 255))


COLOURFUL: dict[str, Make] = {
    "CMYK JPEG": lambda: saved(cmyk(), "JPEG", quality=95),
    "progressive JPEG": lambda: jpeg(progressive=True),
    "JPEG of RGB": lambda: jpeg(keep_rgb=True),
    "palette PNG": lambda: saved(quarters().quantize(8), "PNG"),
    "palette PNG with an alpha per colour": lambda: saved(quarters().quantize(8), "PNG", transparency=b"\xff" * 8),
    "interlaced PNG": lambda: png(),
    "opaque RGBA PNG": lambda: saved(quarters().convert("RGBA"), "PNG"),
    "16-bit RGB PNG": deep_rgb_png,
    "16-bit RGBA PNG": deep_alpha_png,
    "APNG": lambda: saved(quarters(), "PNG", save_all=True, append_images=[other()]),
    "APNG with another picture for old readers": lambda: saved(
        quarters(), "PNG", save_all=True, append_images=[other(), other()], default_image=True
    ),
    "lossless WEBP": lambda: webp(lossless=True),
    "RGBA WEBP": lambda: saved(quarters().convert("RGBA"), "WEBP", quality=95),
    "animated WEBP": lambda: saved(quarters(), "WEBP", save_all=True, append_images=[other()], quality=95),
    "MPO": lambda: saved(quarters(), "MPO", save_all=True, append_images=[other()], quality=95),
}
GREY: dict[str, Make] = {
    "grey JPEG": lambda: saved(grey(), "JPEG", quality=95),
    "grey PNG": lambda: saved(grey(), "PNG"),
    "grey PNG with alpha": lambda: saved(grey().convert("LA"), "PNG"),
    "16-bit grey PNG": deep_grey_png,
}


def one_bit_png() -> bytes:
    """Black at the top, white at the bottom."""
    return saved(quarters(colours=((0,), (0,), (255,), (255,)), mode="L").convert("1", dither=Image.Dither.NONE), "PNG")


ODD_BUT_GOOD: dict[str, Make] = COLOURFUL | GREY | DISGUISED | {"1-bit PNG": one_bit_png}
