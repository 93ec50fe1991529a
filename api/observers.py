"""Who may look inside: `/metrics`, and the details of `/healthz`.

Whoever comes from one of METRICS_NETWORKS (by default this machine alone: booths and guests share the studio's private
network), or brings METRICS_TOKEN or an administrator's session. A request that has passed a proxy comes from wherever
its visitor was: unless the proxy is one of TRUSTED_PROXIES, its address says nothing.
"""

import hmac
from ipaddress import ip_address

from starlette.requests import Request
from starlette.responses import Response

from api.access import administrators
from api.state import services
from photochanger.errors import Failure, Refusal

FORWARDED = ("x-forwarded-for", "x-real-ip", "forwarded")


async def may_observe(request: Request) -> bool:
    """Asks the database only for a session. Raises one of `UNAVAILABLE` when it is away then."""
    return _comes_from_near(request) or _has_token(request) or await _is_administrator(request)


async def check_observer(request: Request) -> None:
    """Raises `Refusal` (`forbidden`) for strangers."""
    if not await may_observe(request):
        raise Refusal(Failure.FORBIDDEN, "This is for allowed networks (METRICS_NETWORKS) or with a bearer token.")


def _comes_from_near(request: Request) -> bool:
    settings = services(request).settings
    if not settings.trusted_proxies and any(name in request.headers for name in FORWARDED):
        return False
    try:
        address = ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in settings.metrics_networks)


def _has_token(request: Request) -> bool:
    token = services(request).settings.metrics_token
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if token is None or scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.strip().encode(), token.encode())


async def _is_administrator(request: Request) -> bool:
    if not ("authorization" in request.headers or request.cookies):
        return False
    try:
        await _let_in(request)
    except Refusal:
        return False
    return True


@administrators
async def _let_in(_request: Request) -> Response:
    return Response()
