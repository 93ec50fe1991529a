"""What a picture child needs for a task, one after the other, with the way there and back."""

import asyncio
import io
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from PIL import Image

from bench.figures import Figure
from bench.photos import photo_file
from photochanger import providers
from photochanger.images import Pictures
from tests.pictures import photo

MEGAPIXEL = (1264, 848)


def measure(*, quick: bool) -> Iterator[Figure]:
    """All its figures."""
    yield from asyncio.run(_all(rounds=3 if quick else 6, count=5 if quick else 10))


async def _all(*, rounds: int, count: int) -> list[Figure]:
    limits = providers.load().by_name["gemini"].input
    figures = []
    with tempfile.TemporaryDirectory(prefix="photochanger-bench-") as name:
        folder = Path(name)
        sources = {kind: _result(folder, kind) for kind in ("JPEG", "PNG")}
        async with Pictures(children=1) as pictures:
            for megabytes, told in ((2, "8 megapixels, 2 MB"), (10, "20 megapixels, 10 MB")):
                with photo_file(megabytes) as source:

                    async def prepare(source: Path = source) -> object:
                        return await pictures.prepare(source, folder, name="prepared", limits=limits)

                    values = await _times(prepare, rounds=rounds, count=count)
                figures.append(Figure(what=f"prepare a JPEG of {told}", values=values, unit="ms"))
            for kind, source in sources.items():

                async def check(source: Path = source) -> object:
                    return await pictures.check_result(source, folder, name="checked", preview_folder=folder)

                values = await _times(check, rounds=rounds, count=count)
                size = f"1 megapixel, {source.stat().st_size / 1e6:.2g} MB"
                figures.append(
                    Figure(what=f"check a {kind} of {size}, with preview and fsync", values=values, unit="ms")
                )
    return figures


def _result(folder: Path, kind: str) -> Path:
    path = folder / f"source-{kind}"
    if kind == "JPEG":
        path.write_bytes(photo(*MEGAPIXEL))
    else:
        Image.open(io.BytesIO(photo(*MEGAPIXEL))).save(path, "PNG", compress_level=6)
    return path


async def _times(task: Callable[[], Awaitable[object]], *, rounds: int, count: int) -> list[float]:
    """Milliseconds: the median of each round."""
    await task()
    medians = []
    for _ in range(rounds):
        times = []
        for _ in range(count):
            began = time.perf_counter()
            await task()
            times.append((time.perf_counter() - began) * 1000)
        medians.append(statistics.median(times))
    return medians
