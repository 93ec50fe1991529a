"""The photos that booths send: as large as named, the same in every run."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.pictures import photo

SHAPES: dict[float, tuple[int, int, float]] = {
    0.5: (1632, 1224, 0.054),
    2: (3264, 2448, 0.054),
    10: (5472, 3648, 0.20),
    15: (6000, 4000, 0.33),
}
"""Megabytes → width, height and grain."""


@contextmanager
def photo_file(megabytes: float) -> Iterator[Path]:
    """A JPEG of about this size: 2 megapixels in 0.5 MB, 8 in 2 MB, 20 in 10 MB, 24 in 15 MB."""
    width, height, grain = SHAPES[megabytes]
    with tempfile.NamedTemporaryFile(prefix="photochanger-bench-", suffix=".jpg") as file:
        file.write(photo(width, height, grain=grain))
        file.flush()
        yield Path(file.name)
