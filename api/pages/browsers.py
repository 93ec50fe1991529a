"""Which browser a session belongs to, as people call it: enough to tell one's phone from the studio's computer."""

import re

BROWSERS = (
    (re.compile(r"YaBrowser/"), "Yandex Browser"),
    (re.compile(r"Edg(?:e|A|iOS)?/"), "Edge"),
    (re.compile(r"OPR/|Opera"), "Opera"),
    (re.compile(r"SamsungBrowser/"), "Samsung Internet"),
    (re.compile(r"Firefox/|FxiOS/"), "Firefox"),
    (re.compile(r"Chrome/|CriOS/|Chromium/"), "Chrome"),
    (re.compile(r"Safari/"), "Safari"),
)
"""The first that fits: most of them name Chrome and Safari, too."""
SYSTEMS = (
    (re.compile(r"iPhone|iPad"), "iOS"),
    (re.compile(r"Android"), "Android"),
    (re.compile(r"Windows"), "Windows"),
    (re.compile(r"Mac OS X|Macintosh"), "macOS"),
    (re.compile(r"Linux|X11"), "Linux"),
)
LONGEST = 40


def called(user_agent: str | None) -> str:
    """`Firefox, Windows`; of a program the beginning of what it calls itself; empty where it says nothing."""
    told = user_agent or ""
    browser = next((name for pattern, name in BROWSERS if pattern.search(told)), None)
    system = next((name for pattern, name in SYSTEMS if pattern.search(told)), None)
    if browser is None:
        return told.partition(" ")[0][:LONGEST]
    return f"{browser}, {system}" if system else browser
