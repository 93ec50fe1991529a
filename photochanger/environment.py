"""How a text of the environment becomes a value: the reader, and a parser for each kind of value.

A parser raises `ValueError` with what the value must be, as the end of a sentence that begins with its name. It never
repeats the value, which may be a secret.
"""

import json
import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from photochanger.errors import ConfigurationError
from photochanger.passwords import weakness
from photochanger.resources import folder

T = TypeVar("T")
Network = IPv4Network | IPv6Network


class Environment:
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
        """Add what is wrong between values that are right by themselves: a sentence that begins with a name."""
        self._mistakes.append(mistake)

    def finish(self) -> None:
        """Raises `ConfigurationError` with every mistake there was."""
        if self._mistakes:
            raise ConfigurationError(self._mistakes)


def _providers() -> list[str]:
    """The names in providers.json. None while it cannot be read: `providers.load` tells why."""
    try:
        return list(json.loads((folder("configs") / "providers.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return []


def absolute_path(text: str) -> Path:
    """A path; `~` is the home of whoever runs this."""
    return Path(text).expanduser().absolute()


def secret(text: str) -> str:
    """One line."""
    if any(ord(character) < 32 for character in text):
        raise ValueError("must be one line without control characters")
    return text


def strong(text: str) -> str:
    """A key of ours: it cannot be guessed."""
    if len(secret(text)) < 32 or len(set(text)) < 8:
        raise ValueError("must be random, of at least 32 characters")
    return text


def strong_password(text: str) -> str:
    """A password by the accounts' own rule."""
    if sentence := weakness(secret(text).encode()):
        raise ValueError(sentence)
    return text


def proxies(text: str) -> tuple[str, ...]:
    """Addresses and networks. Whoever is trusted says who its clients are: everybody cannot be meant."""
    if any(network.prefixlen == 0 for network in networks(text)):
        raise ValueError("must not be everybody")
    return names(text)


def names(text: str) -> tuple[str, ...]:
    """Names with commas between, in lower case."""
    return tuple(name.strip().lower() for name in text.split(",") if name.strip())


def networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks with commas between."""
    try:
        return tuple(ip_network(name.strip()) for name in text.split(",") if name.strip())
    except ValueError:
        raise ValueError("must be addresses or networks like 10.0.0.0/8, with commas between") from None


def webhook_url(text: str) -> str:
    """An address that may hold a secret in its query."""
    base_url(text.partition("?")[0])
    return secret(text)


def bot_token(text: str) -> str:
    """A Telegram bot's token."""
    if not re.fullmatch(r"[0-9]{1,20}:[A-Za-z0-9_-]{20,100}", text):
        raise ValueError("must look like 123456:AAE…, as BotFather tells it")
    return text


def chat_id(text: str) -> str:
    """A Telegram chat's number, or a channel's name."""
    if not re.fullmatch(r"-?[0-9]{1,20}|@[A-Za-z0-9_]{1,64}", text):
        raise ValueError("must be a number, or a channel's @name")
    return text


def language(text: str) -> str:
    """One that alerts are written in."""
    if text not in {"ru", "en"}:
        raise ValueError("must be ru or en")
    return text


def database_url(text: str) -> str:
    """A PostgreSQL server's address."""
    parts = urlsplit(text)
    if parts.scheme not in {"postgresql", "postgres"}:
        raise ValueError("must look like postgresql://user:password@host/database")
    return text


def base_url(text: str) -> str:
    """An address to which paths are added, without the last slash."""
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


def whole(least: int, most: int) -> Callable[[str], int]:
    """Whole numbers within bounds."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return parse


def number(least: float, most: float) -> Callable[[str], float]:
    """Numbers within bounds."""

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
