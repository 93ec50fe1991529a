"""The booth against a server of the test's own: the forms it sends, and the photos in them."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from PIL import Image, ImageChops, ImageStat

from photochanger.errors import ConfigurationError, PictureError
from simulators.booth import SLOTS, Plan, run_booths
from simulators.sample import SAMPLE, draw
from tests.booth_studio import PASSWORD, PICTURE, Studio, one, opened, picture

pytestmark = pytest.mark.anyio
NAMES = ["password", "hash", "time", "user_id", "id", "profile", "status", "name", "model", "version", "fileToUpload"]


@pytest.fixture
async def studio(anyio_backend: str) -> AsyncIterator[Studio]:
    async with opened() as studio:
        yield studio


async def test_a_booth_sends_the_form_that_dslr_remote_pro_sends(studio: Studio) -> None:
    answer = await one(studio.url, slots=["slot-007"])
    form, headers = studio.forms[0], studio.headers[0]
    assert list(form) == NAMES
    assert form["fileToUpload"] == SAMPLE.read_bytes()
    assert form["hash"].decode() == hashlib.md5(SAMPLE.read_bytes()).hexdigest()
    assert form["password"].decode() == PASSWORD
    assert (studio.slots, studio.files) == (["slot-007"], ["sample.jpg"])
    assert headers["Expect"] == "100-continue"
    assert headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert int(headers["Content-Length"]) == answer.sent_bytes > len(SAMPLE.read_bytes())
    assert "Transfer-Encoding" not in headers
    assert (answer.status, answer.problem, answer.mime, answer.received_bytes) == (200, None, "image/jpeg", 5000)
    assert answer.job_id == "ab" * 16


@pytest.mark.parametrize("name", ["sha1", "sha256"])
async def test_the_hash_can_be_another_one(studio: Studio, name: str) -> None:
    await one(studio.url, hash_name=name)
    assert studio.forms[0]["hash"].decode() == hashlib.new(name, SAMPLE.read_bytes()).hexdigest()


async def test_shots_differ_unless_told_otherwise(studio: Studio) -> None:
    report = await run_booths(Plan(url=studio.url, password=PASSWORD, booths=3, count=2))
    assert report.good
    files = [form["fileToUpload"] for form in studio.forms]
    assert len(set(files)) == len(files) == 6
    for form in studio.forms:
        assert form["hash"].decode() == hashlib.md5(form["fileToUpload"]).hexdigest()
        with Image.open(io.BytesIO(form["fileToUpload"])) as sent, Image.open(SAMPLE) as sample:
            assert sent.tobytes() == sample.tobytes()
    assert {(form["user_id"], form["id"]) for form in studio.forms} == {
        (b"booth-%d" % booth, b"%d" % number) for booth in (1, 2, 3) for number in (1, 2)
    }
    studio.forms.clear()
    await run_booths(Plan(url=studio.url, password=PASSWORD, booths=2, unique=False))
    assert {form["fileToUpload"] for form in studio.forms} == {SAMPLE.read_bytes()}


async def test_two_runs_send_different_photos(studio: Studio) -> None:
    for _ in range(2):
        await one(studio.url, unique=True)
    assert studio.forms[0]["hash"] != studio.forms[1]["hash"]


async def test_all_booths_post_at_once_and_each_keeps_to_its_slot(studio: Studio) -> None:
    everybody = asyncio.Barrier(len(SLOTS))

    async def answer(slot: str) -> web.StreamResponse:
        await everybody.wait()
        return picture()

    studio.answer = answer
    report = await run_booths(Plan(url=studio.url, password=PASSWORD, slots=SLOTS, booths=15, count=2))
    assert report.good
    assert sorted(studio.slots) == sorted([*SLOTS, *SLOTS])


async def test_pictures_are_saved_under_the_shots_name(studio: Studio, tmp_path: Path) -> None:
    await run_booths(Plan(url=studio.url, password=PASSWORD, booths=2, save=tmp_path))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["slot-001_001_0001.jpeg", "slot-001_002_0001.jpeg"]
    assert (tmp_path / names[0]).read_bytes() == PICTURE


async def test_a_photo_that_will_not_do_is_refused_before_anything_is_sent(studio: Studio, tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("not a picture")
    with pytest.raises(PictureError, match="is no JPEG"):
        await run_booths(Plan(url=studio.url, password=PASSWORD, photo=text, booths=2))
    with pytest.raises(PictureError, match="cannot be read"):
        await run_booths(Plan(url=studio.url, password=PASSWORD, photo=tmp_path / "none.jpg"))
    assert not studio.forms
    await run_booths(Plan(url=studio.url, password=PASSWORD, photo=text))
    assert studio.forms[0]["fileToUpload"] == b"not a picture"


def test_more_slots_than_booths_is_a_mistake() -> None:
    with pytest.raises(ConfigurationError):
        Plan(url="http://x", password="", slots=SLOTS, booths=2)


def test_the_sample_is_what_the_code_draws() -> None:
    with Image.open(SAMPLE) as kept:
        difference = ImageChops.difference(kept.convert("RGB"), draw())
    assert kept.size == (1800, 1200)
    assert 300_000 <= SAMPLE.stat().st_size <= 600_000
    assert max(ImageStat.Stat(difference).mean) < 3
    assert max(ImageStat.Stat(difference.reduce(8)).extrema)[1] < 24
