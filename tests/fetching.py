"""Downloads of results from addresses that somebody else has named, for the tests of what is refused."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from runner.driver import Outcome, ProviderFailed
from runner.fetch import fetch

PICTURE = bytes(range(256)) * 300
BASE = "https://www.turbotext.ru"
PUBLIC = "93.184.216.34"


def soon(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


def resolving(
    *found: str, asked: list[tuple[str, int]] | None = None
) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """A look-up with this answer."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        if asked is not None:
            asked.append((host, port))
        return found

    return resolve


async def unreachable(host: str, port: int) -> Sequence[str]:
    raise AssertionError(f"{host}:{port} was looked up")


async def failing(url: str, *, seconds: float = 5.0, **given: Any) -> ProviderFailed:
    """How the download fails."""
    given = {"allowed_base": BASE, "resolve": unreachable, **given}
    with pytest.raises(ProviderFailed) as caught:
        await fetch(url, deadline=soon(seconds), **given)
    assert caught.value.reason.isprintable()
    assert "secret" not in f"{caught.value}"
    return caught.value


async def assert_refused(url: str, why: str, **given: Any) -> None:
    error = await failing(url, **given)
    assert (error.outcome, error.repeatable) == (Outcome.BAD_RESPONSE, False), error
    assert why in error.reason
