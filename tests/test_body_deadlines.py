"""No call outlasts its deadline, whatever the server does: shown on the Gemini driver over real loopback HTTP."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession

from runner.driver import Outcome, ProviderFailed
from runner.drivers import gemini
from tests.gemini_calls import GOOD, answering, call, failing, silent
from tests.loopback import Handler, response


@pytest.fixture
async def http(anyio_backend: str) -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(os.urandom(300_000))
    return path


@pytest.mark.anyio
@pytest.mark.parametrize(
    "handler",
    [
        silent(),
        silent(after=response(b"", length=1_000)),
        silent(after=response(b"", length=1_000), dripping=True),
        silent(after=b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["silence", "headers then silence", "dripping", "only a 100"],
)
async def test_the_deadline_ends_a_call_in_time(http: ClientSession, photo: Path, handler: Handler) -> None:
    started = asyncio.get_running_loop().time()
    error = await failing(handler, photo, http, seconds=0.4)
    assert (error.outcome, error.repeatable) == (Outcome.TIMEOUT, False)
    assert 0.35 < asyncio.get_running_loop().time() - started < 0.9


@pytest.mark.anyio
async def test_a_server_that_does_not_read_is_left_at_the_deadline(http: ClientSession, photo: Path) -> None:
    os.truncate(photo, 14_000_000)
    done = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()

    started = asyncio.get_running_loop().time()
    error = await failing(handler, photo, http, seconds=0.4)
    done.set()
    assert error.outcome is Outcome.TIMEOUT
    assert asyncio.get_running_loop().time() - started < 0.9


@asynccontextmanager
async def full_backlog() -> AsyncIterator[str]:
    """An address where no connection comes about: its queue is full and nobody accepts."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        for one in waiting:
            one.close()


@pytest.mark.anyio
async def test_a_connection_that_does_not_come_about_ends_at_the_deadline(http: ClientSession, photo: Path) -> None:
    async with full_backlog() as url:
        with pytest.raises(ProviderFailed) as caught:
            await gemini.submit(call(photo, url, seconds=0.3), http)
    assert caught.value.outcome is Outcome.TIMEOUT


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_connection_is_given_up_after_five_seconds_and_may_be_tried_again(
    http: ClientSession, photo: Path
) -> None:
    started = asyncio.get_running_loop().time()
    async with full_backlog() as url:
        with pytest.raises(ProviderFailed) as caught:
            await gemini.submit(call(photo, url, seconds=30), http)
    assert (caught.value.outcome, caught.value.repeatable) == (Outcome.NETWORK, True)
    assert 4.9 < asyncio.get_running_loop().time() - started < 5.5


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_long_deadline_is_not_rounded_up_to_a_whole_second(http: ClientSession, photo: Path) -> None:
    loop = asyncio.get_running_loop()
    seconds = int(loop.time()) + 7.05 - loop.time()
    started = loop.time()
    assert (await failing(silent(), photo, http, seconds=seconds)).outcome is Outcome.TIMEOUT
    assert loop.time() - started < seconds + 0.3


@pytest.mark.anyio
async def test_nothing_is_sent_after_the_deadline(http: ClientSession, photo: Path) -> None:
    requests: list[tuple[str, dict[str, str], bytes]] = []
    error = await failing(answering(with_=response(GOOD), requests=requests), photo, http, seconds=0)
    assert error.outcome is Outcome.TIMEOUT
    assert requests == []
