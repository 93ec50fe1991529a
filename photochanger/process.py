"""What every long-lived process needs: to stop when asked, and to sleep no longer than that."""

import asyncio
import signal
from contextlib import suppress


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set. Needs a running loop."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping


async def sleep_unless(stopping: asyncio.Event, *, seconds: float) -> None:
    """Sleep, but wake at once when `stopping` is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopping.wait()
