"""What is asked of the statistics: which time, in which zone. A parameter that is empty counts as not given."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from starlette.requests import Request

from photochanger.errors import Failure, Refusal
from photochanger.slots import SLOT_ID

USUAL_MINUTES = 60
LEAST_MINUTES, MOST_MINUTES = 5, 43_200
MOST_DAYS = 366
USUAL_EXPORT_DAYS = 30
MOST_EXPORT_DAYS = 3_660
WHOLE = re.compile(r"[0-9]{1,6}")
DAY = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}")
ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")
DECIMALS = ("point", "comma")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The last so many minutes."""

    minutes: int
    zone: ZoneInfo


@dataclass(frozen=True, kw_only=True)
class AskedDays:
    """Days of a zone, the last one included."""

    first: date
    last: date
    zone: ZoneInfo
    decimal: str
    """`point` or `comma`."""
    slot_id: str | None
    """None: all."""


def asked(request: Request) -> Asked:
    """`window_minutes` or `days`, and `tz`. Raises `Refusal` (`validation_failed`) naming each field."""
    given, wrong = _given(request), dict[str, str]()
    zone = _zone(given, wrong)
    minutes = USUAL_MINUTES
    if "days" in given and "window_minutes" in given:
        wrong["days"] = "Only one of window_minutes and days can be asked for."
    elif "days" in given:
        minutes = _whole(given, "days", 1, MOST_DAYS, wrong) * 24 * 60
    elif "window_minutes" in given:
        minutes = _whole(given, "window_minutes", LEAST_MINUTES, MOST_MINUTES, wrong)
    _refuse(wrong)
    return Asked(minutes=minutes, zone=zone)


def asked_days(request: Request, *, now: datetime) -> AskedDays:
    """`from`, `to`, `tz`, `decimal`, `slot_id`; without them the 30 days up to today. Raises `Refusal` like `asked`."""
    given, wrong = _given(request), dict[str, str]()
    zone = _zone(given, wrong)
    last = _day(given, "to", now.astimezone(zone).date(), wrong)
    first = _day(given, "from", last - timedelta(days=USUAL_EXPORT_DAYS - 1), wrong)
    if not wrong and first > last:
        wrong["from"] = "The first day comes after the last one."
    if not wrong and (last - first).days >= MOST_EXPORT_DAYS:
        wrong["from"] = f"At most {MOST_EXPORT_DAYS} days can be asked for."
    decimal = given.get("decimal", DECIMALS[0])
    if decimal not in DECIMALS:
        wrong["decimal"] = f"It must be one of: {', '.join(DECIMALS)}."
    slot_id = given.get("slot_id")
    if slot_id is not None and not SLOT_ID.fullmatch(slot_id):
        wrong["slot_id"] = "It must be slot-001 to slot-015."
    _refuse(wrong)
    return AskedDays(first=first, last=last, zone=zone, decimal=decimal, slot_id=slot_id)


def _given(request: Request) -> Mapping[str, str]:
    return {name: value for name, value in request.query_params.items() if value}


def _refuse(wrong: Mapping[str, str]) -> None:
    if wrong:
        raise Refusal(Failure.VALIDATION_FAILED, facts={"fields": wrong})


def _whole(given: Mapping[str, str], name: str, least: int, most: int, wrong: dict[str, str]) -> int:
    value = given[name]
    if not WHOLE.fullmatch(value) or not least <= int(value) <= most:
        wrong[name] = f"It must be a whole number from {least} to {most}."
        return least
    return int(value)


def _day(given: Mapping[str, str], name: str, usual: date, wrong: dict[str, str]) -> date:
    if name not in given:
        return usual
    try:
        if DAY.fullmatch(given[name]):
            return date.fromisoformat(given[name])
    except ValueError:
        pass
    wrong[name] = "It must be a day like 2026-11-06."
    return usual


def _zone(given: Mapping[str, str], wrong: dict[str, str]) -> ZoneInfo:
    name = given.get("tz", "UTC")
    try:
        if ZONE.fullmatch(name):
            return ZoneInfo(name)
    except (ValueError, LookupError, OSError):
        pass
    wrong["tz"] = "There is no such time zone; an IANA name like Europe/Moscow is wanted."
    return ZoneInfo("UTC")
