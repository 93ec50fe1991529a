"""Tells alerts to a webhook or a Telegram chat, for those who have no Prometheus. Off until one of them is set.

Each minute the rows are looked at. What cannot be told now is told a minute later; a dead webhook costs nobody else
anything. One of several daemons tells, by advisory lock.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout
from sqlalchemy import func, select

from photochanger import alerts
from photochanger.alerts import Condition, News
from photochanger.db import UNAVAILABLE, Database
from photochanger.settings import Settings

log = structlog.get_logger()

LOCK = 41_020
EVERY_SECONDS = 60.0
FIRST_SECONDS = 30.0
"""After the start: the others start too, and what is not there yet is no news."""
SEND_SECONDS = 10.0
MOST_CHARACTERS = 4000
"""Telegram takes 4,096."""
LINES: Mapping[str, Mapping[str, str]] = {
    "ru": {
        "begun": "Тревога: {sentence}",
        "again": "Всё ещё, уже {minutes} мин (замечено {times_seen} раз): {sentence}",
        "over": "Прошло, длилось {minutes} мин (замечено {times_seen} раз): {sentence}",
    },
    "en": {
        "begun": "Alert: {sentence}",
        "again": "Still there, for {minutes} min (seen {times_seen} times): {sentence}",
        "over": "Over after {minutes} min (seen {times_seen} times): {sentence}",
    },
}


class Destination(Protocol):
    """Where alerts are told."""

    def message(self, text: str, news: Sequence[News]) -> tuple[str, dict[str, Any]]:
        """Where to post, and what, as JSON."""


@dataclass(frozen=True)
class Webhook:
    """Anybody's address. `text` alone is what Slack's and Mattermost's incoming webhooks take."""

    url: str = field(repr=False)

    def message(self, text: str, news: Sequence[News]) -> tuple[str, dict[str, Any]]:
        """The text, and each alert by itself."""
        return self.url, {"text": text, "alerts": [vars(one) for one in news]}


@dataclass(frozen=True)
class Telegram:
    """A chat, through a bot: https://core.telegram.org/bots/api#sendmessage."""

    base_url: str
    token: str = field(repr=False)
    chat_id: str

    def message(self, text: str, news: Sequence[News]) -> tuple[str, dict[str, Any]]:
        """The text alone, as it is."""
        del news
        return f"{self.base_url}/bot{self.token}/sendMessage", {"chat_id": self.chat_id, "text": text}


def destination(settings: Settings) -> Destination | None:
    """The one that is set."""
    if settings.alert_webhook_url is not None:
        return Webhook(settings.alert_webhook_url)
    if settings.alert_telegram_token is not None and settings.alert_telegram_chat_id is not None:
        base_url = settings.alert_telegram_base_url
        return Telegram(base_url, settings.alert_telegram_token, settings.alert_telegram_chat_id)
    return None


@asynccontextmanager
async def telling(settings: Settings, db: Database) -> AsyncIterator[None]:
    """Tell alerts beside what the block does, if anybody is to be told."""
    where = destination(settings)
    if where is None:
        yield
        return
    async with ClientSession(timeout=ClientTimeout(total=SEND_SECONDS)) as http:
        task = asyncio.create_task(Notifier(db, http, where, settings=settings).run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


class Notifier:
    """Looks each minute, and tells."""

    def __init__(self, db: Database, http: ClientSession, where: Destination, *, settings: Settings) -> None:
        self._db = db
        self._http = http
        self._where = where
        self._language = settings.alert_language
        host = urlsplit(settings.public_base_url or "").hostname
        self._signature = f"PhotoChanger, {host or socket.gethostname()}"
        self._rounds_without_database = 0
        self._outage_told = False

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.sleep(FIRST_SECONDS)
        while True:
            try:
                await self.round()
            except Exception as error:
                log.error("alert_round_failed", exc_info=error)
            await asyncio.sleep(EVERY_SECONDS)

    async def round(self) -> None:
        """One look, and what there is to tell."""
        try:
            await self._tell_of_rows()
        except UNAVAILABLE as error:
            log.warning("alerts_without_rows", error=type(error).__name__)
            self._rounds_without_database += 1
            await self._tell_of_outage()
            return
        if self._outage_told:
            self._outage_told = not await self._sent([self._outage("over")])
        self._rounds_without_database = 0

    async def _tell_of_rows(self) -> None:
        async with self._db.at_once() as alone:
            if not (await alone.execute(select(func.pg_try_advisory_lock(LOCK)))).scalar_one():
                return
            try:
                async with self._db.begin() as conn:
                    now_wrong = await alerts.conditions(conn)
                    news = await alerts.look(conn, now_wrong, language=self._language)
                if news and await self._sent(news):
                    async with self._db.begin() as conn:
                        await alerts.told(conn, news)
            finally:
                await alone.execute(select(func.pg_advisory_unlock(LOCK)))

    async def _tell_of_outage(self) -> None:
        """Without the database nothing can be remembered but here: it is told once, from its second round on."""
        if self._rounds_without_database > 1 and not self._outage_told:
            self._outage_told = await self._sent([self._outage("begun")])

    def _outage(self, state: str) -> News:
        kind, rounds = Condition(kind="database_unavailable"), self._rounds_without_database
        minutes = int(rounds * EVERY_SECONDS / 60)
        return News(
            name=kind.name, state=state, sentence=kind.sentence(self._language), minutes=minutes, times_seen=rounds
        )

    async def _sent(self, news: Sequence[News]) -> bool:
        """Whether it has arrived. Nothing of the address is ever logged: it is as good as a password."""
        lines = [self._signature, *(LINES[self._language][one.state].format(**vars(one)) for one in news)]
        url, document = self._where.message("\n".join(lines)[:MOST_CHARACTERS], news)
        try:
            async with self._http.post(url, json=document, allow_redirects=False) as answer:
                status: int | str = answer.status
        except (ClientError, OSError, ValueError) as error:  # a TimeoutError is an OSError
            status = type(error).__name__
        good = isinstance(status, int) and 200 <= status < 300
        told = {"status": status, "names": [one.name for one in news]}
        if good:
            log.info("alerts_told", **told)
        else:
            log.warning("alerts_not_told", **told)
        return good
