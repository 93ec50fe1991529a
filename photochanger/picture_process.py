"""A picture child as its parent sees it: started, asked one thing after the other, ended.

It has an interpreter of its own: a fork of an asynchronous process with threads is not safe, and multiprocessing's
`spawn` would import all of the parent's main module into each child. It shares no signal and no secret with us.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import Any, Self

from photochanger.errors import PictureError

START_SECONDS = 30.0
GRACE_SECONDS = 1.0
"""The child's own alarm ends a task that takes too long; one that is frozen is ended this much later."""
MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(128 << 20)}
"""glibc keeps up to 128 MiB for the next picture. Fresh pages for each cost as much as all the decoding."""
INHERITED = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "TZ")


class PictureProcess:
    """One child and the line to it. After an `ask` that did not answer it is dead: `is_alive` tells."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        task_seconds: float,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._task_seconds = task_seconds

    @classmethod
    async def start(cls, *, memory_bytes: int, task_seconds: float) -> Self:
        """A child that is ready. Raises `RuntimeError` when it does not come up under these limits."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = _launch(theirs, memory_bytes=memory_bytes, task_seconds=task_seconds)
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        child = cls(process, reader, writer, task_seconds=task_seconds)
        if await child._line(within_seconds=START_SECONDS) is None:
            raise RuntimeError("a picture child did not start; its standard error says why")
        return child

    @property
    def is_alive(self) -> bool:
        """Whether its process runs."""
        return self._process.poll() is None and not self._reader.at_eof()

    async def ask(self, task: str, **arguments: Any) -> dict[str, Any]:
        """What the task made. Raises `PictureError`, also when the child died of it, and `OSError` for the disk."""
        self._writer.write(json.dumps({"task": task, **arguments}).encode() + b"\n")
        line = await self._line(within_seconds=self._task_seconds + GRACE_SECONDS)
        if line is None and self._process.returncode == -signal.SIGALRM:
            raise PictureError(f"The picture took longer than {self._task_seconds:g} seconds.")
        if line is None:
            raise PictureError("The picture could not be decoded within the limits.")
        answer: dict[str, Any] = json.loads(line)
        if "errno" in answer:
            raise OSError(answer["errno"], os.strerror(answer["errno"]), answer["path"])
        if "mistake" in answer:
            raise PictureError(answer["mistake"])
        made: dict[str, Any] = answer["picture"]
        return made

    async def end(self) -> None:
        """End it whatever it does, and wait until it is gone. It keeps nothing that would need a farewell."""
        self._process.kill()
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
        await asyncio.to_thread(self._process.wait)

    async def _line(self, *, within_seconds: float) -> bytes | None:
        """Its next line. None when it died or was ended for its silence; a caller that is cancelled ends it too."""
        line = b""
        try:
            async with asyncio.timeout(within_seconds):
                line = await self._reader.readline()
        except (TimeoutError, ConnectionError):
            pass
        finally:
            if not line.endswith(b"\n"):
                await self.end()
        return line or None


def _launch(line: socket.socket, *, memory_bytes: int, task_seconds: float) -> subprocess.Popen[bytes]:
    limits = [str(memory_bytes), str(task_seconds)]
    return subprocess.Popen(
        [sys.executable, "-P", "-W", "ignore", "-m", "photochanger.picture_child", *limits],
        stdin=line.fileno(),
        stdout=line.fileno(),
        env=MALLOC | {name: os.environ[name] for name in INHERITED if name in os.environ},
        process_group=0,  # Ctrl-C is meant for the parent, also while the child's interpreter is still starting
    )
