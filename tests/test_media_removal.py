"""Removing and copying files under MEDIA_ROOT, and room on its disk."""

import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from photochanger import media as media_module
from photochanger.errors import Failure, Refusal
from photochanger.media import Media, storage_refusal

JOB = "0123456789abcdef" * 2
NO_ROOM = "storage_full"


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def write(media: Media, relative: str, content: bytes = b"photo") -> Path:
    with os.fdopen(media.new_file(relative), "wb") as file:
        file.write(content)
    return media.path_of(relative)


def test_discarding_removes_what_is_there_and_forgives_what_is_not(media: Media) -> None:
    first, second = f"results/{JOB}.png", f"previews/{JOB}.webp"
    paths = [write(media, first), write(media, second)]
    media.discard(first, None, f"results/{secrets.token_hex(16)}.jpg", second)
    assert not any(path.exists() for path in paths)
    media.discard(first, second)
    media.discard()


def test_discarding_a_link_spares_what_it_points_to(media: Media, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_bytes(b"precious")
    media.path_of(f"ingest/{JOB}").symlink_to(target)
    media.discard(f"ingest/{JOB}")
    assert target.exists()
    assert not media.path_of(f"ingest/{JOB}").is_symlink()


def test_a_steps_leftovers_go_and_those_of_others_stay(media: Media) -> None:
    mine = [media.folder("work") / f"{JOB}-1-photo.jpg", media.folder("work/previews") / f"{JOB}-1.webp"]
    others = [media.folder("work") / f"{JOB}-2-photo.jpg", media.folder("work") / f"{'f' * 32}-1.jpg"]
    for path in (*mine, *others):
        path.write_bytes(b"x")
    media.discard_work(f"{JOB}-1")
    assert [path.exists() for path in (*mine, *others)] == [False, False, True, True]
    media.discard_work(f"{JOB}-1")


def test_the_first_claims_leftovers_are_not_the_tenths(media: Media) -> None:
    tenth = media.folder("work") / f"{JOB}-10-photo.jpg"
    tenth.write_bytes(b"x")
    media.discard_work(f"{JOB}-1")
    assert tenth.exists()


OTHER = "fedcba9876543210" * 2


def test_a_copy_has_a_life_of_its_own(media: Media) -> None:
    original = write(media, f"results/{JOB}.jpg", b"x" * 3_000_000)
    os.utime(original, (0, 0))
    assert media.copy(f"results/{JOB}.jpg", f"ingest/{OTHER}") == 3_000_000
    copy = media.path_of(f"ingest/{OTHER}")
    assert (copy.stat().st_ino != original.stat().st_ino, copy.stat().st_mode & 0o777) == (True, 0o640)
    assert copy.stat().st_mtime > 0, "by its date it would be taken for left behind"
    original.unlink()
    assert copy.read_bytes() == b"x" * 3_000_000


def test_there_is_no_copy_of_what_is_gone_or_no_plain_file(media: Media, tmp_path: Path) -> None:
    source, target = f"results/{JOB}.jpg", f"ingest/{OTHER}"
    assert media.copy(source, target) is None
    path = media.path_of(source)
    (tmp_path / "elsewhere").write_bytes(b"secret")
    path.symlink_to(tmp_path / "elsewhere")
    assert media.copy(source, target) is None
    path.unlink()
    os.mkfifo(path)
    assert media.copy(source, target) is None
    assert not media.path_of(target).exists()


def test_a_copy_without_a_place_to_lie_is_no_room(media: Media) -> None:
    write(media, f"results/{JOB}.jpg")
    media.folder("ingest").rmdir()
    with pytest.raises(Refusal) as refused:
        media.copy(f"results/{JOB}.jpg", f"ingest/{OTHER}")
    assert refused.value.failure is Failure.STORAGE_FULL


def test_there_is_room_on_a_disk_with_room(media: Media) -> None:
    media.check_room()


@pytest.mark.parametrize(("name", "value"), [("LEAST_FREE_BYTES", 1 << 60), ("LEAST_FREE_SHARE", 1.01)])
def test_there_is_none_below_the_least(media: Media, monkeypatch: pytest.MonkeyPatch, name: str, value: float) -> None:
    monkeypatch.setattr(media_module, name, value)
    with pytest.raises(Refusal) as refused:
        media.check_room()
    assert refused.value.failure is Failure.STORAGE_FULL


def test_there_is_none_without_the_folder(media: Media) -> None:
    media.root.rename(media.root.with_name("elsewhere"))
    with pytest.raises(Refusal) as refused:
        media.check_room()
    assert refused.value.failure is Failure.STORAGE_FULL


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOENT, errno.EIO])
def test_errors_of_a_full_or_missing_disk_are_no_room(code: int) -> None:
    told = storage_refusal(OSError(code, os.strerror(code)))
    assert isinstance(told, Refusal)
    assert told.failure.code == NO_ROOM
    assert told.failure.status == 503


@pytest.mark.parametrize("code", [errno.EEXIST, errno.EMFILE, errno.ELOOP, errno.EISDIR])
def test_other_errors_stay_what_they_are(code: int) -> None:
    error = OSError(code, os.strerror(code))
    assert storage_refusal(error) is error
