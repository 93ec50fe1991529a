"""The pages' words: both languages have all of them, and no others; numbers and times as people write them."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest

from api.pages.formats import Formats
from api.pages.language import LANGUAGES, words
from tests.catalogue import kept, used

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def formats(language: str) -> Formats:
    return Formats(language=language, zone=ZoneInfo("Europe/Moscow"), now=NOW)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_is_translated_and_none_is_left_over(language: str) -> None:
    catalogue = kept(language)
    assert {message.id for message in catalogue if message.id} == {message.id for message in used() if message.id}
    for message in catalogue:
        if message.id:
            texts = [message.string] if isinstance(message.string, str) else list(message.string or [])
            assert texts, message.id
            assert all(texts), message.id
            assert not list(message.check(catalogue)), message.id


def test_the_pages_say_something() -> None:
    assert len([message for message in used() if message.id]) > 100


@pytest.mark.parametrize(
    ("count", "said"),
    [(1, "1 слот"), (2, "2 слота"), (5, "5 слотов"), (11, "11 слотов"), (21, "21 слот"), (104, "104 слота")],
)
def test_russian_has_three_plurals(count: int, said: str) -> None:
    assert words("ru").ungettext("%(count)s slot", "%(count)s slots", count) % {"count": count} == said


@pytest.mark.parametrize(
    ("language", "seconds", "said"),
    [
        ("ru", -240, "4 мин назад"),
        ("ru", -7 * 3600, "7 ч назад"),
        ("en", -240, "4 min ago"),
        ("ru", 47 * 3600, "через 2 дн."),
    ],
)
def test_times_are_relative_with_the_exact_one_on_hover(language: str, seconds: int, said: str) -> None:
    then = NOW + timedelta(seconds=seconds)
    shown = formats(language).ago(then)
    assert f">{said}</time>" in shown
    assert f'datetime="{then.isoformat()}"' in shown
    assert f'{then.astimezone(ZoneInfo("Europe/Moscow")):%H:%M:%S}"' in shown


def test_numbers_sizes_and_money_are_as_in_the_language() -> None:
    russian, english = formats("ru"), formats("en")
    assert russian.number(15234.5) == "15\xa0234,5"
    assert english.number(15234.5) == "15,234.5"
    assert (russian.size(1_536_000), english.size(1_536_000)) == ("1,5\xa0МБ", "1.5\xa0MB")
    assert (russian.seconds(8.42), english.seconds(48.4)) == ("8,4\xa0с", "48\xa0s")
    assert (russian.money(0.0336), english.money(0.0336)) == ("0,0336\xa0$", "$0.0336")
    assert (russian.money(0), english.money(1234.5)) == ("0,00\xa0$", "$1,234.50")


@pytest.mark.parametrize(
    ("zone", "hours", "russian", "english"),
    [
        ("Europe/Moscow", 1, "21 ноября, 11:30 – 12:30", "21 November, 11:30 – 12:30"),
        ("Europe/Moscow", 24, "20 ноября, 12:30 – 21 ноября, 12:30", "20 November, 12:30 – 21 November, 12:30"),
        ("Pacific/Auckland", 1, "21 ноября, 21:30 – 22:30", "21 November, 21:30 – 22:30"),
        (
            "UTC",
            24 * 365,
            "21 ноября 2025, 09:30 – 21 ноября 2026, 09:30",
            "21 November 2025, 09:30 – 21 November 2026, 09:30",
        ),
    ],
)
def test_a_stretch_of_time_names_each_date_once(zone: str, hours: int, russian: str, english: str) -> None:
    for language, said in (("ru", russian), ("en", english)):
        told = Formats(language=language, zone=ZoneInfo(zone), now=NOW)
        assert told.between(NOW - timedelta(hours=hours), NOW) == said


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        (ZoneInfo("Europe/Moscow"), "Москва, UTC+3"),
        (ZoneInfo("America/St_Johns"), "Сент-Джонс, UTC−3:30"),
        (ZoneInfo("Etc/GMT-5"), "UTC+5"),
        (ZoneInfo("UTC"), "UTC"),
        (timezone(timedelta(hours=5, minutes=45)), "UTC+5:45"),
    ],
)
def test_a_clock_says_where_it_hangs(zone: tzinfo, said: str) -> None:
    assert Formats(language="ru", zone=zone, now=NOW).zone_name == said


@pytest.mark.parametrize(("share", "said"), [(1, "100%"), (0.99999, "99.9%"), (0.5, "50%"), (0.0, "0%")])
def test_almost_all_is_not_all(share: float, said: str) -> None:
    assert formats("en").percent(share) == said
