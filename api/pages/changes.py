"""Who changed what, in the page's language: the audit's lines (photochanger/audit.py) as half a sentence each, which
the administrator's name begins.

An event or a field of another release is shown by its own name.
"""

import json
import re
from typing import Any

from api.pages.fields import LABELS
from api.pages.language import marked, words
from photochanger.audit import AuditLine

EVENTS = {
    "slot_saved": marked("saved the slot"),
    "slot_restored": marked("restored a version of the slot"),
    "slot_copied": marked("copied a slot's settings"),
    "slot_tested": marked("made a test run"),
    "job_replayed": marked("ran a photo again"),
    "setting_changed": marked("changed a setting"),
    "ingest_password_rotated": marked("changed the ingest password"),
    "provider_key_stored": marked("stored a provider's key"),
    "provider_key_removed": marked("removed a provider's key"),
    "provider_check_requested": marked("had a provider's key checked"),
    "purge_requested": marked("asked for a cleanup"),
    "template_registered": marked("added a template picture"),
    "template_deleted": marked("deleted a template picture"),
    "upload_registered": marked("uploaded a picture"),
    "result_deleted": marked("deleted a result"),
    "session_ended": marked("ended a session"),
    "secrets_rotated": marked("encrypted the secrets anew"),
    "password_set": marked("gave an account a new password"),
    "account_removed": marked("removed an account"),
    "account_unlocked": marked("unlocked an account"),
    "auth.login.success": marked("logged in"),
    "auth.login.failure": marked("failed to log in"),
    "logged_out": marked("logged out"),
}
FIELDS = {
    "display_name": marked("name"),
    "provider": marked("provider"),
    "operation": marked("operation"),
    "is_active": marked("on or off"),
    "size_limit_mb": marked("limit of size, MB"),
    "sync_response_seconds": marked("deadline, s"),
    "ingest_password": marked("password"),
    "fallback": marked("fallback"),
    "template_media": marked("template pictures"),
    "result_ttl_hours": marked("life of results, h"),
    "ingest.hash_check": marked("check of the hash"),
    "photos_in_work_per_slot": marked("photos in work per slot"),
    "gallery_size": marked("photos in a gallery"),
    "ingest_password_grace_minutes": marked("grace of the old password, min"),
    "providers.budgets": marked("monthly budgets"),
}
LIMITS = {
    "in_flight": marked("calls at once"),
    "per_minute": marked("calls a minute"),
    "per_day": marked("calls a day"),
}
VALUES = {
    "reject": marked("refuse"),
    "warn": marked("only warn"),
    "off": marked("off"),
    "true": marked("yes"),
    "false": marked("no"),
}
SHOWN = ("slot", "provider", "account", "title")
"""What a line is about, by the names in its details."""
UNKNOWN_NAME = re.compile(r"(?P<start>.*)… \((?P<count>\d+) characters\)", re.DOTALL)
"""What is kept of a name that no account has (api/login.py)."""
LONGEST_VALUE = 80


def who(actor: str, *, language: str) -> str:
    """The administrator, or what is kept of a name that is none's."""
    unknown = UNKNOWN_NAME.fullmatch(actor)
    if unknown is None:
        return actor
    count = int(unknown["count"])
    told = words(language).ungettext("%(count)s character", "%(count)s characters", count) % {"count": count}
    return f"{unknown['start']}… ({told})"


def done(line: AuditLine, *, language: str) -> str:
    """What was done, to what, and how: plain text, not yet escaped."""
    told, details = words(language).ugettext, line.details
    parts = [told(EVENTS[line.event]) if line.event in EVENTS else line.event]
    parts += [str(details[name]) for name in SHOWN if details.get(name)]
    if setting := details.get("setting"):
        old, new = (_value(details.get(name), language=language) for name in ("old", "new"))
        parts.append(f"{field_word(str(setting), language=language)}: {old} → {new}")
    if changed := details.get("changed"):
        parts.append(f"({', '.join(field_word(str(name), language=language) for name in changed)})")
    return " ".join(parts)


def field_word(name: str, *, language: str) -> str:
    """A field of a slot, or a setting, in words."""
    told = words(language).ugettext
    head, _, inner = name.partition(".")
    if head == "settings" and inner in LABELS:
        return str(told(LABELS[inner].word)).lower()
    if head == "provider_limits" and inner.count(".") == 1:
        provider, limit = inner.split(".")
        return f"{provider}: {told(LIMITS[limit])}" if limit in LIMITS else name
    return str(told(FIELDS[name])) if name in FIELDS else name


def _value(value: Any, *, language: str) -> str:
    if value is None:
        return "—"
    spelled = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    known = VALUES.get(spelled)
    return str(words(language).ugettext(known)) if known else spelled[:LONGEST_VALUE]
