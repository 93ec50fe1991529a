"""What a person does about MEDIA_ROOT: doctor, and adopting a folder."""

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from photochanger import doctor, media_root
from photochanger.db import Database
from photochanger.media import Media
from photochanger.providers import Providers
from tests.absent_disk import refused, unmount
from tests.processes import ROOT, environment_for
from tests.serving import Api

pytestmark = pytest.mark.anyio


async def test_doctor_tells_that_the_disk_is_away(api: Api, database_url: str, known_providers: Providers) -> None:
    unmount(api.media)
    settings = replace(api.services.settings, database_url=database_url)
    findings = await asyncio.to_thread(lambda: doctor.examine(settings, known_providers, database_url=database_url))
    (told,) = [finding for finding in findings if finding.subject == "media"]
    assert not told.in_order
    assert "is its disk mounted?" in told.told


async def test_adopt_media_takes_another_folder_as_the_right_one(
    db: Database, database_url: str, tmp_path: Path
) -> None:
    first = await media_root.opened(db, tmp_path / "first")
    Media(tmp_path / "media", "f" * 32).mark()
    second = await media_root.opened(db, tmp_path / "media")
    refused(second.check_room)
    said = await asyncio.to_thread(
        lambda: subprocess.run(
            [sys.executable, "-m", "photochanger", "adopt-media"],
            cwd=ROOT,
            env=environment_for(tmp_path, database_url),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    )
    assert (said.returncode, said.stderr) == (0, "")
    assert str(second.root) in said.stdout
    second.check_room()
    assert second.root_id == first.root_id


async def test_adopt_media_before_any_start_marks_the_folder(db: Database, tmp_path: Path) -> None:
    media = await media_root.adopt(db, tmp_path / "media")
    assert media.is_ours()
    assert await media_root.opened(db, media.root) == media
