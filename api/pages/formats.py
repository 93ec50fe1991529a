"""Numbers, sizes, moments and durations as people of a language write them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from babel.dates import format_datetime, format_time, format_timedelta, get_timezone_location
from babel.numbers import format_currency, format_decimal
from babel.units import format_unit
from markupsafe import Markup
from starlette.requests import Request

from api.pages.language import marked, words

ZONE_COOKIE = "photochanger_zone"
"""The browser's time zone, as its script tells it; until then the server's own."""
SIZES = (("digital-gigabyte", 1e9), ("digital-megabyte", 1e6), ("digital-kilobyte", 1e3))
RECENT_SECONDS = 45
SMALL = 10
"""Below this a size or a number of seconds has one digit behind the point."""


@dataclass(frozen=True, kw_only=True)
class Formats:
    """For one page: its language, its reader's time zone, and the moment it speaks of as now."""

    language: str
    zone: tzinfo
    now: datetime

    @property
    def _space(self) -> str:
        return "" if self.language == "en" else "\xa0"

    def number(self, value: float) -> str:
        """`15 234`."""
        return format_decimal(value, locale=self.language)

    def percent(self, share: float) -> str:
        """A share from 0 to 1 as `99,2 %`; what is not quite all never reads as 100."""
        shown = 100.0 if share >= 1 else min(round(share * 100, 1), 99.9)
        return f"{self.number(shown)}{self._space}%"

    def size(self, count: float) -> str:
        """Bytes as `1,5 МБ`."""
        unit, size = next(((unit, size) for unit, size in SIZES if count >= size), ("digital-byte", 1.0))
        value = round(count / size, 1 if count / size < SMALL else None)
        return format_unit(value, unit, "short", locale=self.language).replace(" ", "\xa0")

    def seconds(self, value: float) -> str:
        """`8,4 с`."""
        shown = self.number(round(value, 1 if value < SMALL else None))
        return f"{shown}\xa0{'с' if self.language == 'ru' else 's'}"

    def money(self, dollars: float) -> str:
        """US dollars; parts of a cent where they matter."""
        pattern = {"en": "¤#,##0.00##", "ru": "#,##0.00##\xa0¤"}[self.language]
        shown = round(dollars, 2) if dollars >= 1 else dollars
        return format_currency(shown, "USD", format=pattern, currency_digits=False, locale=self.language)

    def moment(self, value: datetime) -> str:
        """Date and time to the second, for the reader's zone."""
        return format_datetime(value, "d MMMM y, HH:mm:ss", tzinfo=self.zone, locale=self.language)

    def clock(self, value: datetime) -> Markup:
        """The time of day as a `<time>`, with the date on hover."""
        return self._time(value, format_time(value, "HH:mm", tzinfo=self.zone, locale=self.language))

    def when(self, value: datetime) -> Markup:
        """The time to the second, with the day where it is not today's, as a `<time>`."""
        today = value.astimezone(self.zone).date() == self.now.astimezone(self.zone).date()
        pattern = "HH:mm:ss" if today else "d MMM, HH:mm:ss"
        return self._time(value, format_datetime(value, pattern, tzinfo=self.zone, locale=self.language))

    def ago(self, value: datetime) -> Markup:
        """`4 мин назад`, or `через 2 ч`, as a `<time>` with the exact moment on hover."""
        return self._time(value, self.ago_text(value))

    def ago_text(self, value: datetime) -> str:
        """The same as text alone."""
        seconds = (value - self.now).total_seconds()
        if -RECENT_SECONDS < seconds <= 1:
            return words(self.language).ugettext(marked("just now"))
        shown = format_timedelta(
            timedelta(seconds=seconds), add_direction=True, format="short", threshold=0.95, locale=self.language
        )
        return shown.replace(". ", " ")

    def span(self, seconds: float) -> str:
        """A length of time in words, to its largest unit: `2 дня`."""
        return format_timedelta(timedelta(seconds=seconds), format="long", threshold=1.0, locale=self.language)

    def day(self, value: datetime) -> str:
        """`сб, 21 нояб.`, for the reader's zone."""
        return format_datetime(value, "EEE, d MMM", tzinfo=self.zone, locale=self.language)

    def between(self, start: datetime, until: datetime) -> str:
        """`21 ноября, 13:42 – 14:42`; with both dates, and their years, where they differ."""
        first, last = start.astimezone(self.zone), until.astimezone(self.zone)
        whole = "d MMMM, HH:mm" if first.year == last.year else "d MMMM y, HH:mm"
        shown = [format_datetime(first, whole, tzinfo=self.zone, locale=self.language)]
        end = "HH:mm" if first.date() == last.date() else whole
        shown.append(format_datetime(last, end, tzinfo=self.zone, locale=self.language))
        return " – ".join(shown)

    @property
    def zone_name(self) -> str:
        """`Москва, UTC+3`: whose clock the page's times are read from."""
        minutes = int((self.now.astimezone(self.zone).utcoffset() or timedelta()).total_seconds() // 60)
        hours, rest = divmod(abs(minutes), 60)
        offset = f"UTC{'+' if minutes > 0 else '−'}{hours}{f':{rest:02}' if rest else ''}" if minutes else "UTC"
        key = self.zone.key if isinstance(self.zone, ZoneInfo) else ""
        if "/" not in key or key.startswith("Etc/"):
            return offset
        return f"{get_timezone_location(self.zone, locale=self.language, return_city=True)}, {offset}"

    def _time(self, value: datetime, shown: str) -> Markup:
        machine = value.astimezone(UTC).isoformat(timespec="seconds")
        return Markup('<time datetime="{}" title="{}">{}</time>').format(machine, self.moment(value), shown)


def zone_of(request: Request) -> tzinfo:
    """The reader's time zone."""
    name = request.cookies.get(ZONE_COOKIE, "")
    if name:
        try:
            return ZoneInfo(name)
        except (KeyError, OSError, ValueError):
            pass
    return datetime.now().astimezone().tzinfo or UTC
