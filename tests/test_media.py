"""The files under MEDIA_ROOT: our own names only, new ones, and results that are kept whole."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from photochanger.errors import Failure, Refusal
from photochanger.media import FOLDERS, Media

JOB = "0123456789abcdef" * 2


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
