"""OpenAI's image models as of November 2026: which answer, and what each takes.

Fixed sizes up to 1.5; from 2 on any size within bounds. `input_fidelity` only up to 1.5, and not by the mini model.
"""

from collections.abc import Mapping
from dataclasses import dataclass

STEP_PX = 16
MAX_SIDE_PX = 3840
MAX_RATIO = 3
LEAST_PIXELS = 655_360
MOST_PIXELS = 8_294_400
USUAL_PIXELS = 1_572_864
"""What `auto` makes where any size may be had: as much as the largest of the fixed sizes."""
FIXED_SIZES = {"1024x1024": (1024, 1024), "1536x1024": (1536, 1024), "1024x1536": (1024, 1536)}
OLD_QUALITIES = {"low": 272, "medium": 1056, "high": 4160}
QUALITIES = {"low": 200, "medium": 1767, "high": 7000}
NEW_QUALITIES = {**QUALITIES, "xhigh": 9800, "max": 14_000}
SQUARE_PIXELS = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model. `tokens` has the output tokens of a square picture of 1024 pixels, by quality."""

    name: str
    created: int
    tokens: Mapping[str, int]
    free_sizes: bool = False
    transparent: bool = False
    input_fidelity: bool = False
    shutdown_date: str | None = None
    retired: bool = False

    def size_mistake(self, size: str) -> str | None:
        """Why it makes no picture of this size; None when it does."""
        if size == "auto" or (not self.free_sizes and size in FIXED_SIZES):
            return None
        if not self.free_sizes:
            return f"Supported values are: {', '.join(FIXED_SIZES)}, and 'auto'."
        width, height = _parsed(size)
        if not width or not height:
            return "It must be 'auto' or WIDTHxHEIGHT."
        if width % STEP_PX or height % STEP_PX:
            return f"Width and height must be divisible by {STEP_PX}."
        if max(width, height) > MAX_SIDE_PX:
            return f"No edge may be longer than {MAX_SIDE_PX} pixels."
        if max(width, height) > MAX_RATIO * min(width, height):
            return f"The ratio of the edges must not exceed {MAX_RATIO}:1."
        if not LEAST_PIXELS <= width * height <= MOST_PIXELS:
            return f"The picture must have {LEAST_PIXELS} to {MOST_PIXELS} pixels."
        return None

    def pixels(self, size: str, *, ratio: float) -> tuple[int, int]:
        """Width and height of the picture; `auto` follows the ratio (width by height) of the photo."""
        if size != "auto":
            return _parsed(size)
        if not self.free_sizes:
            return min(FIXED_SIZES.values(), key=lambda sides: abs(sides[0] / sides[1] - ratio))
        kept = min(max(ratio, 1 / MAX_RATIO), MAX_RATIO)
        height = (USUAL_PIXELS / kept) ** 0.5
        return _stepped(height * kept), _stepped(height)

    def picture_tokens(self, quality: str, *, width: int, height: int) -> int:
        """Output tokens of one picture."""
        return round(self.tokens[quality] * width * height / SQUARE_PIXELS)


def _parsed(size: str) -> tuple[int, int]:
    width, _, height = size.partition("x")
    whole = all(side.isascii() and side.isdigit() and len(side) <= 5 and side[0] != "0" for side in (width, height))
    return (int(width), int(height)) if whole else (0, 0)


def _stepped(side: float) -> int:
    return max(1, round(side / STEP_PX)) * STEP_PX


_LAST_DAY = "2026-12-01"
_ALL = (
    *(
        Model(name=name, created=created, tokens=NEW_QUALITIES, free_sizes=True)
        for name, created in (
            ("gpt-image-2.5-flare", 1_788_825_600),
            ("gpt-image-2.5-flare-2026-09-08", 1_788_825_600),
            ("gpt-image-2.5-sunburst", 1_788_825_600),
            ("gpt-image-2.5-sunburst-2026-09-08", 1_788_825_600),
        )
    ),
    Model(name="gpt-image-2", created=1_776_729_600, tokens=QUALITIES, free_sizes=True),
    Model(name="gpt-image-2-2026-04-21", created=1_776_729_600, tokens=QUALITIES, free_sizes=True),
    *(
        Model(
            name=name,
            created=1_765_843_200,
            tokens=OLD_QUALITIES,
            transparent=True,
            input_fidelity=True,
            shutdown_date=_LAST_DAY,
        )
        for name in ("gpt-image-1.5", "gpt-image-1.5-2025-12-16")
    ),
    *(
        Model(name=name, created=created, tokens=OLD_QUALITIES, transparent=True, shutdown_date=_LAST_DAY)
        for name, created in (("gpt-image-1-mini", 1_759_708_800), ("chatgpt-image-latest", 1_765_843_200))
    ),
    Model(
        name="gpt-image-1",
        created=1_745_366_400,
        tokens=OLD_QUALITIES,
        transparent=True,
        input_fidelity=True,
        retired=True,
    ),
    Model(name="dall-e-2", created=1_698_796_800, tokens=OLD_QUALITIES, retired=True),
)


def models(*, with_retired: bool) -> Mapping[str, Model]:
    """The models that answer, by name."""
    return {model.name: model for model in _ALL if with_retired or not model.retired}
