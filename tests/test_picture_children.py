"""The children that work on pictures: memory and time they are given, signals, deaths, and their end."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from photochanger.errors import PictureError
from photochanger.images import Pictures
from tests import pictures as make
from tests.bad_pictures import one_colour_webp
from tests.picture_desk import JPEG_ONLY, Desk, assert_shows, desk_of

pytestmark = pytest.mark.anyio

LONG = one_colour_webp(7000, 7000)
"""49 megapixels in 32 bytes: about a second's work."""


def children() -> list[psutil.Process]:
    """The living picture children of this process."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if "photochanger.picture_child" in child.cmdline():
                found.append(child)
    return found


async def until(happens: Callable[[], object], *, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not happens():  # noqa: ASYNC110 - what another process does sets no event of ours
            await asyncio.sleep(0.01)


async def error_of(work: Awaitable[object]) -> str:
    with pytest.raises(PictureError) as caught:
        await work
    return str(caught.value)


@pytest.fixture
def others() -> set[int]:
    """Children of other pools than the test's own."""
    return {child.pid for child in children()}


async def test_a_small_file_with_a_huge_decode_fails_alone(tmp_path: Path) -> None:
    bomb = one_colour_webp(7999, 7999)
    folders = [tmp_path / str(number) for number in range(2)]
    for folder in folders:
        folder.mkdir()
    async with Pictures(children=2, memory_bytes=512 << 20) as pool:
        bad, good = (desk_of(pool, folder) for folder in folders)
        async with asyncio.TaskGroup() as group:
            failing = group.create_task(error_of(bad.check(bomb)))
            for _ in range(20):
                await good.check(make.jpeg())

        assert "memory" in failing.result() or "cannot be decoded" in failing.result()
        assert bad.left() == []
        assert_shows((await bad.prepare(make.jpeg())).path.read_bytes())


async def test_a_task_over_its_time_is_cut_off_and_leaves_nothing(tmp_path: Path) -> None:
    async with Pictures(children=1, task_seconds=0.25) as pool:
        desk = desk_of(pool, tmp_path)
        started = time.monotonic()

        assert "longer than 0.25 seconds" in await error_of(desk.prepare(LONG, limits=JPEG_ONLY))

        assert time.monotonic() - started < 1.0
        assert desk.left() == []
        assert_shows((await desk.prepare(make.jpeg())).path.read_bytes())


async def test_a_frozen_child_is_ended(tmp_path: Path, others: set[int]) -> None:
    async with Pictures(children=1, task_seconds=0.2) as pool:
        desk = desk_of(pool, tmp_path)
        await pool.start()
        (child,) = [child for child in children() if child.pid not in others]
        child.suspend()

        await error_of(desk.prepare(make.jpeg()))

        assert not child.is_running()
        assert_shows((await desk.prepare(make.jpeg())).path.read_bytes())


async def test_a_killed_child_takes_only_its_own_task_along(tmp_path: Path, others: set[int]) -> None:
    folders = [tmp_path / str(number) for number in range(2)]
    for folder in folders:
        folder.mkdir()
    async with Pictures(children=2) as pool:
        victim, bystander = (desk_of(pool, folder) for folder in folders)
        async with asyncio.TaskGroup() as group:
            failing = group.create_task(error_of(victim.prepare(LONG, limits=JPEG_ONLY)))
            await until(lambda: [child for child in children() if child.pid not in others])
            (child,) = [child for child in children() if child.pid not in others]
            await until(lambda: child.cpu_times().user > 0.15)
            for number in range(20):
                await bystander.check(make.jpeg())
                if number == 10:
                    child.kill()

        assert "within the limits" in failing.result()
        assert victim.left() == []


async def test_a_child_killed_while_idle_is_replaced_unnoticed(tmp_path: Path, others: set[int]) -> None:
    async with Pictures(children=1) as pool:
        desk = desk_of(pool, tmp_path)
        await desk.prepare(make.jpeg())
        (child,) = [child for child in children() if child.pid not in others]
        child.kill()
        await until(lambda: child.status() == psutil.STATUS_ZOMBIE)

        assert_shows((await desk.prepare(make.jpeg())).path.read_bytes())


async def test_children_leave_the_signals_to_their_parent(tmp_path: Path, others: set[int]) -> None:
    async with Pictures(children=1) as pool:
        desk = desk_of(pool, tmp_path)
        await pool.start()
        (child,) = [child for child in children() if child.pid not in others]
        assert os.getpgid(child.pid) != os.getpgid(0)
        child.send_signal(signal.SIGINT)
        child.terminate()

        await desk.prepare(make.jpeg())

        assert [child.pid for child in children() if child.pid not in others] == [child.pid]


async def test_children_start_when_needed_and_no_more_than_allowed(tmp_path: Path, others: set[int]) -> None:
    async with Pictures(children=2) as pool:
        assert {child.pid for child in children()} == others
        desks = []
        for number in range(8):
            (tmp_path / str(number)).mkdir()
            desks.append(desk_of(pool, tmp_path / str(number)))

        await asyncio.gather(*(desk.prepare(make.jpeg()) for desk in desks))

        assert len(children()) - len(others) == 2
        for desk in desks:
            assert desk.left() == ["prepared.jpg"]
    assert {child.pid for child in children()} == others


async def test_a_cancelled_task_stops_its_child_and_leaves_nothing(tmp_path: Path, others: set[int]) -> None:
    async with Pictures(children=1) as pool:
        desk = desk_of(pool, tmp_path)
        await pool.start()
        (child,) = [child for child in children() if child.pid not in others]
        busy_since = child.cpu_times().user
        task = asyncio.create_task(desk.prepare(LONG, limits=JPEG_ONLY))
        await until(lambda: child.cpu_times().user > busy_since + 0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert not child.is_running()
        assert desk.left() == []
        assert_shows((await desk.prepare(make.jpeg())).path.read_bytes())


async def test_close_waits_for_the_work_in_hand_and_refuses_the_rest(tmp_path: Path, others: set[int]) -> None:
    pool = Pictures(children=1)
    desk = desk_of(pool, tmp_path)
    await pool.start()
    async with asyncio.TaskGroup() as group:
        in_hand = group.create_task(desk.prepare(make.photo()))
        await asyncio.sleep(0)
        in_line = group.create_task(_refused(desk))
        await asyncio.sleep(0)
        await pool.close()

    assert in_hand.result().path.exists()
    assert in_line.done()
    assert {child.pid for child in children()} == others
    await _refused(desk)
    await pool.close()


async def _refused(desk: Desk) -> None:
    with pytest.raises(RuntimeError, match="closed"):
        await desk.prepare(make.jpeg())


async def test_a_child_that_cannot_start_is_told_apart_from_a_bad_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    async with Pictures(children=1) as pool:
        with pytest.raises(RuntimeError, match="did not start"):
            await desk_of(pool, tmp_path).prepare(make.jpeg())


async def test_children_know_no_secrets(others: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRETS_KEY", "secret-canary")
    async with Pictures(children=1) as pool:
        await pool.start()
        (child,) = [child for child in children() if child.pid not in others]

        assert "secret-canary" not in str(child.environ())


PARENT = """
import asyncio, pathlib, sys
import psutil
from photochanger.images import Pictures
from photochanger.providers import InputLimits

async def main():
    folder = pathlib.Path(sys.argv[1])
    limits = InputLimits(mime_types=("image/jpeg",), max_bytes=7_000_000, max_side_px=4096)
    async with Pictures(children=2) as pictures:
        await asyncio.gather(pictures.start(), pictures.start())
        busy = asyncio.create_task(pictures.prepare(folder / "long", folder, name="prepared", limits=limits))
        await asyncio.sleep(0.1)
        print(*(child.pid for child in psutil.Process().children()), flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(LONG)
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        orphans = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(orphans) == 2
        parent.kill()
    deadline = time.monotonic() + 10

    while any(is_alive(orphan) for orphan in orphans):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
