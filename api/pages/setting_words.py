"""Who changed what, in words: the lines of the audit as a person reads them, with names instead of codes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.pages.fields import LABELS
from api.pages.formats import Formats
from api.pages.language import marked, words
from photochanger import budgets
from photochanger.audit import AuditLine
from photochanger.providers import Providers

EVENTS = {
    "slot_saved": marked("saved the slot"),
    "slot_restored": marked("restored a version of the slot"),
    "slot_copied": marked("copied a slot's settings"),
    "setting_changed": marked("changed a setting"),
    "ingest_password_rotated": marked("changed the ingest password"),
    "provider_key_stored": marked("stored a provider's key"),
    "provider_key_removed": marked("removed a provider's key"),
    "provider_check_requested": marked("had a provider's key checked"),
    "purge_requested": marked("asked for a cleanup"),
    "template_registered": marked("added a template picture"),
    "template_deleted": marked("deleted a template picture"),
    "upload_registered": marked("uploaded a picture"),
    "session_ended": marked("ended a session"),
    "sessions_ended": marked("ended all other sessions"),
    "secrets_rotated": marked("encrypted the secrets anew"),
    "password_set": marked("set an administrator's password"),
    "account_removed": marked("removed an administrator"),
    "account_unlocked": marked("let an administrator in again"),
    "address_unlocked": marked("let an address in again"),
}
NO_CHANGES = ("auth.login.success", "auth.login.failure", "logged_out")
"""Who comes and goes is told elsewhere, and would push all else off the list."""
ACTORS = {
    "console": marked("the server's console"),
    "command": marked("the server's console"),
    "first start": marked("the first start"),
}
SETTINGS = {
    "sync_response_seconds": marked("Answer within"),
    "result_ttl_hours": marked("Results are kept"),
    "ingest.hash_check": marked("Hash of the photo"),
    "photos_in_work_per_slot": marked("Photos in work per slot"),
    "gallery_size": marked("Photos in a gallery"),
    "ingest_password_grace_minutes": marked("The old password still counts"),
    budgets.NAME: marked("Monthly budget"),
}
HASH_CHECKS = {
    "reject": marked("must be right"),
    "warn": marked("is checked, and only noted"),
    "off": marked("is not looked at"),
}
LIMIT_WORDS = {
    "in_flight": marked("Calls at once"),
    "per_minute": marked("Calls a minute"),
    "per_day": marked("Calls a day"),
}
SLOT_FIELDS = {
    "display_name": marked("Title"),
    "provider": marked("Provider"),
    "operation": marked("What it does"),
    "is_active": marked("Switched on"),
    "size_limit_mb": marked("Largest photo, MB"),
    "sync_response_seconds": marked("Answer within"),
    "fallback": marked("When the provider fails"),
    "template_media": marked("Pictures"),
    "ingest_password": marked("Own ingest password"),
}


@dataclass(frozen=True, kw_only=True)
class Change:
    """One field, before and after."""

    word: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing that somebody did. `href`: where to look at it now."""

    at: datetime
    actor: str
    what: str
    about: str
    href: str | None
    changes: list[Change]
    fields: list[str]


@dataclass(frozen=True, kw_only=True)
class Teller:
    """Tells lines in the language of `formats`."""

    formats: Formats
    providers: Providers
    slot_names: Mapping[str, str]

    def line(self, line: AuditLine) -> Line:
        """This one, as far as it can be told: an event of another release keeps its name."""
        told, slot = line.details, line.details.get("slot")
        fields = told.get("changed") or []
        return Line(
            at=line.at,
            actor=self.actor(line.actor),
            what=self._say(EVENTS.get(line.event, line.event)),
            about=self._about(told),
            href=f"/slots/{slot}" if slot in self.slot_names else None,
            changes=self._changes(told) if line.event == "setting_changed" else [],
            fields=[self._field(name) for name in fields if isinstance(name, str)],
        )

    def actor(self, name: str) -> str:
        """An account, or what has acted instead of one."""
        return self._say(ACTORS[name]) if name in ACTORS else name

    def value(self, setting: str, value: Any) -> str:
        """A setting's value with its unit."""
        if value is None:
            return self._say(marked("by default"))
        units: Mapping[str, Callable[[], str]] = {
            "sync_response_seconds": lambda: self.formats.seconds(value),
            "result_ttl_hours": lambda: self._say(marked("%(count)s h")) % {"count": value},
            "ingest_password_grace_minutes": lambda: self._say(marked("%(count)s min")) % {"count": value},
            "ingest.hash_check": lambda: self._say(HASH_CHECKS.get(value, str(value))),
        }
        return units[setting]() if setting in units else str(value)

    def _changes(self, told: Mapping[str, Any]) -> list[Change]:
        setting, old, new = told["setting"], told.get("old"), told.get("new")
        if setting == budgets.NAME:
            names = [name for name in {**(old or {}), **(new or {})} if (old or {}).get(name) != (new or {}).get(name)]
            return [
                Change(
                    word=f"{self._say(SETTINGS[setting])}, {self._title(name)}",
                    old=self._budget((old or {}).get(name)),
                    new=self._budget((new or {}).get(name)),
                )
                for name in names
            ]
        return [Change(word=self._setting(setting), old=self.value(setting, old), new=self.value(setting, new))]

    def _setting(self, setting: str) -> str:
        """Its word; the setting of another release keeps its name."""
        group, _, inner = setting.partition(".")
        provider, _, limit = inner.partition(".")
        if group == "provider_limits" and limit in LIMIT_WORDS:
            return f"{self._say(LIMIT_WORDS[limit])}, {self._title(provider)}"
        return self._say(SETTINGS.get(setting, setting))

    def _budget(self, budget: Mapping[str, Any] | None) -> str:
        if not budget:
            return self._say(marked("none"))
        amount = self.formats.money(budget["usd_per_month"])
        return f"{amount}, {self._say(marked('then nothing more is bought'))}" if budget.get("stop") else amount

    def _about(self, told: Mapping[str, Any]) -> str:
        slot = told.get("slot")
        named = self.slot_names.get(slot, slot) if isinstance(slot, str) else None
        accounts = ", ".join(sorted(set(told.get("accounts") or ())))
        provider = self._title(told["provider"]) if isinstance(told.get("provider"), str) else None
        return str(
            named or provider or told.get("account") or told.get("address") or accounts or told.get("title") or ""
        )

    def _field(self, name: str) -> str:
        setting = name.removeprefix("settings.")
        if setting != name and setting in LABELS:
            return self._say(LABELS[setting].word)
        return self._say(SLOT_FIELDS.get(name, setting))

    def _title(self, provider: str) -> str:
        known = self.providers.by_name.get(provider)
        return known.title if known else provider

    def _say(self, message: str) -> str:
        return words(self.formats.language).ugettext(message)
