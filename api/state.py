"""What the handlers of one API process share. The lifespan builds it; requests find it in `request.app.state`."""

from dataclasses import dataclass, field

from starlette.requests import Request

from api.passwords import IngestPasswords
from api.turns import Turns
from api.waiting import Waiting
from photochanger.db import Database
from photochanger.media import Media
from photochanger.overview import RolledTotals
from photochanger.providers import Providers
from photochanger.sessions import Tokens
from photochanger.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything with a life of its own."""

    settings: Settings
    db: Database
    health_db: Database
    """One connection of its own: health is told even when all others are busy."""
    media: Media
    providers: Providers
    waiting: Waiting
    passwords: IngestPasswords
    tokens: Tokens
    turns: Turns
    """Of uploads, for the processor."""
    rolled_totals: RolledTotals = field(default_factory=RolledTotals)


def services(request: Request) -> Services:
    """Those of this request's process."""
    found: Services = request.app.state.services
    return found


def public_url(request: Request, path: str) -> str:
    """A link that works outside: on the configured base, else on the address this request came to."""
    base = services(request).settings.public_base_url or str(request.base_url).rstrip("/")
    return f"{base}{path}"
