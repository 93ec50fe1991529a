"""By which names this installation may be called. Links and cookies are made for the name a request came to: a name
that is not ours (a foreign domain that leads here, a forged `Host`) is refused before anything else.
"""

import ipaddress
import re
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.refusals import answer
from photochanger.errors import Failure, Refusal
from photochanger.settings import Settings

HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/?#@\[\]\\]+))(?::\d{1,5})?")


class KnownHosts:
    """ASGI middleware: 400 `invalid_request` for other names. Addresses always count: booths use them."""

    def __init__(self, app: ASGIApp, *, names: Collection[str]) -> None:
        self._app = app
        self._names = frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_ours(scope):
            refusal = Refusal(Failure.INVALID_REQUEST, "This server is not called by that name.")
            await answer(Request(scope), refusal)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_ours(self, scope: Scope) -> bool:
        told = [value for name, value in scope["headers"] if name == b"host"]
        if not told and scope["http_version"] == "1.0":
            return True  # it has none, and links are made of the address the request came to
        found = HOST.fullmatch(told[0].decode("latin-1")) if len(told) == 1 else None
        if found is None:
            return False
        address, name = found.groups()
        return _is_address(address or name) or name.lower().rstrip(".") in self._names


def own_names(settings: Settings) -> set[str]:
    """What this installation is called: localhost, the machine, the public base URL's host, ALLOWED_HOSTS."""
    machine = socket.gethostname().lower()
    public = urlsplit(settings.public_base_url or "").hostname
    names = {"localhost", machine, f"{machine.partition('.')[0]}.local", *settings.allowed_hosts}
    return names | ({public} if public else set())


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
