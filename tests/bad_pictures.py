"""Bad pictures, made on the spot: broken, hostile and foreign files, and seeded damage to good ones.

`BROKEN`, `MISSHAPEN`, `TOO_LARGE` and `FOREIGN` name functions that return a file's bytes, so that a test can walk
through all of a sort.
"""

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator

from tests.pictures import PHP, Make, chunk, jpeg, png, quarters, saved, segment, webp


def bad_checksum_png(kind: bytes = b"IDAT") -> bytes:
    data = bytearray(png())
    position = data.index(kind) - 4
    end = position + 12 + int.from_bytes(data[position : position + 4], "big")
    data[end - 1] ^= 0x55
    return bytes(data)


def _bomb() -> bytes:
    return zlib.compress(bytes(16 << 20), 9)


def text_bomb_png() -> bytes:
    return png()[:33] + chunk(b"zTXt", b"Comment\0\0" + _bomb()) + png()[33:]


def late_text_bomb_png() -> bytes:
    return png()[:-12] + chunk(b"zTXt", b"Comment\0\0" + _bomb()) + png()[-12:]


def profile_bomb_png() -> bytes:
    return png()[:33] + chunk(b"iCCP", b"icc\0\0" + _bomb()) + png()[33:]


def pixel_bomb_png() -> bytes:
    """Pixels for a much larger picture than the header says are no harm; fewer than it says are a damage."""
    header = struct.pack(">IIBBBBB", 4000, 4000, 8, 2, 0, 0, 0)
    few = chunk(b"IDAT", zlib.compress(bytes(3 * 4000 * 10)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + few + chunk(b"IEND", b"")


def one_colour_webp(width: int, height: int) -> bytes:
    """A whole lossless WEBP in 34 bytes: five prefix codes of one symbol each, so that a pixel takes no bits.

    RFC 9649 sections 3.4 to 3.8.
    """
    bits = [(0x2F, 8), (width - 1, 14), (height - 1, 14), (0, 1), (0, 3)]
    bits += [(0, 1), (0, 1), (0, 1)]  # no transform, no colour cache, one group of codes
    for symbol in (200, 100, 50, 255):
        bits += [(1, 1), (0, 1), (1, 1), (symbol, 8)]
    bits += [(1, 1), (0, 1), (0, 1), (0, 1)]
    value = position = 0
    for number, count in bits:
        value |= number << position
        position += count
    body = value.to_bytes((position + 15) // 16 * 2, "little")
    part = b"VP8L" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(part) + 4) + b"WEBP" + part


def huge_jpeg() -> bytes:
    """65535 × 65535 pixels in 74 bytes."""
    frame = segment(0xC0, struct.pack(">BHHB", 8, 65535, 65535, 3) + b"\1\x11\0\2\x11\0\3\x11\0")
    scan = segment(0xDA, b"\3\1\0\2\0\3\0\0\x3f\0")
    return b"\xff\xd8" + jpeg()[2:20] + frame + scan + b"\0" * 19 + b"\xff\xd9"


def huge_png() -> bytes:
    header = struct.pack(">IIBBBBB", 8001, 8001, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


BROKEN: dict[str, Make] = {
    "empty file": lambda: b"",
    "JPEG magic only": lambda: b"\xff\xd8\xff",
    "PNG magic only": lambda: b"\x89PNG\r\n\x1a\n",
    "WEBP magic only": lambda: b"RIFF\0\0\0\0WEBP",
    "JPEG cut in half": lambda: jpeg()[: len(jpeg()) // 2],
    "JPEG cut in its header": lambda: jpeg()[:100],
    "JPEG without its last two bytes": lambda: jpeg()[:-2],
    "JPEG without its last byte": lambda: jpeg()[:-1],
    "progressive JPEG cut in half": lambda: jpeg(progressive=True)[: len(jpeg(progressive=True)) // 2],
    "JPEG without tables": lambda: jpeg().replace(b"\xff\xdb", b"\xff\xfe").replace(b"\xff\xc4", b"\xff\xfe"),
    "PNG cut in half": lambda: png()[: len(png()) // 2],
    "PNG without its end": lambda: png()[:-12],
    "PNG with a wrong checksum over its pixels": bad_checksum_png,
    "PNG with a wrong checksum over its header": lambda: bad_checksum_png(b"IHDR"),
    "PNG with a text bomb": text_bomb_png,
    "PNG with a text bomb behind its pixels": late_text_bomb_png,
    "PNG with a profile bomb": profile_bomb_png,
    "PNG with too few pixels": pixel_bomb_png,
    "WEBP cut in half": lambda: webp()[: len(webp()) // 2],
    "WEBP without its last byte": lambda: webp()[:-1],
    "WEBP of noise": lambda: webp()[:40] + bytes(range(1, 250)) * 20,
}
MISSHAPEN: dict[str, Make] = {
    "63 pixels wide": lambda: jpeg(63, 120),
    "63 pixels high": lambda: png(120, 63),
    "one pixel": lambda: webp(1, 1),
    "over 20 : 1": lambda: png(64 * 20 + 1, 64),
    "over 1 : 20": lambda: jpeg(64, 64 * 20 + 1),
}
TOO_LARGE: dict[str, Make] = {
    "65535² JPEG in 74 bytes": huge_jpeg,
    "8001² PNG": huge_png,
    "16383² WEBP in 32 bytes": lambda: one_colour_webp(16383, 16383),
}


def _box(brand: bytes) -> bytes:
    return struct.pack(">I", 24) + b"ftyp" + brand + b"\0\0\0\0" + brand + b"mif1" + b"\0" * 200


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("photo.jpg", jpeg())
    return file.getvalue()


FOREIGN: dict[str, Make] = {
    "HTML": lambda: b"<!doctype html><html><script>alert(1)</script></html>",
    "SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100" onload="alert(1)"/>',
    "SVG with a prolog": lambda: b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    "PDF": lambda: b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer<<>>\n%%EOF",
    "ZIP": _zip,
    "MP4": lambda: _box(b"isom"),
    "HEIC": lambda: _box(b"heic"),
    "AVIF": lambda: _box(b"avif"),
    "GIF": lambda: saved(quarters(), "GIF"),
    "BMP": lambda: saved(quarters(), "BMP"),
    "TIFF": lambda: saved(quarters(), "TIFF"),
    "text": lambda: b"this is not a picture",
    "zeros": lambda: bytes(1000),
    "PHP with a GIF's magic": lambda: b"GIF89a" + PHP,
    "RIFF that is a sound": lambda: b"RIFF\x24\0\0\0WAVEfmt " + bytes(32),
    "JPEG behind a newline": lambda: b"\n" + jpeg(),
}


def mutations(data: bytes, *, count: int, seed: int, within: int | None = None) -> Iterator[bytes]:
    """Seeded damage to a file: bytes changed, cut out, doubled, or the end missing. `within`: the first bytes only."""
    chance = random.Random(seed)
    for _ in range(count):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 8)):
            if len(damaged) < 32:
                break
            position = chance.randrange(min(len(damaged), within or len(damaged)))
            action = chance.randrange(5)
            if action == 0:
                damaged[position] = chance.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))
            elif action == 1:
                damaged[position] ^= 1 << chance.randrange(8)
            elif action == 2:
                del damaged[position : position + chance.randint(1, 16)]
            elif action == 3:
                damaged[position:position] = damaged[position : position + chance.randint(1, 64)]
            else:
                del damaged[chance.randrange(16, len(damaged)) :]
        yield bytes(damaged)
