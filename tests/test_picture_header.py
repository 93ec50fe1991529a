"""The header of an upload: type by content, size without decoding, and never a surprise."""

import time
import tracemalloc
from pathlib import Path

import pytest

from photochanger.errors import Failure, Refusal
from photochanger.picture_header import Header, read_header
from tests import bad_pictures, pictures
from tests.pictures import Make


def header_of(data: bytes, folder: Path) -> Header:
    path = folder / "upload"
    path.write_bytes(data)
    return read_header(path)


def refusal_of(data: bytes, folder: Path) -> Failure:
    with pytest.raises(Refusal) as caught:
        header_of(data, folder)
    return caught.value.failure


@pytest.mark.parametrize("mime", pictures.KINDS)
def test_each_kind_is_known_by_its_content(mime: str, tmp_path: Path) -> None:
    assert header_of(pictures.KINDS[mime](width=200, height=100), tmp_path) == Header(mime, 200, 100)


@pytest.mark.parametrize("make", pictures.ODD_BUT_GOOD.values(), ids=pictures.ODD_BUT_GOOD)
def test_every_good_picture_passes_with_its_size(make: Make, tmp_path: Path) -> None:
    header = header_of(make(), tmp_path)

    assert (header.width, header.height) == (pictures.WIDTH, pictures.HEIGHT)


def test_the_size_is_the_stored_one_whatever_the_orientation(tmp_path: Path) -> None:
    assert header_of(pictures.turned(6), tmp_path) == Header("image/jpeg", pictures.HEIGHT, pictures.WIDTH)


@pytest.mark.parametrize("make", bad_pictures.FOREIGN.values(), ids=bad_pictures.FOREIGN)
def test_anything_else_is_an_unsupported_type(make: Make, tmp_path: Path) -> None:
    assert refusal_of(make(), tmp_path) is Failure.UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize("make", bad_pictures.TOO_LARGE.values(), ids=bad_pictures.TOO_LARGE)
def test_over_64_megapixels_is_refused_from_the_header_alone(make: Make, tmp_path: Path) -> None:
    assert refusal_of(make(), tmp_path) is Failure.PAYLOAD_TOO_LARGE


def test_64_megapixels_are_accepted(tmp_path: Path) -> None:
    assert header_of(bad_pictures.one_colour_webp(8000, 8000), tmp_path) == Header("image/webp", 8000, 8000)


@pytest.mark.parametrize("make", bad_pictures.MISSHAPEN.values(), ids=bad_pictures.MISSHAPEN)
def test_a_picture_too_small_or_too_narrow_is_invalid(make: Make, tmp_path: Path) -> None:
    assert refusal_of(make(), tmp_path) is Failure.INVALID_IMAGE


def test_the_smallest_and_the_narrowest_pictures_are_accepted(tmp_path: Path) -> None:
    assert header_of(pictures.png(64, 64), tmp_path) == Header("image/png", 64, 64)
    assert header_of(pictures.png(1280, 64), tmp_path) == Header("image/png", 1280, 64)


@pytest.mark.parametrize("name", ["empty file", "JPEG magic only", "PNG magic only", "WEBP magic only"])
def test_a_file_without_a_header_is_invalid(name: str, tmp_path: Path) -> None:
    assert refusal_of(bad_pictures.BROKEN[name](), tmp_path) is Failure.INVALID_IMAGE


def test_a_refusal_tells_the_size_that_was_found(tmp_path: Path) -> None:
    with pytest.raises(Refusal) as caught:
        header_of(bad_pictures.huge_jpeg(), tmp_path)

    assert "65535 × 65535" in caught.value.details


def test_a_header_is_found_behind_a_megabyte_of_metadata_and_little_memory_is_used(tmp_path: Path) -> None:
    plain = pictures.jpeg()
    path = tmp_path / "upload"
    path.write_bytes(plain[:2] + pictures.segment(0xE2, bytes(65_000)) * 16 + plain[2:] + bytes(20 << 20))
    read_header(path)  # whatever the first call imports

    tracemalloc.start()
    try:
        assert read_header(path) == Header("image/jpeg", pictures.WIDTH, pictures.HEIGHT)
        assert tracemalloc.get_traced_memory()[1] < 300_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff" + bytes(20 << 20),
        b"\xff\xd8\xff\xe0" + b"\0\2\xff\xe0" * (5 << 20),
        b"\xff\xd8" + b"\xff" * (20 << 20),
        b"\xff\xd8\xff" + b"\xff\xd0" * (10 << 20),
    ],
    ids=["zeros", "empty segments", "fill bytes", "restart markers"],
)
def test_twenty_hostile_megabytes_are_refused_quickly(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(data)

    started = time.process_time()
    with pytest.raises(Refusal) as caught:
        read_header(path)

    assert caught.value.failure is Failure.INVALID_IMAGE
    assert time.process_time() - started < 0.25


@pytest.mark.parametrize("mime", pictures.TALKATIVE)
def test_damaged_headers_give_a_header_or_a_refusal_and_nothing_else(mime: str, tmp_path: Path) -> None:
    outcomes: set[str | Failure] = set()
    for data in bad_pictures.mutations(pictures.TALKATIVE[mime](1), count=1500, seed=7, within=400):
        try:
            header = header_of(data, tmp_path)
        except Refusal as refusal:
            outcomes.add(refusal.failure)
        else:
            outcomes.add(header.mime)
            assert min(header.width, header.height) >= 64
            assert header.width * header.height <= 64_000_000

    assert {mime, Failure.INVALID_IMAGE, Failure.UNSUPPORTED_MEDIA_TYPE} <= outcomes
