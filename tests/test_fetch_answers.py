"""The download of a result: what may come back from an address that was let pass, and when it is given up."""

import asyncio
import gzip

import pytest

from runner.driver import Outcome, ProviderFailed
from runner.fetch import fetch
from tests.loopback import answering, response, serving

PICTURE = bytes(range(256)) * 300


def soon(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def failing(base: str, *, seconds: float = 5.0, max_bytes: int = 1_000_000) -> ProviderFailed:
    """How the download from the provider's own address fails."""
    with pytest.raises(ProviderFailed) as caught:
        await fetch(f"{base}/x?sig=secret", deadline=soon(seconds), allowed_base=base, max_bytes=max_bytes)
    assert caught.value.reason.isprintable()
    assert "secret" not in f"{caught.value}"
    return caught.value


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "outcome", "repeatable"),
    [
        ("401 Unauthorized", Outcome.BAD_RESPONSE, False),
        ("403 Forbidden", Outcome.BAD_RESPONSE, False),
        ("404 Not Found", Outcome.BAD_RESPONSE, False),
        ("410 Gone", Outcome.BAD_RESPONSE, False),
        ("206 Partial Content", Outcome.BAD_RESPONSE, False),
        ("204 No Content", Outcome.BAD_RESPONSE, False),
        ("304 Not Modified", Outcome.BAD_RESPONSE, False),
        ("429 Too Many Requests", Outcome.PROVIDER_UNAVAILABLE, True),
        ("500 Internal Server Error", Outcome.PROVIDER_UNAVAILABLE, True),
        ("503 Service Unavailable", Outcome.PROVIDER_UNAVAILABLE, True),
    ],
)
async def test_a_status_other_than_200_is_no_picture(status: str, outcome: Outcome, repeatable: bool) -> None:
    async with serving(answering(response(b"", status=status))) as port:
        base = f"http://127.0.0.1:{port}"
        error = await failing(base)
    assert (error.outcome, error.repeatable) == (outcome, repeatable)
    assert error.receipt.http_status == int(status.split()[0])


@pytest.mark.anyio
async def test_no_more_than_the_limit_is_read() -> None:
    for size, length in ((1000, None), (1001, None), (10, 1001)):
        async with serving(answering(response(b"x" * size, length=length))) as port:
            base = f"http://127.0.0.1:{port}"
            if size == 1000:
                got = await fetch(f"{base}/x", deadline=soon(), allowed_base=base, max_bytes=1000)
                assert len(got) == 1000
            else:
                error = await failing(base, max_bytes=1000)
                assert (error.outcome, error.reason) == (Outcome.BAD_RESPONSE, "the result is longer than 1000 bytes")


@pytest.mark.anyio
@pytest.mark.parametrize("compressed", [False, True])
async def test_a_body_without_a_length_or_a_bomb_is_cut_off_at_the_limit(compressed: bool) -> None:
    body = gzip.compress(bytes(200_000_000), 1) if compressed else bytes(2_000_000)
    encoding = "Content-Encoding: gzip\r\n" if compressed else ""
    async with serving(answering(f"HTTP/1.1 200 OK\r\n{encoding}Connection: close\r\n\r\n".encode() + body)) as port:
        base = f"http://127.0.0.1:{port}"
        error = await failing(base, max_bytes=1_000_000)
    assert (error.outcome, error.repeatable) == (Outcome.BAD_RESPONSE, False)


@pytest.mark.anyio
async def test_a_body_cut_off_is_a_network_failure() -> None:
    async with serving(answering(response(PICTURE, length=len(PICTURE) + 5))) as port:
        base = f"http://127.0.0.1:{port}"
        error = await failing(base)
    assert (error.outcome, error.repeatable) == (Outcome.NETWORK, True)


@pytest.mark.anyio
async def test_a_closed_port_is_a_network_failure_and_no_http_a_bad_response() -> None:
    async with serving(answering(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")) as port:
        base = f"http://127.0.0.1:{port}"
        error = await failing(base)
        assert (error.outcome, error.repeatable) == (Outcome.BAD_RESPONSE, True)
    error = await failing(base)
    assert (error.outcome, error.repeatable) == (Outcome.NETWORK, True)


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["silent", "headers then silent", "dripping"])
async def test_nothing_outlasts_the_deadline(how: str) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if how != "silent":
            writer.write(response(b"", length=1000))
        for _ in range(100):
            await asyncio.sleep(0.05)
            if how == "dripping":
                writer.write(b"x")

    async with serving(handler) as port:
        base = f"http://127.0.0.1:{port}"
        began = asyncio.get_running_loop().time()
        error = await failing(base, seconds=0.4)
    assert (error.outcome, error.repeatable) == (Outcome.TIMEOUT, False)
    assert asyncio.get_running_loop().time() - began < 0.7


@pytest.mark.anyio
async def test_a_deadline_in_the_past_sends_nothing() -> None:
    heads: list[str] = []
    async with serving(answering(response(PICTURE), heads=heads)) as port:
        base = f"http://127.0.0.1:{port}"
        error = await failing(base, seconds=-1)
    assert (error.outcome, heads) == (Outcome.TIMEOUT, [])
