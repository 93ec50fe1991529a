"""Takes metadata off a picture without touching its pixels, and finds out whether the file is whole.

Only what a decoder needs is copied: no EXIF, XMP, ICC, comments, thumbnails, further pictures, and nothing that was
appended to the file. What stays is the same picture bit by bit, since nothing is encoded again.

Sources: JPEG ITU-T T.81 annex B and JFIF 1.02, PNG third edition chapter 5, WebP container RFC 9649 section 2.
"""

import re
import struct
import zlib

from photochanger.errors import PictureError
from photochanger.picture_kinds import JPEG, PNG

MAX_PARTS = 20_000
"""Segments or chunks of one file. A real photo has some dozens, a PNG written in small pieces a few thousand."""


def plain_bytes(data: bytes, *, mime: str) -> bytes | None:
    """The file without its metadata. None when its colours or its build are such that it must be encoded anew.

    What is returned is 8-bit, of one frame, and RGB (PNG and WEBP perhaps with alpha); whether it can be decoded, and
    what the metadata said about orientation and colours, is for the caller to find out from the whole file.
    Raises `PictureError` when the file is not whole.
    """
    if mime == JPEG:
        return _plain_jpeg(data)
    if mime == PNG:
        return _plain_png(data)
    return _plain_webp(data)


_MARKER = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
_TABLES = {0xC4, 0xCC, 0xDB, 0xDC, 0xDD}
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_END, _SCAN, _JFIF, _ADOBE = 0xD9, 0xDA, 0xE0, 0xEE
_METADATA = {*range(0xE0, 0xF0), 0xFE}
_KNOWN = {_SCAN} | _TABLES | _FRAMES | _METADATA


def _plain_jpeg(data: bytes) -> bytes | None:
    view, position, is_rgb, has_jfif = memoryview(data), 2, True, False
    parts: list[bytes | memoryview] = [b"\xff\xd8"]
    for _ in range(MAX_PARTS):
        marker = _MARKER.match(data, position)
        if marker is None:
            if data[position : position + 1] in {b"", b"\xff"}:
                raise PictureError("The JPEG picture is cut off.")
            return None  # rubbish between two segments is for the decoder to judge
        code, start = marker[1][0], marker.end()
        if code == _END:
            return b"".join([*parts, b"\xff\xd9"]) if is_rgb else None
        if code not in _KNOWN:
            return None
        end = start + int.from_bytes(data[start : start + 2], "big")
        if not start + 2 <= end <= len(data):
            raise PictureError("The JPEG picture is cut off.")
        body = data[start + 2 : end]
        if code == _SCAN:
            scan_end = _SCAN_END.search(data, end)
            if scan_end is None:
                raise PictureError("The JPEG picture is cut off.")
            end = scan_end.start()
        if code not in _METADATA:
            parts += [bytes((0xFF, code)), view[start:end]]
        elif code == _JFIF and body.startswith(b"JFIF\0") and len(body) >= 14 and not has_jfif:
            # It tells decoders that the colours are YCbCr. Version and density stay, a thumbnail goes.
            parts.append(b"\xff\xe0\x00\x10" + body[:12] + b"\0\0")
            has_jfif = True
        elif code == _ADOBE and body.startswith(b"Adobe") and len(body) >= 12:
            parts.append(b"\xff\xee\x00\x0e" + body[:12])
        if code in _FRAMES:
            is_rgb = is_rgb and body[:1] == b"\x08" and body[5:6] == b"\x03"
        position = end
    raise PictureError("The JPEG picture has too many segments.")


BEGINNING_BYTES = 64 * 1024
_SEQUENTIAL = {0xC0, 0xC1}


def beginning(plain: bytes) -> bytes | None:
    """A plain sequential JPEG with the first 64 KiB of its only scan: a decoder that takes it takes the whole.

    Past its headers libjpeg has no error for such a picture, only warnings, which Pillow drops; that its scan comes to
    its end `plain_bytes` has seen. None for other pictures.
    """
    position, is_sequential = 2, False
    while plain[position : position + 1] == b"\xff":
        code, end = plain[position + 1], position + 2 + int.from_bytes(plain[position + 2 : position + 4], "big")
        is_sequential = is_sequential or code in _SEQUENTIAL
        if code == _SCAN:
            scan_end = _SCAN_END.search(plain, end)
            only_scan = scan_end is not None and scan_end.start() == len(plain) - 2
            return plain[: end + BEGINNING_BYTES] + b"\xff\xd9" if is_sequential and only_scan else None
        position = end
    return None


_KEPT_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_ANCILLARY = 0x20  # a lower-case first letter: decoders may skip the chunk


def _plain_png(data: bytes) -> bytes | None:
    view, position = memoryview(data), 8
    parts: list[bytes | memoryview] = [data[:8]]
    kinds: set[bytes] = set()
    for _ in range(MAX_PARTS):
        length, kind = struct.unpack(">I4s", data[position : position + 8].ljust(8, b"\0"))
        end = position + 12 + length
        if end > len(data):
            raise PictureError("The PNG picture is cut off.")
        if zlib.crc32(view[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise PictureError("The PNG picture is damaged: a checksum is wrong.")
        if (kind == b"IHDR") == bool(kinds):
            raise PictureError("The PNG picture does not have one header.")
        if kind in _KEPT_CHUNKS:
            parts.append(view[position:end])
        elif not kind[0] & _ANCILLARY:
            raise PictureError("The PNG picture cannot be understood.")
        kinds.add(kind)
        position = end
        if kind == b"IEND":
            depth, colours = data[24:26]
            is_rgb = colours == 6 or (colours == 2 and b"tRNS" not in kinds)
            return b"".join(parts) if depth == 8 and is_rgb else None
    raise PictureError("The PNG picture has too many chunks.")


_WEBP_PICTURES = {b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"}


def _plain_webp(data: bytes) -> bytes | None:
    total = 8 + int.from_bytes(data[4:8], "little")
    if total > len(data):
        raise PictureError("The WEBP picture is cut off.")
    pictures: list[tuple[bytes, bytes]] = []
    position = 12
    for _ in range(MAX_PARTS):
        if position >= total:
            break
        kind, length = struct.unpack("<4sI", data[position : position + 8].ljust(8, b"\0"))
        end = position + 8 + length
        if end > total:
            raise PictureError("The WEBP picture is cut off.")
        if kind in _WEBP_PICTURES:
            pictures.append((kind, data[position:end] + b"\0" * (length % 2)))
        position = end + length % 2
    else:
        raise PictureError("The WEBP picture has too many chunks.")
    if [kind for kind, _ in pictures] not in ([b"VP8 "], [b"VP8L"]):
        return None  # an animation, or an alpha channel beside the picture
    chunk = pictures[0][1]
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk
