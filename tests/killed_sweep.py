"""`python -m tests.killed_sweep DATABASE_URL MEDIA_ROOT`: sweeps that kill themselves (SIGKILL) in their middle.

For each line N on its input it forks a process that sweeps once and is killed at its Nth step: before and after every
removal of a file and every statement, commit included. It answers `killed` or, when there were fewer steps, `ended`.
The forks come from a process that has everything imported: one costs 50 ms instead of a second.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from cleanup.scope import Scope
from cleanup.sweep import sweep_all
from photochanger import media_root
from photochanger.db import Database


def main(database_url: str, root: str) -> None:
    """Fork and tell, until the input ends."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _die_at(int(line))
            asyncio.run(_sweep(database_url, Path(root)))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            _say("killed")
        elif status == 0:
            _say("ended")
        else:
            _say(f"failed with {status}")


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def _sweep(database_url: str, root: Path) -> None:
    async with Database(database_url, connections=4) as db:
        scope = Scope(db=db, media=await media_root.opened(db, root), job_retention_days=90)
        _counting.append(True)
        outcomes = await sweep_all(scope)
        assert outcomes is not None, "another process swept"
        assert all(outcome.swept is not None for outcome in outcomes), outcomes


_counting: list[bool] = []


def _die_at(last: int) -> None:
    """Count the steps of this process, and end it at this one."""
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += bool(_counting)
        if steps == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(call: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*arguments: Any, **named: Any) -> Any:
            step()
            try:
                return call(*arguments, **named)
            finally:
                step()

        return stepped

    def around_async(call: Callable[..., Any]) -> Callable[..., Any]:
        async def stepped(*arguments: Any, **named: Any) -> Any:
            step()
            try:
                return await call(*arguments, **named)
            finally:
                step()

        return stepped

    Path.unlink = around(Path.unlink)  # type: ignore[method-assign]
    for kind, names in ((psycopg.AsyncCursor, ["execute"]), (psycopg.AsyncConnection, ["commit", "rollback"])):
        for name in names:
            setattr(kind, name, around_async(getattr(kind, name)))


if __name__ == "__main__":
    main(*sys.argv[1:])
