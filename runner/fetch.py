"""Downloads a result from an address that a provider's answer has named, and trusts nothing about that address.

    URL ─ https, port 443, a host without tricks ─ looked up once ─ every address public ─ connected to one of these
     └─ a redirect: the same from the start, three times at most

The one exception is the provider's own address as it is configured (`allowed_base`: scheme, host and port): the photos
and the key go there already, so it may be plain http and in a private network, as the simulators are.
"""

import asyncio
import math
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from aiohttp import (
    AddrInfoType,
    ClientError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from runner.addresses import is_address, is_name, is_own, is_public
from runner.driver import Outcome, ProviderFailed, Receipt

MAX_BYTES = 32 * 1024 * 1024
MOST_REDIRECTS = 3
REDIRECTS = frozenset({301, 302, 303, 307, 308})
UNAVAILABLE = frozenset({408, 425, 429, *range(500, 600)})
CONNECT_SECONDS = 5.0
STALL_SECONDS = 10.0
PLAIN = re.compile(r"[!-~]+")
"""A URL that needs no quoting: it is asked for to the letter, its signature may count on that."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to literal addresses. Raises `OSError`."""


async def look_up(host: str, port: int) -> Sequence[str]:
    """All addresses of a host, as the system finds them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def fetch(
    url: str,
    *,
    deadline: float,
    allowed_base: str | None,
    headers: Mapping[str, str] | None = None,
    max_bytes: int = MAX_BYTES,
    resolve: Resolve = look_up,
) -> bytes:
    """The body behind the URL, at most `max_bytes` of it. `deadline` is by the event loop's clock.

    `headers` (credentials) are sent to `allowed_base`'s own origin only. Raises `ProviderFailed`: BAD_RESPONSE for an
    address that is refused, for too much, for no HTTP, and for a final answer other than 200 (its status is in the
    receipt); PROVIDER_UNAVAILABLE for a status that may pass; NETWORK for a lost exchange; TIMEOUT at the deadline.
    """
    if deadline <= asyncio.get_running_loop().time():
        raise ProviderFailed(Outcome.TIMEOUT, "no time was left to download the result")
    timer = asyncio.timeout_at(deadline)
    try:
        async with timer:
            return await _followed(url, allowed_base, headers or {}, max_bytes=max_bytes, resolve=resolve)
    except (ClientError, OSError) as error:
        if timer.expired():
            raise ProviderFailed(Outcome.TIMEOUT, "the result did not arrive in time") from None
        # The error's own text may hold the address: no more than its kind is told.
        outcome = Outcome.BAD_RESPONSE if isinstance(error, ClientResponseError) else Outcome.NETWORK
        reason = f"the result could not be downloaded: {type(error).__name__}"
        raise ProviderFailed(outcome, reason, repeatable=True) from error


def same_origin(url: str, other: str) -> bool:
    """Whether scheme, host and port are the same. False when either is no URL."""
    first, second = _origin(_read(url)), _origin(_read(other))
    return first is not None and first == second


async def _followed(
    url: str, allowed_base: str | None, credentials: Mapping[str, str], *, max_bytes: int, resolve: Resolve
) -> bytes:
    target = _read(url)
    base = _origin(_read(allowed_base)) if allowed_base is not None else None
    for _ in range(1 + MOST_REDIRECTS):
        own = base is not None and _origin(target) == base
        addresses = await _checked(target, own=own, resolve=resolve)
        assert target is not None
        async with _asked(target, addresses, headers=credentials if own else {}) as response:
            if response.status not in REDIRECTS:
                return await _content(response, max_bytes=max_bytes)
            location = response.headers.get("Location", "")
        following = _read(location) if location else None
        target = target.join(following) if following is not None else None
    raise _refused("it redirects too often")


async def _checked(target: URL | None, *, own: bool, resolve: Resolve) -> Sequence[str]:
    """The addresses that may be connected to. Raises `ProviderFailed` if there is anything to object to."""
    if target is None or not target.raw_host:
        raise _refused("it is no URL")
    host, port = target.raw_host, target.port
    if "@" in target.raw_authority:
        raise _refused("it names a user")
    if not own and (target.scheme != "https" or port != 443):
        raise _refused("it is not https on port 443")
    if not port or not (is_address(host) or is_name(host)):
        raise _refused("its host is no name")
    addresses = (host,) if is_address(host) else tuple(dict.fromkeys(await resolve(host, port)))
    if not addresses:
        raise OSError("the host has no address")
    if not all(is_public(address) or (own and is_own(address)) for address in addresses):
        raise _refused("it does not lead to the internet")
    return addresses


@asynccontextmanager
async def _asked(target: URL, addresses: Sequence[str], *, headers: Mapping[str, str]) -> AsyncIterator[ClientResponse]:
    """The answer of one host. The connection is this request's own and goes to these addresses or nowhere."""
    connector = TCPConnector(
        resolver=_Found(addresses), use_dns_cache=False, socket_factory=_only_to(addresses), force_close=True
    )
    timeout = ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=STALL_SECONDS, ceil_threshold=math.inf)
    async with (
        ClientSession(connector=connector, cookie_jar=DummyCookieJar(), timeout=timeout) as http,
        http.get(
            target, headers={"Accept-Encoding": "identity", "Accept": "image/*", **headers}, allow_redirects=False
        ) as response,
    ):
        yield response


async def _content(response: ClientResponse, *, max_bytes: int) -> bytes:
    status = response.status
    if status != 200:
        outcome = Outcome.PROVIDER_UNAVAILABLE if status in UNAVAILABLE else Outcome.BAD_RESPONSE
        reason = f"the download of the result was answered with HTTP {status}"
        raise ProviderFailed(outcome, reason, repeatable=status in UNAVAILABLE, receipt=Receipt(http_status=status))
    content = bytearray()
    if (response.content_length or 0) <= max_bytes:
        async for chunk in response.content.iter_any():
            content += chunk
            if len(content) > max_bytes:
                break
        else:
            return bytes(content)
    reason = f"the result is longer than {max_bytes} bytes"
    raise ProviderFailed(Outcome.BAD_RESPONSE, reason, receipt=Receipt(http_status=status))


def _read(url: str) -> URL | None:
    try:
        found = URL(url, encoded=PLAIN.fullmatch(url) is not None)
        _ = found.port  # what is taken to the letter is parsed only when it is looked at
        return found
    except ValueError:
        return None


def _origin(url: URL | None) -> tuple[str, str, int | None] | None:
    return None if url is None or not url.raw_host else (url.scheme.lower(), url.raw_host.lower(), url.port)


def _refused(why: str) -> ProviderFailed:
    return ProviderFailed(Outcome.BAD_RESPONSE, f"the result's address is refused: {why}")


class _Found(AbstractResolver):
    """Answers with what was looked up and checked before; so a second look-up cannot give another answer."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The checked addresses, whatever the host."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


def _only_to(addresses: Sequence[str]) -> Callable[[AddrInfoType], socket.socket]:
    """Makes sockets for these addresses and no other: the last gate, whatever way an address came."""

    def make(found: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = found
        if address[0] not in addresses:
            raise OSError("not an address that was checked")
        return socket.socket(family, kind, protocol)

    return make
