"""Pictures on their way to a provider, through real children: which pixels and bytes they keep, and which not."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from photochanger.errors import PictureError
from photochanger.images import Pictures
from photochanger.providers import InputLimits
from tests import pictures as make
from tests.picture_desk import EVERYTHING, JPEG_ONLY, Desk, assert_shows, desk_of, shown
from tests.pictures import Make

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def pool(anyio_backend: str) -> AsyncIterator[Pictures]:
    async with Pictures(children=2) as pictures:
        yield pictures


@pytest.fixture
def desk(pool: Pictures, tmp_path: Path) -> Desk:
    return desk_of(pool, tmp_path)


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
