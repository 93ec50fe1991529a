"""A photo's way as its page shows it: the timeline's moments as steps in words, and where the time went."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from api.pages.formats import Formats
from api.pages.language import marked, words
from api.pages.looks import MOMENTS, UNKNOWN, Look
from api.pages.spoken import outcome_word, said
from photochanger.timeline import Moment

GOOD_OUTCOMES = {"ok"}
OK_STATUS = 200
ENDS = {"sent", "booth_gone"}
TO_COME = {"deadline", "result_expires"}
"""Of the row, and no steps of the work."""
ASIDE = {"job_replayed", "slot_tested", "result_deleted"}
"""What administrators did: no time of the photo's own goes by with it."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One line of the timeline."""

    at: datetime
    event: str
    look: Look
    word: str
    notes: list[str]
    actor: str | None
    replay: str | None
    """The id of the job that ran the photo again."""
    after_seconds: float
    """Since the photo's arrival."""
    took_seconds: float | None
    """Since the step before; None for what is no step of the work."""
    to_come: bool
    late: bool
    """Behind the deadline."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """A part of the time that the photo took, and where it lies in the bar, in thousandths of its width."""

    kind: str
    word: str
    seconds: float
    x: float
    width: float


SPANS = {
    "received": ("upload", marked("Upload and checks")),
    "checked": ("wait", marked("In the queue")),
    "queued": ("wait", marked("In the queue")),
    "released": ("wait", marked("In the queue")),
    "fell_back": ("wait", marked("In the queue")),
    "claimed": ("own", marked("Our own work")),
    "attempt_begun": ("provider", marked("At the provider")),
    "accepted": ("provider", marked("At the provider")),
    "asked": ("provider", marked("At the provider")),
    "attempt_ended": ("own", marked("Our own work")),
    "parked": ("wait", marked("In the queue")),
    "finished": ("answer", marked("Answer to the booth")),
    "failed": ("answer", marked("Answer to the booth")),
    "expired": ("answer", marked("Answer to the booth")),
}
"""What the time after an event was spent with."""


def steps(moments: Sequence[Moment], *, arrived: datetime, deadline: datetime, fmt: Formats) -> list[Step]:
    """In order. Polls of a provider's queue are one step, however many there were."""
    found: list[Step] = []
    before = arrived
    for moment, times in _folded(moments):
        told = _Told(moment, times=times, fmt=fmt)
        working = moment.event not in TO_COME | ASIDE
        found.append(
            Step(
                at=moment.at,
                event=moment.event,
                look=told.look,
                word=words(fmt.language).ugettext(told.look.word) if told.look.word else moment.event,
                notes=list(told.notes()),
                actor=moment.actor,
                replay=told.details.get("replay") if moment.event == "job_replayed" else None,
                after_seconds=(moment.at - arrived).total_seconds(),
                took_seconds=(moment.at - before).total_seconds() if working else None,
                to_come=moment.at > fmt.now,
                late=moment.at > deadline and moment.event not in TO_COME,
            )
        )
        before = moment.at if working else before
    return found


def spans(found: Iterable[Step], *, deadline_seconds: float, until: datetime | None, fmt: Formats) -> list[Span]:
    """Where the time went: from the arrival to the answer's way out, or (`until`) to this moment while it is in work.

    The bar is as long as the deadline, or as the photo took, whichever is longer.
    """
    working = [step for step in found if step.took_seconds is not None and step.event not in ENDS]
    out = [step.after_seconds for step in found if step.event in ENDS]
    ends = [step.after_seconds for step in working[1:]]
    arrived = working[0].at if working else None
    last = out[0] if out else (until - arrived).total_seconds() if until and arrived else (ends or [0.0])[-1]
    whole = max(deadline_seconds, last, 0.001)
    merged: list[Span] = []
    for step, end in zip(working, [*ends, last], strict=False):
        kind, word = SPANS.get(step.event, ("own", marked("Our own work")))
        seconds = max(0.0, min(end, last) - step.after_seconds)
        told = words(fmt.language).ugettext(word)
        if merged and merged[-1].kind == kind:
            merged[-1] = replace(
                merged[-1], seconds=merged[-1].seconds + seconds, width=merged[-1].width + 1000 * seconds / whole
            )
        else:
            x = 1000 * step.after_seconds / whole
            merged.append(Span(kind=kind, word=told, seconds=seconds, x=x, width=1000 * seconds / whole))
    return [span for span in merged if span.seconds > 0]


def _folded(moments: Sequence[Moment]) -> list[tuple[Moment, int]]:
    """With how often it happened. To ask a provider's queue again a runner takes the job up and parks it anew."""
    folded: list[tuple[Moment, int]] = []
    for moment in moments:
        why = (moment.details or {}).get("why")
        if moment.event == "parked" and why == "accepted":
            folded.append((replace(moment, event="accepted"), 1))
        elif moment.event == "parked" and why == "pending":
            if folded and folded[-1][0].event == "claimed":
                folded.pop()
            times = folded.pop()[1] if folded and folded[-1][0].event == "asked" else 0
            folded.append((replace(moment, event="asked"), times + 1))
        else:
            folded.append((moment, 1))
    return folded


class _Told:
    """A moment in words."""

    def __init__(self, moment: Moment, *, times: int, fmt: Formats) -> None:
        self._moment = moment
        self._times = times
        self._fmt = fmt
        self.details: dict[str, Any] = dict(moment.details or {})

    @property
    def look(self) -> Look:
        event, status = self._moment.event, self.details.get("http_status")
        if event == "attempt_ended" and self.details.get("outcome") not in GOOD_OUTCOMES:
            event = "attempt_failed"
        if event == "sent" and status != OK_STATUS:
            event = "refused"
        return MOMENTS.get(event, UNKNOWN)

    def notes(self) -> Iterator[str]:
        """Short facts, each for itself."""
        fmt, told, details, language = self._fmt, words(self._fmt.language), self.details, self._fmt.language
        if self._times > 1:
            yield told.ungettext("%(num)s time", "%(num)s times", self._times) % {"num": fmt.number(self._times)}
        asked = details.get("model") or details.get("provider")
        if asked and self._moment.event in {"attempt_begun", "fell_back"}:
            yield str(asked)
        outcome = details.get("outcome")
        if outcome and outcome not in GOOD_OUTCOMES:
            yield outcome_word(str(outcome), language=language)
        status = details.get("http_status")
        if status and status != OK_STATUS and not str(details.get("reason")).startswith("HTTP"):
            yield f"HTTP {status}"
        for name in ("reason", "why"):
            if details.get(name) and details[name] not in {"accepted", "pending"}:
                yield said(str(details[name]), language=language)
        if isinstance(details.get("bytes"), int):
            yield fmt.size(details["bytes"])
        if isinstance(details.get("seconds"), int | float):
            yield fmt.seconds(details["seconds"])
        if details.get("cost_usd"):
            yield fmt.money(details["cost_usd"])
        if details.get("joined"):
            yield told.ugettext(marked("to a repeat of the same photo"))
        if self._moment.event == "claimed" and self._moment.runner:
            yield self._moment.runner
