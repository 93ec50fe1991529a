"""The three kinds of picture there are, told by their first bytes, and how large a picture may be."""

JPEG, PNG, WEBP = "image/jpeg", "image/png", "image/webp"
EXTENSIONS = {JPEG: "jpg", PNG: "png", WEBP: "webp"}
MAGIC_BYTES = 12
"""How many first bytes tell the kind."""

MAX_PIXELS = 64_000_000
MIN_SIDE_PX = 64
MAX_RATIO = 20


def mime_of(head: bytes) -> str | None:
    """The MIME type that the first `MAGIC_BYTES` bytes say, whatever name and header say. None: no kind of ours."""
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return WEBP
    return None


def shape_mistake(width: int, height: int) -> str | None:
    """What is wrong with this size in pixels, apart from being too large; None when nothing is."""
    if min(width, height) < MIN_SIDE_PX:
        return f"The picture is {width} × {height} pixels; each side must have at least {MIN_SIDE_PX}."
    if max(width, height) > MAX_RATIO * min(width, height):
        return f"The picture is {width} × {height} pixels; no side may be over {MAX_RATIO} times the other."
    return None
