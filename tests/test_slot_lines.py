"""The lines for a console on a slot's page, pasted as they stand."""

import asyncio
import html
import re
import shutil
from pathlib import Path

import httpx
import pytest
from PIL import Image

from photochanger.providers import Providers
from simulators.gemini import KEY
from simulators.sample import SAMPLE
from tests.people import page
from tests.serving import PASSWORD, Api, running, serve_api, settings_for
from tests.simulated import simulated

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        not all(map(shutil.which, ("bash", "curl", "openssl"))), reason="there is no bash, curl or openssl"
    ),
]


async def line(api: Api, http: httpx.AsyncClient, name: str) -> str:
    (found,) = re.findall(rf'<pre id="{name}">(.*?)</pre>', (await page(http, api, "/slots/slot-001")).text, flags=re.S)
    return html.unescape(found)


async def pasted(command: str, *, password: bytes, folder: Path) -> str:
    """What it prints when this password is typed."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        command,
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin"},
    )
    said, _ = await process.communicate(password + b"\n")
    return said.decode()


async def test_the_curl_line_brings_the_changed_photo_or_tells_the_status(
    database_url: str, tmp_path: Path, known_providers: Providers, http: httpx.AsyncClient
) -> None:
    shutil.copy(SAMPLE, tmp_path / "photo.jpg")
    async with simulated() as simulators:
        told = {"GEMINI_API_KEY": KEY, "GEMINI_BASE_URL": f"{simulators.url}/gemini"}
        settings = settings_for(tmp_path, database_url, **told)
        async with (
            serve_api(settings, known_providers, database_url) as api,
            running(settings, known_providers, database_url),
        ):
            curl = await line(api, http, "curl-line")
            assert await pasted(curl, password=PASSWORD, folder=tmp_path) == "password: 200\n"
            with Image.open(tmp_path / "changed.jpg") as changed:
                assert changed.format == "JPEG"
            assert await pasted(curl, password=b"@photo.jpg", folder=tmp_path) == "password: 401\n", (
                "never a file's name"
            )


async def test_the_powershell_line_names_the_same(api: Api, http: httpx.AsyncClient) -> None:
    windows = await line(api, http, "powershell-line")
    for part in ("curl.exe", f"{api.url}/ingest/slot-001", "Get-FileHash", '"fileToUpload=@photo.jpg"', "Read-Host"):
        assert part in windows
    assert windows.count('"') % 2 == 0
