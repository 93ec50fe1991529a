"""The files under MEDIA_ROOT: our own names only, never through a link, whole or not at all."""

import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from photochanger import media as media_module
from photochanger.errors import Failure, Refusal
from photochanger.media import FOLDERS, Media, storage_refusal

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


@pytest.mark.parametrize(
    "relative",
    [
        f"ingest/{JOB}",
        *(
            f"{folder}/{JOB}.{kind}"
            for folder in ("results", "provider", "templates")
            for kind in ("jpg", "png", "webp")
        ),
        f"previews/{JOB}.webp",
        f"templates/previews/{JOB}.webp",
        f"work/{JOB}",
    ],
)
def test_our_own_paths_lie_under_the_root(media: Media, relative: str) -> None:
    assert media.path_of(relative) == media.root / relative


@pytest.mark.parametrize(
    "relative",
    [
        "",
        JOB,
        "ingest/",
        f"/ingest/{JOB}",
        f"ingest/../ingest/{JOB}",
        f"ingest//{JOB}",
        f"ingest/{JOB}/",
        f"ingest/{JOB}\n",
        f"ingest/{JOB}\0",
        f"ingest/{JOB}.jpg",
        f"ingest/{JOB.upper()}",
        f"ingest/{JOB[:-1]}",
        f"ingest/{JOB}0",
        f"results/{JOB}",
        f"results/{JOB}.gif",
        f"results/{JOB}.jpg.png",
        f"results/{JOB}.JPG",
        f"previews/{JOB}.jpg",
        f"work/{JOB}-1",
        f"templates/{JOB}.gif",
        f"templates/previews/{JOB}.jpg",
        f"results/previews/{JOB}.webp",
        f"provider/{JOB}",
        f"secrets/{JOB}.jpg",
        "../../etc/passwd",
        "ingest/IMG_0001.JPG",
    ],
)
def test_foreign_paths_are_refused_everywhere(media: Media, relative: str, tmp_path: Path) -> None:
    finished = tmp_path / "finished"
    finished.write_bytes(b"x")
    for call in (
        lambda: media.path_of(relative),
        lambda: media.new_file(relative),
        lambda: media.keep(finished, relative),
        lambda: media.discard(relative),
        lambda: media.regular_file(relative),
    ):
        with pytest.raises(ValueError, match="not a path of ours"):
            call()
    assert finished.exists()


def test_the_folders_are_made_once_and_closed_to_strangers(tmp_path: Path) -> None:
    media = Media(tmp_path / "deep" / "media")
    for _ in range(2):
        media.create_folders()
    for name in FOLDERS:
        assert media.folder(name).is_dir()
        assert media.folder(name).stat().st_mode & 0o007 == 0


def test_a_new_file_is_empty_and_readable_by_owner_and_group_only(media: Media) -> None:
    path = write(media, f"ingest/{JOB}", b"")
    assert (path.stat().st_size, path.stat().st_mode & 0o777) == (0, 0o640)


def test_a_new_file_is_not_inherited_by_other_programs(media: Media) -> None:
    descriptor = media.new_file(f"ingest/{JOB}")
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)


@pytest.mark.parametrize("there", ["file", "link", "dangling link", "folder"])
def test_a_new_file_never_takes_the_place_of_something_else(media: Media, tmp_path: Path, there: str) -> None:
    target = tmp_path / "precious"
    path = media.path_of(f"ingest/{JOB}")
    match there:
        case "file":
            path.write_bytes(b"precious")
        case "link":
            target.write_bytes(b"precious")
            path.symlink_to(target)
        case "dangling link":
            path.symlink_to(target)
        case "folder":
            path.mkdir()
    with pytest.raises(OSError):
        media.new_file(f"ingest/{JOB}")
    assert not target.exists() or target.read_bytes() == b"precious"
    assert there != "file" or path.read_bytes() == b"precious"


def test_a_new_file_without_its_folder_is_no_room(media: Media) -> None:
    media.folder("ingest").rmdir()
    with pytest.raises(Refusal) as refused:
        media.new_file(f"ingest/{JOB}")
    assert refused.value.failure is Failure.STORAGE_FULL


def test_a_kept_file_has_its_final_name_and_no_other(media: Media) -> None:
    finished = media.folder("work") / f"{JOB}-1.jpg"
    finished.write_bytes(b"picture")
    media.keep(finished, f"results/{JOB}.jpg")
    assert media.path_of(f"results/{JOB}.jpg").read_bytes() == b"picture"
    assert not finished.exists()


def test_keeping_twice_changes_nothing(media: Media) -> None:
    finished = media.folder("work") / f"{JOB}-1.jpg"
    finished.write_bytes(b"picture")
    for _ in range(3):
        media.keep(finished, f"results/{JOB}.jpg")
    assert media.path_of(f"results/{JOB}.jpg").read_bytes() == b"picture"


def test_keeping_replaces_what_an_earlier_holder_left(media: Media) -> None:
    media.path_of(f"results/{JOB}.jpg").write_bytes(b"earlier")
    finished = media.folder("work") / f"{JOB}-2.jpg"
    finished.write_bytes(b"later")
    media.keep(finished, f"results/{JOB}.jpg")
    assert media.path_of(f"results/{JOB}.jpg").read_bytes() == b"later"


def test_keeping_over_a_link_replaces_the_link(media: Media, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_bytes(b"precious")
    media.path_of(f"results/{JOB}.jpg").symlink_to(target)
    finished = media.folder("work") / f"{JOB}-2.jpg"
    finished.write_bytes(b"later")
    media.keep(finished, f"results/{JOB}.jpg")
    assert target.read_bytes() == b"precious"
    assert not media.path_of(f"results/{JOB}.jpg").is_symlink()


def test_keeping_what_was_never_there_is_an_error(media: Media) -> None:
    with pytest.raises(FileNotFoundError):
        media.keep(media.folder("work") / "nothing", f"results/{JOB}.jpg")


def test_keeping_without_the_folder_is_no_room(media: Media) -> None:
    media.folder("results").rmdir()
    finished = media.folder("work") / f"{JOB}-1.jpg"
    finished.write_bytes(b"picture")
    with pytest.raises(Refusal) as refused:
        media.keep(finished, f"results/{JOB}.jpg")
    assert refused.value.failure is Failure.STORAGE_FULL


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


def test_only_plain_files_are_found(media: Media, tmp_path: Path) -> None:
    relative = f"results/{JOB}.jpg"
    assert media.regular_file(relative) is None
    path = write(media, relative, b"12345")
    found = media.regular_file(relative)
    assert found is not None
    assert (found[0], found[1].st_size) == (path, 5)
    path.unlink()
    target = tmp_path / "precious"
    target.write_bytes(b"precious")
    path.symlink_to(target)
    assert media.regular_file(relative) is None
    path.unlink()
    path.mkdir()
    assert media.regular_file(relative) is None


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
