"""`photochanger providers`: what there is, and what a provider says of a key, without a picture being paid for."""

import asyncio
import os
import sys

import pytest

from simulators.server import serving

pytestmark = pytest.mark.anyio


async def told(*arguments: str, **environment: str) -> tuple[int, str]:
    """The command's exit code, and what it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "photochanger",
        "providers",
        *arguments,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, printed.decode()


async def test_all_providers_are_listed_with_what_they_offer() -> None:
    code, printed = await told(GEMINI_API_KEY="canary")
    assert code == 0
    assert "gemini: Google Gemini, key configured" in printed
    assert "object_replace: Replace an object in the photo; switched off" in printed
    assert "gemini-2.5-flash-image: retired, replaced by gemini-nano-banana-2.1" in printed
    assert "canary" not in printed


async def test_turbotext_lists_what_the_account_has() -> None:
    async with serving() as simulators:
        base_url = f"{simulators.url}/turbotext"
        code, printed = await told("turbotext", TURBOTEXT_API_KEY="simulator-key", TURBOTEXT_BASE_URL=base_url)
    assert code == 0, printed
    assert "mix_images: " in printed
    assert printed.endswith("turbotext: the key is good\n")


@pytest.mark.parametrize("provider", ["gemini", "openai", "turbotext"])
async def test_a_key_is_told_good_from_bad(provider: str) -> None:
    async with serving() as simulators:
        base = {f"{provider.upper()}_BASE_URL": f"{simulators.url}/{provider}"}
        good = await told(provider, **base, **{f"{provider.upper()}_API_KEY": "simulator-key"})
        bad = await told(provider, **base, **{f"{provider.upper()}_API_KEY": "another-canary"})
    assert good[0] == 0, good
    assert bad[0] == 1
    assert f"{provider}: auth" in bad[1]
    assert "another-canary" not in bad[1]


async def test_a_provider_that_is_none_is_told() -> None:
    code, printed = await told("nobody")
    assert code == 2
    assert "there is no 'nobody' in providers.json" in printed
