"""Pictures: made ready for a provider, and checked when they come back. All decoding happens in limited children.

    Pictures ── PictureProcess (one per core) ──line──> picture_child ── picture_work ── picture_bytes    metadata off
                                                                                     ├── picture_pixels   upright, sRGB
                                                                                     └── picture_encoding

A child has a limit on memory and one on the time of a task. One that dies takes only its own task along.
"""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from photochanger.picture_kinds import EXTENSIONS
from photochanger.picture_process import PictureProcess
from photochanger.providers import InputLimits

CHILD_MEMORY_BYTES = 1 << 30
TASK_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True)
class PreparedPicture:
    """A picture as its provider takes it: upright, 8-bit sRGB, without metadata."""

    path: Path
    mime: str
    width: int
    height: int
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class CheckedResult:
    """A provider's picture that can be given to the booth, and its preview. Both are on the disk for good."""

    file_name: str
    preview_name: str
    mime: str
    width: int
    height: int
    size_bytes: int
    sha256: bytes


class Pictures:
    """A few children that decode and encode; `async with Pictures() as pictures:` ends them."""

    def __init__(
        self,
        *,
        children: int | None = None,
        memory_bytes: int = CHILD_MEMORY_BYTES,
        task_seconds: float = TASK_SECONDS,
    ) -> None:
        """At most `children` (one per core) tasks at a time; the others wait their turn. Nothing is started yet."""
        self._count = children or os.cpu_count() or 1
        self._memory_bytes = memory_bytes
        self._task_seconds = task_seconds
        self._places = asyncio.Semaphore(self._count)
        self._idle: list[PictureProcess] = []
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Start one child now: a wrong installation shows at once, and the first photo doesn't wait."""
        async with self._places:
            self._idle.append(await self._child())

    async def close(self) -> None:
        """End all children, when what they have in work is done. What still waits gets a `RuntimeError`."""
        if self._is_closed:
            return
        self._is_closed = True
        for _ in range(self._count):
            await self._places.acquire()
        await asyncio.gather(*(child.end() for child in self._idle))
        self._idle.clear()

    async def prepare(self, source: Path, target_folder: Path, *, name: str, limits: InputLimits) -> PreparedPicture:
        """Write the photo as a provider takes it to `target_folder/<name>.<ext>`.

        Upright, sRGB, without metadata, the first frame, within `limits`. A photo that is all that already keeps its
        pixels bit by bit; otherwise it keeps its type where the provider takes it, and becomes a JPEG (a PNG with
        alpha) where not. Raises `PictureError` when it cannot be decoded within the limits of a child, `OSError` for
        the disk; no file is left then.
        """
        made = await self._do(
            "prepare",
            leftovers=[target_folder / f"{name}.{extension}" for extension in EXTENSIONS.values()],
            source=str(source),
            target_folder=str(target_folder),
            name=name,
            accepted=list(limits.mime_types),
            max_bytes=limits.max_bytes,
            max_side_px=limits.max_side_px,
        )
        return PreparedPicture(path=target_folder / made.pop("file_name"), **made)

    async def check_result(
        self, source: Path, target_folder: Path, *, name: str, preview_folder: Path
    ) -> CheckedResult:
        """Decode a provider's answer and write it to `target_folder/<name>.<ext>`, a WEBP to `preview_folder`.

        Upright, sRGB, without metadata, in full size and its own type; both files are synced. Raises as `prepare`.
        """
        made = await self._do(
            "check_result",
            leftovers=[target_folder / f"{name}.{extension}" for extension in EXTENSIONS.values()]
            + [preview_folder / f"{name}.webp"],
            source=str(source),
            target_folder=str(target_folder),
            name=name,
            preview_folder=str(preview_folder),
        )
        return CheckedResult(sha256=bytes.fromhex(made.pop("sha256")), **made)

    async def _do(self, task: str, *, leftovers: list[Path], **arguments: Any) -> dict[str, Any]:
        self._refuse_when_closed()
        async with self._places:
            self._refuse_when_closed()
            child = await self._child()
            try:
                return await child.ask(task, **arguments)
            except BaseException:
                if not child.is_alive:  # else it has tidied up itself
                    for path in leftovers:
                        path.unlink(missing_ok=True)
                raise
            finally:
                if child.is_alive:
                    self._idle.append(child)

    async def _child(self) -> PictureProcess:
        while self._idle:
            child = self._idle.pop()
            if child.is_alive:
                return child
            await child.end()  # it was killed while nobody needed it
        return await PictureProcess.start(memory_bytes=self._memory_bytes, task_seconds=self._task_seconds)

    def _refuse_when_closed(self) -> None:
        if self._is_closed:
            raise RuntimeError("the picture children are closed")
