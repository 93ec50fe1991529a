"""Pictures on their way to a provider and back, through real children: pixels, bytes, limits and deaths."""

import asyncio
import contextlib
import hashlib
import io
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from PIL import Image

from photochanger.errors import PictureError
from photochanger.images import CheckedResult, Pictures, PreparedPicture
from photochanger.providers import InputLimits
from tests import pictures as make
from tests.pictures import Make

EVERYTHING = InputLimits(mime_types=("image/jpeg", "image/png", "image/webp"), max_bytes=7_000_000, max_side_px=4096)
JPEG_ONLY = InputLimits(mime_types=("image/jpeg",), max_bytes=7_000_000, max_side_px=4096)
TOLERANCE = 12
"""How far a lossy encoding may move a colour level in the middle of a quarter."""

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def pool(anyio_backend: str) -> AsyncIterator[Pictures]:
    async with Pictures(children=2) as pictures:
        yield pictures


@dataclass(frozen=True)
class Desk:
    """Folders of one test, and the two things that can be done to a picture."""

    pool: Pictures
    folder: Path

    async def prepare(self, data: bytes, *, limits: InputLimits = EVERYTHING) -> PreparedPicture:
        return await self.pool.prepare(self._source(data), self.work, name="prepared", limits=limits)

    async def check(self, data: bytes) -> CheckedResult:
        return await self.pool.check_result(self._source(data), self.work, name="result", preview_folder=self.previews)

    async def both(self, data: bytes) -> list[bytes]:
        """All files that come of this picture: prepared, result, preview."""
        prepared, result = await self.prepare(data), await self.check(data)
        names = [prepared.path, self.work / result.file_name, self.previews / result.preview_name]
        return [path.read_bytes() for path in names]

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def previews(self) -> Path:
        return self.folder / "previews"

    def left(self) -> list[str]:
        return sorted(path.name for folder in (self.work, self.previews) for path in folder.iterdir())

    def _source(self, data: bytes) -> Path:
        path = self.folder / "source"
        path.write_bytes(data)
        return path


@pytest.fixture
def desk(pool: Pictures, tmp_path: Path) -> Desk:
    return desk_of(pool, tmp_path)


def desk_of(pool: Pictures, folder: Path) -> Desk:
    desk = Desk(pool, folder)
    desk.work.mkdir()
    desk.previews.mkdir()
    return desk


def shown(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def quarters_of(image: Image.Image) -> list[tuple[int, ...]]:
    """The colours in the middle of the four quarters."""
    rgb = image.convert("RGB")
    across, down = (rgb.width // 4, rgb.width * 3 // 4), (rgb.height // 4, rgb.height * 3 // 4)
    return [rgb.getpixel((x, y)) for y in down for x in across]  # type: ignore[misc]


def assert_shows(data: bytes, colours: tuple[tuple[int, ...], ...] = make.QUARTERS) -> None:
    image = shown(data)
    assert image.mode in {"RGB", "RGBA"}
    assert getattr(image, "n_frames", 1) == 1
    found = quarters_of(image)
    for expected, actual in zip(colours, found, strict=True):
        assert all(abs(a - b) <= TOLERANCE for a, b in zip(expected, actual, strict=True)), found


# --- what keeps its pixels


@pytest.mark.parametrize("mime", make.KINDS)
async def test_a_photo_that_needs_nothing_keeps_its_bytes(mime: str, desk: Desk) -> None:
    data = make.KINDS[mime](width=400, height=300)

    prepared, result = await desk.prepare(data), await desk.check(data)

    assert prepared.path.read_bytes() == (desk.work / result.file_name).read_bytes() == data
    assert (prepared.mime, prepared.width, prepared.height, prepared.size_bytes) == (mime, 400, 300, len(data))
    assert (result.mime, result.width, result.height, result.size_bytes) == (mime, 400, 300, len(data))


@pytest.mark.parametrize("mime", make.TALKATIVE)
async def test_a_talkative_upright_photo_loses_its_metadata_and_no_pixel(mime: str, desk: Desk) -> None:
    data = make.TALKATIVE[mime](1)
    assert data.count(b"CANARY") >= 7

    for written in (await desk.both(data))[:2]:
        assert shown(written).tobytes() == shown(data).tobytes()
        assert set(shown(written).info) <= {
            "jfif",
            "jfif_version",
            "jfif_unit",
            "jfif_density",
            "loop",
            "background",
            "timestamp",
            "duration",
        }


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("mime", make.TALKATIVE)
async def test_no_metadata_is_left_in_anything_that_is_written(mime: str, orientation: int, desk: Desk) -> None:
    for written in await desk.both(make.TALKATIVE[mime](orientation)):
        assert b"CANARY" not in written
        assert not shown(written).getexif()


@pytest.mark.parametrize("data", make.DISGUISED.values(), ids=make.DISGUISED)
async def test_what_hides_in_or_behind_a_picture_is_gone(data: Make, desk: Desk) -> None:
    for written in await desk.both(data()):
        assert_shows(written)
        assert b"CANARY" not in written
        assert b"PK\x03\x04" not in written


async def test_an_srgb_profile_is_taken_off_without_a_new_encoding(desk: Desk) -> None:
    data = make.jpeg(icc_profile=make.srgb_profile())

    for written in (await desk.both(data))[:2]:
        assert shown(written).tobytes() == shown(data).tobytes()
        assert "icc_profile" not in shown(written).info


async def test_a_photo_like_a_booths_keeps_every_pixel(desk: Desk) -> None:
    prepared = await desk.prepare(make.photo())

    assert prepared.path.read_bytes() == make.photo()
    assert (prepared.width, prepared.height) == (3264, 2448)


# --- what is brought into shape


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
async def test_every_orientation_comes_out_upright(orientation: int, kind: str, desk: Desk) -> None:
    for written in await desk.both(make.turned(orientation, kind)):
        assert_shows(written)
        assert shown(written).size == (make.WIDTH, make.HEIGHT)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
async def test_an_invalid_orientation_is_ignored(orientation: int, desk: Desk) -> None:
    for written in await desk.both(make.turned(orientation)):
        assert_shows(written)


async def test_a_broken_exif_block_is_ignored(desk: Desk) -> None:
    plain = make.jpeg()
    for block in (
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12" * 400,
    ):
        for written in await desk.both(plain[:20] + make.segment(0xE1, block) + plain[20:]):
            assert_shows(written)


@pytest.mark.parametrize("data", make.COLOURFUL.values(), ids=make.COLOURFUL)
async def test_every_kind_of_colours_becomes_8_bit_srgb_of_the_first_frame(data: Make, desk: Desk) -> None:
    for written in await desk.both(data()):
        assert_shows(written)
        assert not written.startswith(b"\x89PNG") or written[24] == 8


@pytest.mark.parametrize("data", make.GREY.values(), ids=make.GREY)
async def test_grey_becomes_srgb_and_16_bits_are_scaled(data: Make, desk: Desk) -> None:
    for written in await desk.both(data()):
        assert_shows(written, make.GREY_QUARTERS)


async def test_one_bit_becomes_srgb(desk: Desk) -> None:
    for written in await desk.both(make.one_bit_png()):
        assert_shows(written, ((0, 0, 0), (0, 0, 0), (255, 255, 255), (255, 255, 255)))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_a_foreign_profile_is_converted_and_dropped(kind: str, desk: Desk) -> None:
    red, green, blue, yellow = make.QUARTERS
    data = make.saved(make.quarters(), kind, quality=95, icc_profile=make.swapped_profile())

    for written in await desk.both(data):
        assert_shows(written, (green, red, blue, yellow))
        assert "icc_profile" not in shown(written).info


async def test_an_unreadable_profile_is_ignored(desk: Desk) -> None:
    for written in await desk.both(make.jpeg(icc_profile=b"this is not a profile")):
        assert_shows(written)
        assert "icc_profile" not in shown(written).info


async def test_alpha_stays_where_png_is_accepted_and_lies_on_white_where_not(desk: Desk) -> None:
    data = make.saved(make.see_through(), "PNG")

    kept, flat = await desk.prepare(data), await desk.prepare(data, limits=JPEG_ONLY)

    assert shown(kept.path.read_bytes()).getpixel((159, 119)) == (255, 255, 0, 0)
    assert (flat.mime, flat.path.suffix) == ("image/jpeg", ".jpg")
    assert_shows(flat.path.read_bytes(), (*make.QUARTERS[:3], (255, 255, 255)))


@pytest.mark.parametrize(
    ("source", "accepted", "becomes"),
    [
        ("image/png", ("image/jpeg",), "image/jpeg"),
        ("image/webp", ("image/jpeg", "image/png"), "image/jpeg"),
        ("image/jpeg", ("image/png",), "image/png"),
        ("image/jpeg", ("image/webp",), "image/webp"),
        ("image/webp", ("image/webp", "image/jpeg"), "image/webp"),
    ],
)
async def test_the_type_stays_where_accepted_and_becomes_jpeg_where_not(
    source: str, accepted: tuple[str, ...], becomes: str, desk: Desk
) -> None:
    limits = InputLimits(mime_types=accepted, max_bytes=1_000_000, max_side_px=4096)

    prepared = await desk.prepare(make.KINDS[source](), limits=limits)

    assert prepared.mime == Image.MIME[shown(prepared.path.read_bytes()).format or ""] == becomes
    assert_shows(prepared.path.read_bytes())


@pytest.mark.parametrize("mime", make.KINDS)
@pytest.mark.parametrize(("width", "height"), [(1200, 900), (900, 1200)])
async def test_too_many_pixels_are_scaled_down(mime: str, width: int, height: int, desk: Desk) -> None:
    limits = InputLimits(mime_types=(mime,), max_bytes=1_000_000, max_side_px=400)

    prepared = await desk.prepare(make.KINDS[mime](width=width, height=height), limits=limits)

    assert (prepared.width, prepared.height) == (width // 3, height // 3)
    assert shown(prepared.path.read_bytes()).size == (prepared.width, prepared.height)
    assert_shows(prepared.path.read_bytes())


async def test_too_many_bytes_are_brought_down_by_quality_first(desk: Desk) -> None:
    photo = make.photo(800, 600, grain=0.2)
    limits = InputLimits(mime_types=("image/jpeg",), max_bytes=int(len(photo) * 0.7), max_side_px=4096)

    prepared = await desk.prepare(photo, limits=limits)

    assert prepared.path.stat().st_size == prepared.size_bytes <= limits.max_bytes
    assert (prepared.width, prepared.height) == (800, 600)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_far_too_many_bytes_make_the_picture_smaller(kind: str, desk: Desk) -> None:
    source = shown(make.photo(800, 600, grain=0.2))
    limits = InputLimits(mime_types=(Image.MIME[kind],), max_bytes=20_000, max_side_px=4096)

    prepared = await desk.prepare(make.saved(source, kind), limits=limits)

    assert prepared.path.stat().st_size == prepared.size_bytes <= 20_000
    assert prepared.width < 800
    assert abs(prepared.width / prepared.height - 800 / 600) < 0.02


async def test_a_heavy_png_becomes_a_jpeg_where_that_is_accepted(desk: Desk) -> None:
    heavy = make.saved(shown(make.photo(800, 600)), "PNG")

    prepared = await desk.prepare(
        heavy, limits=InputLimits(mime_types=EVERYTHING.mime_types, max_bytes=len(heavy) // 3, max_side_px=4096)
    )

    assert (prepared.mime, prepared.width, prepared.height) == ("image/jpeg", 800, 600)


async def test_a_limit_that_no_picture_can_meet_is_told(desk: Desk) -> None:
    with pytest.raises(PictureError, match="100 bytes"):
        await desk.prepare(make.jpeg(), limits=InputLimits(mime_types=("image/jpeg",), max_bytes=100, max_side_px=400))
    with pytest.raises(PictureError, match="image/gif"):
        await desk.prepare(
            make.jpeg(), limits=InputLimits(mime_types=("image/gif",), max_bytes=10_000, max_side_px=400)
        )
    assert desk.left() == []


# --- results


async def test_a_result_is_described_by_what_lies_on_the_disk(desk: Desk) -> None:
    data = make.png(1024, 768)

    result = await desk.check(data)

    written = (desk.work / result.file_name).read_bytes()
    assert (result.file_name, result.preview_name) == ("result.png", "result.webp")
    assert (result.mime, result.width, result.height) == ("image/png", 1024, 768)
    assert (result.size_bytes, result.sha256) == (len(written), hashlib.sha256(written).digest())
    preview = shown((desk.previews / result.preview_name).read_bytes())
    assert (preview.format, preview.size) == ("WEBP", (480, 360))
    assert_shows((desk.previews / result.preview_name).read_bytes())
    for path in (desk.work / result.file_name, desk.previews / result.preview_name):
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


async def test_a_result_keeps_its_full_size_when_it_is_encoded_anew(desk: Desk) -> None:
    result = await desk.check(make.saved(make.quarters(3000, 2000).convert("CMYK"), "JPEG", quality=95))

    assert (result.mime, result.width, result.height) == ("image/jpeg", 3000, 2000)
    assert shown((desk.work / result.file_name).read_bytes()).size == (3000, 2000)


async def test_a_small_results_preview_is_not_blown_up(desk: Desk) -> None:
    result = await desk.check(make.jpeg(100, 80))

    assert shown((desk.previews / result.preview_name).read_bytes()).size == (100, 80)


async def test_a_see_through_result_stays_see_through(desk: Desk) -> None:
    result = await desk.check(make.saved(make.see_through(), "PNG"))

    for path in (desk.work / result.file_name, desk.previews / result.preview_name):
        assert shown(path.read_bytes()).getpixel((150, 110))[3] == 0  # type: ignore[index]


# --- what is no picture


UNUSABLE = make.BROKEN | make.MISSHAPEN | make.TOO_LARGE | make.FOREIGN


@pytest.mark.parametrize("data", UNUSABLE.values(), ids=UNUSABLE)
async def test_an_unusable_file_is_a_picture_error_and_leaves_nothing(data: Make, desk: Desk) -> None:
    with pytest.raises(PictureError):
        await desk.prepare(data())
    with pytest.raises(PictureError):
        await desk.check(data())

    assert desk.left() == []


@pytest.mark.parametrize("mime", make.TALKATIVE)
async def test_damaged_files_give_a_whole_picture_or_a_picture_error(mime: str, desk: Desk) -> None:
    good = bad = 0
    for data in make.mutations(make.TALKATIVE[mime](1), count=250, seed=11):
        try:
            result = await desk.check(data)
        except PictureError:
            bad += 1
            assert desk.left() == []
        else:
            good += 1
            for path in (desk.work / result.file_name, desk.previews / result.preview_name):
                shown(path.read_bytes())
                assert b"CANARY" not in path.read_bytes()
                path.unlink()
    assert bad > 50
    assert good > 10 or mime == "image/png"  # whose every byte is under a checksum


async def test_a_missing_folder_is_the_disks_fault_and_leaves_nothing(desk: Desk) -> None:
    desk.previews.rmdir()
    with pytest.raises(FileNotFoundError) as caught:
        await desk.check(make.jpeg())
    desk.previews.mkdir()

    assert Path(caught.value.filename) == desk.previews / "result.webp"
    assert desk.left() == []


async def test_a_missing_source_is_the_disks_fault(desk: Desk) -> None:
    with pytest.raises(FileNotFoundError):
        await desk.pool.prepare(desk.folder / "gone", desk.work, name="prepared", limits=EVERYTHING)


async def test_a_link_is_not_written_through(desk: Desk) -> None:
    victim = desk.folder / "victim"
    victim.write_text("untouched")
    (desk.work / "prepared.jpg").symlink_to(victim)

    with pytest.raises(OSError, match="symbolic link"):
        await desk.prepare(make.jpeg())

    assert victim.read_text() == "untouched"


# --- the children

LONG = make.one_colour_webp(7000, 7000)
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
    bomb = make.one_colour_webp(7999, 7999)
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
