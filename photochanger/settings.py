"""What a process is told by its environment. Strict: every mistake is named at once, and nothing starts with one.

Each provider in providers.json has two names of its own: `<NAME>_API_KEY` and `<NAME>_BASE_URL`. Only those are read:
the environment may hold other programs' keys and addresses, which are none of our business.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from photochanger.errors import ConfigurationError
from photochanger.passwords import weakness
from photochanger.resources import folder

T = TypeVar("T")

Network = IPv4Network | IPv6Network
LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
TELEGRAM = "https://api.telegram.org"
API_KEY = "{}_API_KEY"
BASE_URL = "{}_BASE_URL"
"""What a provider's two names are made of: its own in capitals goes into the braces."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One process's settings. Secrets do not show in `repr`."""

    home: Path
    """Where a local installation keeps database, media and secrets."""
    media_root: Path
    database_url: str | None = field(repr=False)
    """None: the embedded PostgreSQL under `home`."""
    host: str
    port: int
    public_base_url: str | None
    """What public links start with. None: the address the request came to."""
    provider_keys: Mapping[str, str] = field(repr=False)
    """By the provider's name; without those that have none."""
    provider_base_urls: Mapping[str, str]
    """By the provider's name, instead of the one in providers.json."""
    simulators_url: str | None
    """Where stand-ins for all providers are: they answer as long as there is no provider key at all."""
    job_poll_seconds: float
    """How often a waiting request's job is looked at."""
    runner_concurrency: int
    result_ttl_hours: int
    """For a database in which no administrator has set another one."""
    ingest_password: str | None = field(repr=False)
    """For the first start only; the database keeps its hash."""
    admin_password: str | None = field(repr=False)
    """For the first start only: of both first accounts."""
    signing_key: str | None = field(repr=False)
    """Signs sessions. None: the one in `home/secrets`."""
    secrets_key: str | None = field(repr=False)
    """Encrypts provider keys at rest: Fernet keys with commas between, the first one encrypts."""
    trusted_proxies: tuple[str, ...]
    """Addresses and networks whose `X-Forwarded-For` and `X-Forwarded-Proto` count."""
    allowed_hosts: tuple[str, ...]
    """Names by which this installation may be called, beside addresses, localhost and the public base URL's."""
    job_retention_days: int
    """How long rows of final jobs stay; their figures stay for good."""
    metrics_networks: tuple[Network, ...]
    """Who may read `/metrics` and the details of `/healthz` without a token."""
    metrics_token: str | None = field(repr=False)
    """A bearer token that may read them from anywhere."""
    alert_webhook_url: str | None = field(repr=False)
    """Alerts are posted here as JSON. None, and no Telegram chat either: nobody is told."""
    alert_telegram_token: str | None = field(repr=False)
    alert_telegram_chat_id: str | None
    """A bot's token, and the chat it tells alerts to."""
    alert_telegram_base_url: str
    alert_language: str

    def provider_key(self, provider: str) -> str | None:
        """The key of this provider, if the environment has one."""
        return self.provider_keys.get(provider)

    def provider_base_url(self, provider: str) -> str | None:
        """Where this provider is to be found instead of where providers.json says."""
        return self.provider_base_urls.get(provider)

    @property
    def own_url(self) -> str:
        """Where this machine finds the API."""
        return f"http://{'127.0.0.1' if self.host in {'0.0.0.0', ''} else self.host}:{self.port}"  # noqa: S104

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> "Settings":
        """Read the environment; `NAME_FILE` names a file that holds NAME's value.

        Raises `ConfigurationError` with every mistake found, a sentence each.
        """
        reader = _Reader(os.environ if env is None else env)
        home = reader.get("PHOTOCHANGER_HOME", _absolute_path, default=Path("var").absolute())
        settings = cls(
            home=home,
            media_root=reader.get("MEDIA_ROOT", _absolute_path, default=home / "media"),
            database_url=reader.get("DATABASE_URL", _database_url, default=None),
            host=reader.get("HOST", str, default="0.0.0.0"),  # noqa: S104 - booths come from the studio's network
            port=reader.get("PORT", _whole(1, 65535), default=8000),
            public_base_url=reader.get("PUBLIC_MEDIA_BASE_URL", _base_url, default=None),
            provider_keys=reader.by_provider(API_KEY, _secret),
            provider_base_urls=reader.by_provider(BASE_URL, _base_url),
            simulators_url=reader.get("SIMULATORS_URL", _base_url, default=None),
            job_poll_seconds=reader.get("JOB_POLL_SECONDS", _number(0.1, 2.0), default=1.0),
            runner_concurrency=reader.get("RUNNER_CONCURRENCY", _whole(1, 256), default=16),
            result_ttl_hours=reader.get("RESULT_TTL_HOURS", _whole(1, 24 * 365), default=72),
            ingest_password=reader.get("INGEST_PASSWORD", _secret, default=None),
            admin_password=reader.get("ADMIN_PASSWORD", _strong_password, default=None),
            signing_key=reader.get("SIGNING_KEY", _strong, default=None),
            secrets_key=reader.get("SECRETS_KEY", _secret, default=None),
            trusted_proxies=reader.get("TRUSTED_PROXIES", _proxies, default=()),
            allowed_hosts=reader.get("ALLOWED_HOSTS", _names, default=()),
            job_retention_days=reader.get("JOB_RETENTION_DAYS", _whole(1, 3650), default=90),
            metrics_networks=reader.get("METRICS_NETWORKS", _networks, default=LOOPBACK),
            metrics_token=reader.get("METRICS_TOKEN", _strong, default=None),
            alert_webhook_url=reader.get("ALERT_WEBHOOK_URL", _webhook_url, default=None),
            alert_telegram_token=reader.get("ALERT_TELEGRAM_TOKEN", _bot_token, default=None),
            alert_telegram_chat_id=reader.get("ALERT_TELEGRAM_CHAT_ID", _chat_id, default=None),
            alert_telegram_base_url=reader.get("ALERT_TELEGRAM_BASE_URL", _base_url, default=TELEGRAM),
            alert_language=reader.get("ALERT_LANGUAGE", _language, default="ru"),
        )
        if (settings.alert_telegram_token is None) != (settings.alert_telegram_chat_id is None):
            reader.complain("ALERT_TELEGRAM_TOKEN: set it and ALERT_TELEGRAM_CHAT_ID, or neither")
        if settings.alert_webhook_url and settings.alert_telegram_token:
            reader.complain("ALERT_WEBHOOK_URL: set it or ALERT_TELEGRAM_TOKEN, not both")
        reader.finish()
        return settings


class _Reader:
    """Reads names one by one and keeps the mistakes for the end."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._mistakes: list[str] = []

    def get(self, name: str, parse: Callable[[str], T], *, default: T | None) -> T:
        """The parsed value; the default when unset, empty or wrong (a wrong one is told by `finish`)."""
        fallback: T = default  # type: ignore[assignment]  # None is a T wherever the caller passes it
        text = self._text(name)
        if not text:
            return fallback
        try:
            return parse(text)
        except ValueError as error:
            self._mistakes.append(f"{name}: {error}")
            return fallback

    def by_provider(self, name: str, parse: Callable[[str], T]) -> dict[str, T]:
        """The values of this name for the providers that have one."""
        found = {provider: self.get(name.format(provider.upper()), parse, default=None) for provider in _providers()}
        return {provider: value for provider, value in found.items() if value is not None}

    def _text(self, name: str) -> str | None:
        direct, path = self._env.get(name), self._env.get(f"{name}_FILE")
        if not path:
            return direct
        if direct:
            self._mistakes.append(f"{name}: set it or {name}_FILE, not both")
            return None
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            self._mistakes.append(f"{name}_FILE: {path} cannot be read ({type(error).__name__})")
            return None

    def complain(self, mistake: str) -> None:
        self._mistakes.append(mistake)

    def finish(self) -> None:
        if self._mistakes:
            raise ConfigurationError(self._mistakes)


def _providers() -> list[str]:
    """The names in providers.json. None while it cannot be read: `providers.load` tells why."""
    try:
        return list(json.loads((folder("configs") / "providers.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return []


def _absolute_path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _secret(text: str) -> str:
    if any(ord(character) < 32 for character in text):
        raise ValueError("must be one line without control characters")
    return text


def _strong(text: str) -> str:
    if len(_secret(text)) < 32 or len(set(text)) < 8:
        raise ValueError("must be random, of at least 32 characters")
    return text


def _strong_password(text: str) -> str:
    if sentence := weakness(_secret(text).encode()):
        raise ValueError(sentence)
    return text


def _proxies(text: str) -> tuple[str, ...]:
    """Whoever is trusted says who its clients are: everybody cannot be meant."""
    if any(network.prefixlen == 0 for network in _networks(text)):
        raise ValueError("must not be everybody")
    return _names(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip().lower() for name in text.split(",") if name.strip())


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(name.strip()) for name in text.split(",") if name.strip())
    except ValueError:
        raise ValueError("must be addresses or networks like 10.0.0.0/8, with commas between") from None


def _webhook_url(text: str) -> str:
    _base_url(text.partition("?")[0])
    return _secret(text)


def _bot_token(text: str) -> str:
    if not re.fullmatch(r"[0-9]{1,20}:[A-Za-z0-9_-]{20,100}", text):
        raise ValueError("must look like 123456:AAE…, as BotFather tells it")
    return text


def _chat_id(text: str) -> str:
    if not re.fullmatch(r"-?[0-9]{1,20}|@[A-Za-z0-9_]{1,64}", text):
        raise ValueError("must be a number, or a channel's @name")
    return text


def _language(text: str) -> str:
    if text not in {"ru", "en"}:
        raise ValueError("must be ru or en")
    return text


def _database_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"postgresql", "postgres"}:
        raise ValueError("must look like postgresql://user:password@host/database")
    return text


def _base_url(text: str) -> str:
    sentence = "must look like https://host or https://host/path"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(sentence) from None
    surplus = parts.query or parts.fragment or parts.username
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0 or surplus:
        raise ValueError(sentence)
    return text.rstrip("/")


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return parse


def _number(least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        sentence = f"must be a number from {least} to {most}"
        try:
            value = float(text)
        except ValueError:
            raise ValueError(sentence) from None
        if not least <= value <= most:
            raise ValueError(sentence)
        return value

    return parse
