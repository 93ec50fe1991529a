"""Pictures that are none, and pictures that are too much: what a provider should never send, and may."""

import struct
import zlib
from functools import lru_cache

from simulators.pictures import canned

HTML = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in to continue.</body></html>"
MAX_SIDE_PX = 16_383
"""A WEBP picture can have no more."""


def cut(mime: str) -> bytes:
    """The first half of a picture's bytes."""
    whole = canned(mime)
    return whole[: len(whole) // 2]


@lru_cache(maxsize=8)
def bomb(kind: str, *, side_px: int) -> bytes:
    """A small file whose decoded picture is a square of side_px.

    `webp`: valid, one colour, 28 bytes; `png`: valid, one bit a pixel, some kilobytes; `png_header`: no pixels at all.
    """
    if kind == "webp":
        return _webp_of_one_colour(side_px)
    rows = b"" if kind == "png_header" else _deflated_rows(side_px)
    header = struct.pack(">IIBBBBB", side_px, side_px, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _webp_of_one_colour(side_px: int) -> bytes:
    """Lossless WEBP where each prefix code has one symbol: no pixel needs a single bit (RFC 9649, 3.7.2)."""
    bits = 0
    length = 0
    one_symbol = (1, 4)  # simple code, one symbol, of one bit, 0
    for value, width in [(side_px - 1, 14), (side_px - 1, 14), (0, 1 + 3), (0, 1 + 1 + 1), *[one_symbol] * 5]:
        bits |= value << length
        length += width
    stream = b"\x2f" + bits.to_bytes((length + 7) // 8, "little")
    stream += b"\0" * (len(stream) % 2)
    chunk = b"VP8L" + struct.pack("<I", len(stream)) + stream
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def _deflated_rows(side_px: int) -> bytes:
    row = bytes(1 + (side_px + 7) // 8)
    deflate = zlib.compressobj(9)
    return b"".join(deflate.compress(row) for _ in range(side_px)) + deflate.flush()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
