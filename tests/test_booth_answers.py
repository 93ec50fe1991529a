"""What the simulated booth makes of answers, of refusals at any moment, and of silence."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from simulators.booth import CONTINUE_SECONDS
from tests.booth_studio import Studio, one, opened, raw, read_form, refusing

pytestmark = pytest.mark.anyio


@pytest.fixture
async def studio(anyio_backend: str) -> AsyncIterator[Studio]:
    async with opened() as studio:
        yield studio


@pytest.mark.parametrize("says_continue", [True, False])
async def test_the_body_waits_for_100_continue_but_a_second_at_most(
    says_continue: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    if says_continue:
        monkeypatch.setattr("simulators.booth.CONTINUE_SECONDS", 20.0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        await reader.readuntil(b"\r\n\r\n")
        started = loop.time()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.4)
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" if says_continue else b"")
        await reader.readuntil(b"fileToUpload")
        waited.append(loop.time() - started)
        await read_form(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\xff\xd8\xff")

    async with raw(serve) as url:
        assert (await one(url)).status == 200
    assert waited[0] < 10 if says_continue else CONTINUE_SECONDS - 0.1 < waited[0] < CONTINUE_SECONDS + 5


async def test_a_refusal_by_the_headers_alone_costs_no_upload() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"failure_reason": "slot_not_found", "details": "There is no such slot."}'
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await reader.read()

    async with raw(serve) as url:
        answer = await one(url, slots=["../x"])
    assert (answer.status, answer.failure_reason, answer.sent_bytes) == (404, "slot_not_found", 0)


async def test_a_refusal_in_the_middle_of_the_upload_is_heard(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await reader.readuntil(b'"hash"')
        writer.write(
            b'HTTP/1.1 401 No\r\nContent-Length: 52\r\n\r\n{"failure_reason":"invalid_password","details":"no"}'
        )
        await reader.read()

    (tmp_path / "large.jpg").write_bytes(os.urandom(12_000_000))
    async with raw(serve) as url:
        answer = await one(url, photo=tmp_path / "large.jpg")
    assert (answer.status, answer.failure_reason) == (401, "invalid_password")
    assert answer.sent_bytes < 12_000_000


@pytest.mark.parametrize(("status", "reason"), [(401, "invalid_password"), (504, "timeout")])
async def test_an_error_of_the_server_is_told_by_its_reason(studio: Studio, status: int, reason: str) -> None:
    studio.answer = refusing(status, reason)
    answer = await one(studio.url)
    assert (answer.status, answer.failure_reason, answer.job_id) == (status, reason, "cd" * 16)
    assert answer.problem == "This is why, [2J slot-001."
    assert f"{status} {reason}" in answer.line()


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "not a picture"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n\xff\xd8\xff", "cut short"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\xff\xd8\xff\r\n0\r\n\r\n", "its length"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\n[]", "gives no reason"),
        (b"HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "gives no reason"),
        (b"220 mail.example.org ESMTP\r\n", "does not speak HTTP"),
        (b"", "the connection was lost"),
    ],
)
async def test_what_is_no_whole_picture_is_a_problem(response: bytes, problem: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response)

    async with raw(serve) as url:
        assert problem in str((await one(url)).problem)


async def test_silence_and_nobody_are_told_in_a_sentence() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw(serve) as url:
        line = (await one(url, timeout_seconds=0.3)).line()
    told = re.search(r"no whole answer within 0\.3 seconds  (\d+\.\d\d) s  0 bytes$", line)
    assert told, line
    assert float(told[1]) >= 0.3
    answer = await one(url)
    assert (answer.status, answer.problem) == (None, f"nothing answers at {url}: is PhotoChanger running there?")
    assert (await one("localhost:8000")).problem == "localhost:8000 is not an address like http://host:8000"
