"""Every event that is recorded of an administrator has words: among the changes, or in a photo's way."""

import re
from pathlib import Path

from api.pages.looks import MOMENTS
from api.pages.setting_words import EVENTS, NO_CHANGES

ROOT = Path(__file__).resolve().parent.parent
RECORDED = re.compile(r"audit\.record\(\s*conn,\s*\"([a-z_.]+)\"|event(?:: str)?\s*=\s*\"([a-z_]+)\"")


def recorded() -> set[str]:
    """What the code gives to `audit.record`, or to what calls it."""
    files = [file for part in ("api", "photochanger") for file in (ROOT / part).rglob("*.py")]
    calling = [source for file in files if "audit.record(" in (source := file.read_text()) or "take_in(" in source]
    return {name for source in calling for pair in RECORDED.findall(source) for name in pair if name}


def test_every_recorded_event_has_its_words() -> None:
    found = recorded()
    assert {"slot_saved", "job_replayed", "slot_tested", "auth.login.failure", "account_unlocked"} <= found
    assert found - EVENTS.keys() - set(NO_CHANGES) - MOMENTS.keys() == set()
