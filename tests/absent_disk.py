"""A disk of pictures that is away: what is left is the bare folder under it."""

from pathlib import Path

import pytest

from photochanger.errors import Failure, Refusal
from photochanger.media import Media


def refused(call: object) -> None:
    assert callable(call)
    with pytest.raises(Refusal) as refusal:
        call()
    assert refusal.value.failure is Failure.STORAGE_FULL
    assert str(refusal.value.details) == "The disk for pictures is not there."


def unmount(media: Media) -> Path:
    """Take the disk away: what is left is the bare folder under it, with folders that an old release made there."""
    away = media.root.with_name("disk")
    media.root.rename(away)
    Media(media.root).create_folders()
    return away


def mount(media: Media, away: Path) -> None:
    media.root.rename(media.root.with_name("bare"))
    away.rename(media.root)
