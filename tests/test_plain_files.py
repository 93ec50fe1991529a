"""A file is what its name says or it is not opened: no link, no pipe, whenever it came to lie there."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.types import Message

from api.pictures import PictureResponse
from photochanger.errors import PictureError, Refusal
from photochanger.images import Pictures
from photochanger.plain_files import open_new, open_plain, read
from photochanger.providers import InputLimits
from tests.booths import photo_bytes

pytestmark = pytest.mark.anyio

SECRET = b"another program's secret"
STRANGE: dict[str, Callable[[Path], object]] = {
    "a link": lambda path: path.symlink_to(path.with_name("secret")),
    "a dangling link": lambda path: path.symlink_to(path.with_name("nothing")),
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "nothing": lambda path: None,
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(SECRET)
    return tmp_path / "picture.jpg"


@pytest.mark.parametrize("what", STRANGE)
def test_only_a_plain_file_is_read(place: Path, what: str) -> None:
    STRANGE[what](place)
    with pytest.raises(FileNotFoundError):
        open_plain(place)


def test_a_plain_file_is_read_whole(place: Path) -> None:
    place.write_bytes(b"picture")
    assert read(place) == b"picture"


@pytest.mark.parametrize("what", ["a link", "a dangling link", "a folder", "a pipe"])
def test_a_new_file_takes_nobodys_place(place: Path, what: str) -> None:
    STRANGE[what](place)
    with pytest.raises(OSError, match="exist"):
        open_new(place)
    assert place.with_name("secret").read_bytes() == SECRET


def test_a_new_file_is_not_for_everybody(place: Path) -> None:
    os.close(open_new(place))
    assert stat.S_IMODE(place.stat().st_mode) & 0o007 == 0


async def answer_of(response: PictureResponse, *, method: str = "GET", headers: dict[str, str] | None = None) -> bytes:
    """The body that it sends to this request."""
    body = bytearray()

    async def send(message: Message) -> None:
        body.extend(message.get("body", b""))

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    told = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    asgi = {"version": "3.0", "spec_version": "2.4"}
    await response({"type": "http", "method": method, "headers": told, "asgi": asgi}, receive, send)
    return bytes(body)


@pytest.mark.parametrize("what", STRANGE)
async def test_what_has_taken_a_pictures_place_since_it_was_looked_at_is_not_sent(place: Path, what: str) -> None:
    place.write_bytes(b"picture")
    response = PictureResponse(place, media_type="image/jpeg", stat_result=place.lstat())
    place.unlink()
    STRANGE[what](place)
    with pytest.raises(Refusal, match="media_lost"):
        await answer_of(response)


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("GET", {}, b"picture"),
        ("HEAD", {}, b""),
        ("GET", {"range": "bytes=1-3"}, b"ict"),
        ("GET", {"range": "bytes=900-"}, b"Requested Range Not Satisfiable"),
        ("GET", {"range": "bytes=nonsense"}, b"Range header: range must be requested"),
    ],
)
async def test_a_picture_that_was_sent_leaves_no_file_open(
    place: Path, method: str, headers: dict[str, str], expected: bytes
) -> None:
    place.write_bytes(b"picture")
    response = PictureResponse(place, media_type="image/jpeg", stat_result=place.lstat())
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert (await answer_of(response, method=method, headers=headers)) in {expected, b""}
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_a_picture_child_opens_no_link_either(place: Path, tmp_path: Path) -> None:
    place.with_name("secret").write_bytes(photo_bytes())
    place.symlink_to(place.with_name("secret"))
    limits = InputLimits(mime_types=("image/jpeg",), max_bytes=10**7, max_side_px=4096)
    async with Pictures(children=1) as pictures:
        with pytest.raises(FileNotFoundError):
            await pictures.prepare(place, tmp_path, name="prepared", limits=limits)
        with pytest.raises(FileNotFoundError):
            await pictures.check_result(place, tmp_path, name="checked", preview_folder=tmp_path)
        place.unlink()
        place.write_bytes(b"no picture")
        with pytest.raises(PictureError):
            await pictures.prepare(place, tmp_path, name="prepared", limits=limits)
