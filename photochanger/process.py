"""What every long-lived process needs: to stop when asked, and to sleep no longer than that."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a process's main function on uvloop; what it returns, its exit code mostly."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set. Needs a running loop."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """What it brings. Raises `TimeoutError` as soon as its time is over: it is cancelled, but not waited for.

    Where a server hangs, a statement takes ten seconds to be cancelled.
    """
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        task.cancel()
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # what it brings interests nobody
        raise TimeoutError
    return task.result()


async def sleep_unless(stopping: asyncio.Event, *, seconds: float) -> None:
    """Sleep, but wake at once when `stopping` is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopping.wait()
