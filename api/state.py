"""What the handlers of one API process share. The lifespan builds it; requests find it in `request.app.state`."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from cryptography.fernet import MultiFernet
from starlette.requests import Request

from api.admin_passwords import AdminPasswords
from api.endings import Unattended
from api.passwords import IngestPasswords
from api.row_figures import RowFigures
from api.sent import SentAnswers
from api.throttle import Throttle
from api.turns import Turns
from api.waiting import Waiting
from photochanger.db import Database
from photochanger.images import Pictures
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
    health_thread: ThreadPoolExecutor
    """One thread of its own: a disk that hangs takes no other with it."""
    migrations: frozenset[str]
    """Those of this release."""
    row_figures: RowFigures
    media: Media
    providers: Providers
    waiting: Waiting
    unattended: Unattended
    sent_answers: SentAnswers
    passwords: IngestPasswords
    admin_passwords: AdminPasswords
    tokens: Tokens
    public_requests: Throttle
    """All that one address may ask of galleries and results."""
    unknown_ids: Throttle
    """Ids of nothing that one address may ask for."""
    turns: Turns
    """Of uploads, for the processor."""
    pictures: Pictures
    """One child, started when an administrator uploads something: booths' photos are the runners' work."""
    secrets_box: MultiFernet | None
    """Seals what an administrator stores. None: there is no SECRETS_KEY, and nothing can be stored."""
    rolled_totals: RolledTotals = field(default_factory=RolledTotals)


def services(request: Request) -> Services:
    """Those of this request's process."""
    found: Services = request.app.state.services
    return found


def public_url(request: Request, path: str) -> str:
    """A link that works outside: on the configured base, else on the address this request came to."""
    base = services(request).settings.public_base_url or str(request.base_url).rstrip("/")
    return f"{base}{path}"
