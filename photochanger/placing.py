"""Giving files their final names as the last thing before the commit of the row that promises them."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from photochanger.media import Media


async def put_in_place(media: Media, files: Mapping[Path, str], *, are_new: bool) -> None:
    """Complete, synced files by their final names, in this order. `are_new`: without the commit they go again.

    In the transaction that holds the row's lock, and last in it: what fails in here fails while the lock still keeps
    everybody else from these names. A commit that fails, or whose answer is lost, leaves them: its row may be there.
    Raises `Refusal` (`storage_full`).
    """

    def put() -> None:
        for path, relative in files.items():
            media.keep(path, relative)

    putting = asyncio.create_task(asyncio.to_thread(put))
    try:
        await asyncio.shield(putting)
    except BaseException:
        await asyncio.wait({putting})  # a thread cannot be cut off: what it still puts in place would stay
        if are_new:
            media.discard(*files.values())
        raise
