"""A desk where pictures are prepared and results checked by real children, and a look at what came of it."""

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from photochanger.images import CheckedResult, Pictures, PreparedPicture
from photochanger.providers import InputLimits
from tests.pictures import QUARTERS

EVERYTHING = InputLimits(mime_types=("image/jpeg", "image/png", "image/webp"), max_bytes=7_000_000, max_side_px=4096)
JPEG_ONLY = InputLimits(mime_types=("image/jpeg",), max_bytes=7_000_000, max_side_px=4096)
TOLERANCE = 12
"""How far a lossy encoding may move a colour level in the middle of a quarter."""


@dataclass(frozen=True)
class Desk:
    """Folders of one test, and the two things that can be done to a picture."""

    pool: Pictures
    folder: Path

    async def prepare(self, data: bytes, *, limits: InputLimits = EVERYTHING) -> PreparedPicture:
        return await self.pool.prepare(self._source(data), self.work, name="prepared", limits=limits)

    async def check(self, data: bytes) -> CheckedResult:
        return await self.pool.check_result(self._source(data), self.work, name="result", preview_folder=self.previews)

    async def both(self, data: bytes) -> list[bytes]:
        """All files that come of this picture: prepared, result, preview."""
        prepared, result = await self.prepare(data), await self.check(data)
        names = [prepared.path, self.work / result.file_name, self.previews / result.preview_name]
        return [path.read_bytes() for path in names]

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def previews(self) -> Path:
        return self.folder / "previews"

    def left(self) -> list[str]:
        return sorted(path.name for folder in (self.work, self.previews) for path in folder.iterdir())

    def _source(self, data: bytes) -> Path:
        path = self.folder / "source"
        path.write_bytes(data)
        return path


def desk_of(pool: Pictures, folder: Path) -> Desk:
    desk = Desk(pool, folder)
    desk.work.mkdir()
    desk.previews.mkdir()
    return desk


def shown(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def quarters_of(image: Image.Image) -> list[tuple[int, ...]]:
    """The colours in the middle of the four quarters."""
    rgb = image.convert("RGB")
    across, down = (rgb.width // 4, rgb.width * 3 // 4), (rgb.height // 4, rgb.height * 3 // 4)
    return [rgb.getpixel((x, y)) for y in down for x in across]  # type: ignore[misc]


def assert_shows(data: bytes, colours: tuple[tuple[int, ...], ...] = QUARTERS) -> None:
    image = shown(data)
    assert image.mode in {"RGB", "RGBA"}
    assert getattr(image, "n_frames", 1) == 1
    found = quarters_of(image)
    for expected, actual in zip(colours, found, strict=True):
        assert all(abs(a - b) <= TOLERANCE for a, b in zip(expected, actual, strict=True)), found
