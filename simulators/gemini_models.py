"""Gemini's image models as of November 2026: which live, what each takes, what size its pictures have.

Sizes and ratios: ai.google.dev/gemini-api/docs/image-generation. Retired ones stay in the table, for those who sell
them on: `build_app(serve_retired=True)`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

INPUT_TOKEN_LIMIT = 65_536
OUTPUT_TOKEN_LIMIT = 32_768

Ratios = Mapping[str, tuple[int, int]]
"""Width and height in pixels at 1K, by the ratio's name."""

RATIOS: Ratios = {
    "1:1": (1024, 1024),
    "2:3": (848, 1264),
    "3:2": (1264, 848),
    "3:4": (896, 1200),
    "4:3": (1200, 896),
    "4:5": (928, 1152),
    "5:4": (1152, 928),
    "9:16": (768, 1376),
    "16:9": (1376, 768),
    "21:9": (1584, 672),
}
LONG_RATIOS: Ratios = {"1:4": (512, 2048), "4:1": (2048, 512), "1:8": (384, 3072), "8:1": (3072, 384)}
OLD_RATIOS: Ratios = {
    "1:1": (1024, 1024),
    "2:3": (832, 1248),
    "3:2": (1248, 832),
    "3:4": (864, 1184),
    "4:3": (1184, 864),
    "4:5": (896, 1152),
    "5:4": (1152, 896),
    "9:16": (768, 1344),
    "16:9": (1344, 768),
    "21:9": (1536, 672),
}
SCALES = {"512": 0.5, "1K": 1, "2K": 2, "4K": 4}
LEVELS = ("MINIMAL", "MEDIUM", "HIGH")


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model. `tokens` has a picture's output tokens by size; no size named means that `imageSize` is refused."""

    name: str
    title: str
    tokens: Mapping[str, int]
    ratios: Ratios = field(default_factory=lambda: RATIOS)
    takes_size: bool = True
    levels: tuple[str, ...] = LEVELS
    max_pictures: int = 14
    retired: bool = False

    def ratio_of(self, width: int, height: int) -> str:
        """The ratio nearest to a picture's own."""
        wanted = math.log(width / height)
        return min(self.ratios, key=lambda ratio: abs(math.log(self.ratios[ratio][0] / self.ratios[ratio][1]) - wanted))

    def pixels(self, ratio: str, *, size: str) -> tuple[int, int]:
        """Width and height of the picture it makes."""
        width, height = self.ratios[ratio]
        return round(width * SCALES[size]), round(height * SCALES[size])


_ALL = (
    Model(
        name="gemini-nano-banana-2.1",
        title="Nano Banana 2.1",
        tokens={"1K": 1120, "2K": 1680, "4K": 3767},
        ratios={**RATIOS, **LONG_RATIOS},
    ),
    Model(name="gemini-3.1-flash-lite-image", title="Gemini 3.1 Flash-Lite Image", tokens={"1K": 1120}),
    Model(
        name="gemini-3-pro-image",
        title="Gemini 3 Pro Image",
        tokens={"1K": 1120, "2K": 1120, "4K": 2000},
        levels=(),
    ),
    *(
        Model(
            name=name,
            title="Gemini 3.1 Flash Image",
            tokens={"512": 747, "1K": 1120, "2K": 1680, "4K": 2520},
            ratios={**RATIOS, **LONG_RATIOS},
            retired=True,
        )
        for name in ("gemini-3.1-flash-image", "gemini-3.1-flash-image-preview")
    ),
    Model(
        name="gemini-3-pro-image-preview",
        title="Gemini 3 Pro Image Preview",
        tokens={"1K": 1120, "2K": 1120, "4K": 2000},
        levels=(),
        retired=True,
    ),
    *(
        Model(
            name=name,
            title="Gemini 2.5 Flash Image",
            tokens={"1K": 1290},
            ratios=OLD_RATIOS,
            takes_size=False,
            levels=(),
            retired=True,
        )
        for name in ("gemini-2.5-flash-image", "gemini-2.5-flash-image-preview")
    ),
)


def models(*, with_retired: bool) -> Mapping[str, Model]:
    """The models that answer, by name."""
    return {model.name: model for model in _ALL if with_retired or not model.retired}
