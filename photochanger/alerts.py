"""What is wrong enough to wake somebody, as the rows tell it; and what of it was told already.

    not there --seen--> to be told --told--> known --each hour--> told again
                                               '--not seen for 5 minutes--> told that it is over --> not there

What comes and goes within minutes (a circuit that probes) is one alert that lasts. The same conditions stand in
deploy/prometheus/rules.yml for those who have Prometheus.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from photochanger import app_settings, vitals
from photochanger.tables import alert
from photochanger.vitals import Vitals

WINDOW_MINUTES = 15
LEAST_PHOTOS = 10
"""Shares of fewer photos than that are no news."""
TIMEOUT_SHARE = 0.05
FAILURE_SHARE = 0.10
SLOW_SHARE = 0.8
"""Of the time there is for an answer."""
DISK_SHARE = 0.8
CLEANUP_SECONDS = 1800.0
QUEUE_SECONDS = 10.0
AGAIN_AFTER = timedelta(hours=1)
OVER_AFTER = timedelta(minutes=5)

SENTENCES: Mapping[str, Mapping[str, str]] = {
    "ru": {
        "timeouts": "Не успели к сроку {share} % фото за 15 минут ({count} из {photos}).",
        "failures": "{share} % фото за 15 минут кончились ошибкой 500 или 504 ({count} из {photos}).",
        "slow": "Медленно: каждое двадцатое фото ждут дольше {seconds} с, а есть {limit} с.",
        "disk": "Диск занят на {share} %.",
        "no_cleanup": "Очистка не проходила уже {minutes} мин.",
        "no_runner": "Ни один обработчик (runner) не отзывается: фото никто не обрабатывает.",
        "queue_age": "Очередь стоит: самое старое фото ждёт {seconds} с.",
        "circuit_open": "Провайдер {provider} ({model}) не отвечает: {failures} отказов подряд.",
        "key_rejected": "Провайдер {provider} не принимает наш ключ.",
        "database_unavailable": "База данных не отвечает: фото не принимаются.",
    },
    "en": {
        "timeouts": "{share} % of the photos of 15 minutes were late ({count} of {photos}).",
        "failures": "{share} % of the photos of 15 minutes ended with 500 or 504 ({count} of {photos}).",
        "slow": "Slow: every twentieth photo takes longer than {seconds} s, and there are {limit} s.",
        "disk": "The disk is {share} % full.",
        "no_cleanup": "No cleanup was through for {minutes} min.",
        "no_runner": "No runner is alive: nobody changes photos.",
        "queue_age": "The queue stands still: the oldest photo has waited for {seconds} s.",
        "circuit_open": "Provider {provider} ({model}) does not answer: {failures} failures in a row.",
        "key_rejected": "Provider {provider} does not accept our key.",
        "database_unavailable": "The database does not answer: no photo gets in.",
    },
}


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Something that is wrong now. `subject` tells several of a kind apart; `facts` fill its sentence."""

    kind: str
    subject: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What it is known by: `disk`, `circuit_open:gemini:gemini-nano-banana-2.1`."""
        return f"{self.kind}:{self.subject}" if self.subject else self.kind

    def sentence(self, language: str) -> str:
        """For people."""
        return SENTENCES[language][self.kind].format(**self.facts)


async def conditions(conn: AsyncConnection) -> list[Condition]:
    """Everything that is wrong now."""
    admin = await app_settings.load(conn, result_ttl_hours=1)
    recent = (await conn.execute(_RECENT)).one()
    refused = (await conn.execute(_KEY_REFUSED)).scalars().all()
    found = await vitals.read(conn)
    return [*_of_photos(recent, limit=admin.sync_response_seconds), *_of_vitals(found), *_of_keys(found, refused)]


_RECENT = text(
    "SELECT count(*) AS photos, count(*) FILTER (WHERE status = 'timeout') AS late,"
    " count(*) FILTER (WHERE status = 'timeout' OR failure_reason IN ('internal_error', 'media_lost')) AS failed,"
    " (percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - job.created_at))"
    " FILTER (WHERE status = 'done'))::float8 AS slow_seconds"
    " FROM job_input JOIN job USING (job_id)"
    " WHERE job_input.created_at > now() - interval '15 minutes' AND source = 'ingest'"
    " AND status IN ('done', 'failed', 'timeout')"
)
_KEY_REFUSED = text(
    "SELECT DISTINCT job_attempt.provider FROM job_input JOIN job_attempt USING (job_id)"
    " WHERE job_input.created_at > now() - interval '15 minutes' AND job_attempt.outcome = 'auth'"
)


def _of_photos(recent: Any, *, limit: int) -> list[Condition]:
    if recent.photos < LEAST_PHOTOS:
        return []
    found = []
    for kind, count, most in (("timeouts", recent.late, TIMEOUT_SHARE), ("failures", recent.failed, FAILURE_SHARE)):
        if count > most * recent.photos:
            facts = {"share": round(100 * count / recent.photos), "count": count, "photos": recent.photos}
            found.append(Condition(kind=kind, facts=facts))
    if recent.slow_seconds is not None and recent.slow_seconds > SLOW_SHARE * limit:
        found.append(Condition(kind="slow", facts={"seconds": round(recent.slow_seconds), "limit": limit}))
    return found


def _of_vitals(found: Vitals) -> list[Condition]:
    wrong = []
    used, swept = found.disk_used_share(), found.swept_seconds_ago(full=True)
    if used is not None and used > DISK_SHARE:
        wrong.append(Condition(kind="disk", facts={"share": round(100 * used)}))
    if swept is not None and swept > CLEANUP_SECONDS:
        wrong.append(Condition(kind="no_cleanup", facts={"minutes": round(swept / 60)}))
    if not found.runners:
        wrong.append(Condition(kind="no_runner"))
    queued = max((one.oldest_seconds for one in found.jobs if one.status == "queued"), default=0.0)
    if queued > QUEUE_SECONDS:
        wrong.append(Condition(kind="queue_age", facts={"seconds": round(queued)}))
    for one in found.circuits:
        if one.is_open:
            facts = {"provider": one.provider, "model": one.model, "failures": one.failures_in_row}
            wrong.append(Condition(kind="circuit_open", subject=f"{one.provider}:{one.model}", facts=facts))
    return wrong


def _of_keys(found: Vitals, refused: Sequence[str]) -> list[Condition]:
    providers = {*refused, *(key.provider for key in found.keys if not key.good)}
    return [
        Condition(kind="key_rejected", subject=provider, facts={"provider": provider}) for provider in sorted(providers)
    ]


@dataclass(frozen=True, kw_only=True)
class News:
    """One thing to tell: it has `begun`, is there `again` (still), or is `over`."""

    name: str
    state: str
    sentence: str
    minutes: int
    """Since it began."""
    times_seen: int
    """How many looks have found it."""


async def look(conn: AsyncConnection, now_wrong: Sequence[Condition], *, language: str) -> list[News]:
    """Note what is wrong now; what there is to tell. In a transaction."""
    for condition in now_wrong:
        row = insert(alert).values(name=condition.name, sentence=condition.sentence(language))
        seen = {"seen_at": func.now(), "times_seen": alert.c.times_seen + 1, "sentence": row.excluded.sentence}
        await conn.execute(row.on_conflict_do_update(index_elements=[alert.c.name], set_=seen))
    over = alert.c.seen_at < func.now() - OVER_AFTER
    await conn.execute(delete(alert).where(over, alert.c.told_at.is_(None)))  # nobody has heard that it began
    minutes = func.floor(func.extract("epoch", func.now() - alert.c.since) / 60).label("minutes")
    due = {
        "over": over,
        "begun": alert.c.told_at.is_(None),
        "again": (alert.c.told_at < func.now() - AGAIN_AFTER) & (alert.c.seen_at == func.now()),
    }
    news = []
    for state, which in due.items():
        query = select(alert.c.name, alert.c.sentence, alert.c.times_seen, minutes).where(which)
        news += [
            News(**{**row._mapping, "minutes": int(row.minutes)}, state=state)  # noqa: SLF001
            for row in await conn.execute(query.order_by(alert.c.since, alert.c.name))
        ]
    return news


async def told(conn: AsyncConnection, news: Sequence[News]) -> None:
    """All of this was told just now."""
    over = [one.name for one in news if one.state == "over"]
    await conn.execute(delete(alert).where(alert.c.name.in_(over)))
    others = [one.name for one in news if one.state != "over"]
    await conn.execute(update(alert).where(alert.c.name.in_(others)).values(told_at=func.now()))
