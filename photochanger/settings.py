"""What a process is told by its environment. Strict: every mistake is named at once, and nothing starts with one.

Each provider in providers.json has two names of its own: `<NAME>_API_KEY` and `<NAME>_BASE_URL`. Only those are read:
the environment may hold other programs' keys and addresses, which are none of our business.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

from photochanger import environment
from photochanger.environment import Network

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
    """Where stand-ins answer for all providers as long as none has a key. None: there are no stand-ins."""
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

    @property
    def own_url(self) -> str:
        """Where this machine finds its own API."""
        host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def provider_key(self, provider: str) -> str | None:
        """The key of this provider, if the environment has one."""
        return self.provider_keys.get(provider)

    def provider_base_url(self, provider: str) -> str | None:
        """Where this provider is to be found instead of where providers.json says."""
        return self.provider_base_urls.get(provider)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> "Settings":
        """Read the environment; `NAME_FILE` names a file that holds NAME's value.

        Raises `ConfigurationError` with every mistake found, a sentence each.
        """
        reader = environment.Environment(os.environ if env is None else env)
        home = reader.get("PHOTOCHANGER_HOME", environment.absolute_path, default=Path("var").absolute())
        settings = cls(
            home=home,
            media_root=reader.get("MEDIA_ROOT", environment.absolute_path, default=home / "media"),
            database_url=reader.get("DATABASE_URL", environment.database_url, default=None),
            host=reader.get("HOST", str, default="0.0.0.0"),  # noqa: S104 - booths come from the studio's network
            port=reader.get("PORT", environment.whole(1, 65535), default=8000),
            public_base_url=reader.get("PUBLIC_MEDIA_BASE_URL", environment.base_url, default=None),
            provider_keys=reader.by_provider(API_KEY, environment.secret),
            provider_base_urls=reader.by_provider(BASE_URL, environment.base_url),
            simulators_url=reader.get("SIMULATORS_URL", environment.base_url, default=None),
            job_poll_seconds=reader.get("JOB_POLL_SECONDS", environment.number(0.1, 2.0), default=1.0),
            runner_concurrency=reader.get("RUNNER_CONCURRENCY", environment.whole(1, 256), default=16),
            result_ttl_hours=reader.get("RESULT_TTL_HOURS", environment.whole(1, 24 * 365), default=72),
            ingest_password=reader.get("INGEST_PASSWORD", environment.secret, default=None),
            admin_password=reader.get("ADMIN_PASSWORD", environment.strong_password, default=None),
            signing_key=reader.get("SIGNING_KEY", environment.strong, default=None),
            secrets_key=reader.get("SECRETS_KEY", environment.secret, default=None),
            trusted_proxies=reader.get("TRUSTED_PROXIES", environment.proxies, default=()),
            allowed_hosts=reader.get("ALLOWED_HOSTS", environment.names, default=()),
            job_retention_days=reader.get("JOB_RETENTION_DAYS", environment.whole(1, 3650), default=90),
            metrics_networks=reader.get("METRICS_NETWORKS", environment.networks, default=LOOPBACK),
            metrics_token=reader.get("METRICS_TOKEN", environment.strong, default=None),
            alert_webhook_url=reader.get("ALERT_WEBHOOK_URL", environment.webhook_url, default=None),
            alert_telegram_token=reader.get("ALERT_TELEGRAM_TOKEN", environment.bot_token, default=None),
            alert_telegram_chat_id=reader.get("ALERT_TELEGRAM_CHAT_ID", environment.chat_id, default=None),
            alert_telegram_base_url=reader.get("ALERT_TELEGRAM_BASE_URL", environment.base_url, default=TELEGRAM),
            alert_language=reader.get("ALERT_LANGUAGE", environment.language, default="ru"),
        )
        if (settings.alert_telegram_token is None) != (settings.alert_telegram_chat_id is None):
            reader.complain("ALERT_TELEGRAM_TOKEN: set it and ALERT_TELEGRAM_CHAT_ID, or neither")
        if settings.alert_webhook_url and settings.alert_telegram_token:
            reader.complain("ALERT_WEBHOOK_URL: set it or ALERT_TELEGRAM_TOKEN, not both")
        reader.finish()
        return settings
