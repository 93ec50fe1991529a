"""Results on their way to a booth, through real children: what is told of them; and what is no picture at all."""

import hashlib
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from photochanger.errors import PictureError
from photochanger.images import Pictures
from tests import bad_pictures
from tests import pictures as make
from tests.picture_desk import EVERYTHING, Desk, assert_shows, desk_of, shown
from tests.pictures import Make

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def pool(anyio_backend: str) -> AsyncIterator[Pictures]:
    async with Pictures(children=2) as pictures:
        yield pictures


@pytest.fixture
def desk(pool: Pictures, tmp_path: Path) -> Desk:
    return desk_of(pool, tmp_path)


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


UNUSABLE = bad_pictures.BROKEN | bad_pictures.MISSHAPEN | bad_pictures.TOO_LARGE | bad_pictures.FOREIGN


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
    for data in bad_pictures.mutations(make.TALKATIVE[mime](1), count=250, seed=11):
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
