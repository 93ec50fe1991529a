"""A picture child: a process that does nothing but decode and encode pictures, under limits.

    python -m photochanger.picture_child MEMORY_BYTES TASK_SECONDS

It says {"ready": …} and then answers a JSON line with a JSON line, until its input closes: that is how it is ended, and
how it ends when its parent is killed. Pictures come and go by path.

    {"task": "prepare" | "check_result", …}  ->  {"picture": {…}}              done, the files are written
                                                 {"mistake": "…"}              it is not a usable picture
                                                 {"errno": 28, "path": "…"}    the disk, not the picture
                                                 death                         too much memory or time, a broken library
"""

import json
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from PIL import Image

from photochanger.errors import PictureError
from photochanger.picture_kinds import MAX_PIXELS
from photochanger.picture_work import Answer, check_result, prepare

TASKS: dict[str, Callable[..., Answer]] = {"prepare": prepare, "check_result": check_result}


def main() -> None:
    """Answer questions until there is nobody left to ask them."""
    memory_bytes, task_seconds = int(sys.argv[1]), float(sys.argv[2])
    # Whoever stops the parent may signal all of its processes; the parent ends us when its last picture is done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold a guest's face
    # Pillow refuses a WEBP of more than twice this before it makes room for it.
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
    with suppress(BrokenPipeError, ConnectionResetError):
        _say({"ready": True})
        for line in sys.stdin.buffer:
            # Not handled, SIGALRM ends the process even in the middle of a library's loop.
            signal.setitimer(signal.ITIMER_REAL, task_seconds)
            answer = _answer(**json.loads(line))
            signal.setitimer(signal.ITIMER_REAL, 0)
            _say(answer)


def _answer(*, task: str, **arguments: Any) -> Answer:
    try:
        return {"picture": TASKS[task](**arguments)}
    except PictureError as error:
        return {"mistake": str(error)}
    except OSError as error:
        return {"errno": error.errno, "path": error.filename}


def _say(answer: Answer) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
