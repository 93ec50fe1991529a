"""The download of a result whose address somebody else has named: what is refused, and that nothing gets around it."""

import asyncio
import socket
from collections.abc import Sequence

import pytest

from runner.driver import Outcome
from runner.fetch import _only_to, fetch, look_up
from tests.fetching import BASE, PICTURE, PUBLIC, assert_refused, failing, resolving, soon
from tests.loopback import answering, response, serving

# URLs that are refused before anything is looked up


@pytest.mark.anyio
@pytest.mark.parametrize(
    "host",
    [
        *(
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.0.1",
            "224.0.0.1",
        ),
        *(
            "[::]",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::FFFF:7F00:1]",
            "[64:ff9b::10.0.0.1]",
            "[2002:7f00:1::]",
            "[fc00::1]",
        ),
        *("[2001:0:4136:e378:8000:63bf:3fff:fdd2]", "[fe80::1]", "[fe80::1%eth0]", "[fe80::1%25eth0]", "[ff02::1]"),
    ],
)
async def test_no_literal_address_off_the_internet_is_connected_to(host: str) -> None:
    await assert_refused(f"https://{host}/x?sig=secret", "refused")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.com/x", "not https"),
        ("http://www.turbotext.ru/x", "not https"),
        ("ftp://example.com/x", "not https"),
        ("https://example.com:8443/x", "not https on port 443"),
        ("https://example.com:80/x", "not https on port 443"),
        ("https://www.turbotext.ru:444/x", "not https on port 443"),
        ("https://example.com:0/x", "not https on port 443"),
        ("https://example.com:99999/x", "no URL"),
        ("https://user:secret@example.com/x", "names a user"),
        ("https://www.turbotext.ru@example.com/x", "names a user"),
        ("https://@example.com/x", "names a user"),
        ("https://2130706433/", "its host"),
        ("https://134744072/", "its host"),
        ("https://0x8.0x8.0x8.0x8/", "its host"),
        ("https://010.8.8.8/", "its host"),
        ("https://8.8.2056/", "its host"),
        ("https://8.8.8.8./", "its host"),
        ("https://１２７.0.0.1/", "not lead to the internet"),
        ("https://127。0。0。1/", "not lead to the internet"),
        ("https://%31%32%37.0.0.1/", "its host"),
        ("https://a..b/", "its host"),
        ("https://ho st/", "its host"),
        (f"https://{'a' * 64}.com/", "its host"),
        ("https:///x", "no URL"),
        ("https://[::1", "no URL"),
        ("https://www.turbotext.ru\\@example.com/", ""),
        ("file:///etc/passwd", "no URL"),
        ("data:image/png;base64,AAAA", "no URL"),
        ("javascript:alert(1)", "no URL"),
        ("gopher://example.com:443/x", "not https"),
        ("image/x.png", "no URL"),
        ("", "no URL"),
        ("\x00", "no URL"),
    ],
)
async def test_a_url_with_a_trick_is_refused(url: str, why: str) -> None:
    await assert_refused(url, why)


# Names


@pytest.mark.anyio
@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fe80::1%2"])
async def test_every_address_of_a_name_must_pass(address: str) -> None:
    for found in ([address], [PUBLIC, address], [address, PUBLIC]):
        await assert_refused("https://example.com/x", "not lead to the internet", resolve=resolving(*found))


@pytest.mark.anyio
async def test_the_providers_own_name_may_lead_into_a_private_network_but_to_no_metadata_service() -> None:
    for found in (["169.254.169.254"], ["127.0.0.1", "169.254.169.254"], ["fd00:ec2::254"], ["0.0.0.0"]):
        await assert_refused(f"{BASE}/x", "not lead to the internet", resolve=resolving(*found))


@pytest.mark.anyio
async def test_this_machine_by_its_name_is_looked_up_and_refused() -> None:
    await assert_refused("https://LocalHost/x", "not lead to the internet", resolve=look_up)


@pytest.mark.anyio
async def test_a_name_is_looked_up_once_and_the_connection_goes_where_it_led() -> None:
    """A second look-up would have another answer: that is how a check is got around."""
    heads: list[str] = []
    asked: list[tuple[str, int]] = []
    answers = [["127.0.0.1"], ["169.254.169.254"]]

    async def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append((host, port))
        return answers.pop(0)

    async with serving(answering(response(PICTURE), heads=heads)) as port:
        base = f"http://pictures.example:{port}"
        got = await fetch(f"{base}/a/b.jpg?x=1", deadline=soon(), allowed_base=base, resolve=rebinding)
    assert got == PICTURE
    assert asked == [("pictures.example", port)]
    assert heads[0].startswith("GET /a/b.jpg?x=1 HTTP/1.1\r\n")
    assert f"\r\nHost: pictures.example:{port}\r\n" in heads[0]


@pytest.mark.anyio
async def test_tls_asks_for_the_certificate_of_the_name_and_not_of_the_address() -> None:
    hello = bytearray()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello.extend(await reader.read(4096))

    async with serving(handler) as port:
        base = f"https://pictures.example:{port}"
        error = await failing(f"{base}/x", allowed_base=base, resolve=resolving("127.0.0.1"))
    assert (error.outcome, error.repeatable) == (Outcome.NETWORK, True)
    assert b"\x00\x10pictures.example" in hello


@pytest.mark.anyio
async def test_a_name_without_an_address_is_a_network_failure() -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("Name or service not known")

    for resolve in (unknown, resolving()):
        error = await failing("https://example.com/x", resolve=resolve)
        assert (error.outcome, error.repeatable) == (Outcome.NETWORK, True)


@pytest.mark.anyio
async def test_a_look_up_that_hangs_ends_at_the_deadline() -> None:
    async def hanging(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(60)
        return []

    error = await failing("https://example.com/x", resolve=hanging, seconds=0.2)
    assert (error.outcome, error.repeatable) == (Outcome.TIMEOUT, False)


@pytest.mark.anyio
async def test_one_of_several_addresses_that_answers_is_enough() -> None:
    async with serving(answering(response(PICTURE))) as port:
        base = f"http://pictures.example:{port}"
        resolve = resolving("127.0.0.2", "127.0.0.1", "::1")
        assert await fetch(f"{base}/x", deadline=soon(), allowed_base=base, resolve=resolve) == PICTURE


def test_no_socket_is_made_for_an_address_that_was_not_checked() -> None:
    make = _only_to([PUBLIC])
    with pytest.raises(OSError, match="not an address that was checked"):
        make((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("169.254.169.254", 443)))
    make((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (PUBLIC, 443))).close()
