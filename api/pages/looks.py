"""How states of a job and moments of its way look: a colour, an icon and a word."""

from dataclasses import dataclass

from api.pages.language import marked
from photochanger.job import Status


@dataclass(frozen=True, kw_only=True)
class Look:
    """`kind` is the colour's name in the styles."""

    kind: str
    icon: str
    word: str


STATES = {
    Status.QUEUED: Look(kind="idle", icon="hourglass", word=marked("waits")),
    Status.RUNNING: Look(kind="info", icon="loader-circle", word=marked("in work")),
    Status.WAITING: Look(kind="info", icon="clock", word=marked("at the provider")),
    Status.DONE: Look(kind="ok", icon="circle-check", word=marked("done")),
    Status.FAILED: Look(kind="danger", icon="circle-x", word=marked("failed")),
    Status.TIMEOUT: Look(kind="warn", icon="clock", word=marked("too late")),
}
MOMENTS = {
    "received": Look(kind="idle", icon="camera", word=marked("The photo began to arrive")),
    "checked": Look(kind="idle", icon="check", word=marked("It was all there and checked")),
    "queued": Look(kind="idle", icon="hourglass", word=marked("It was queued")),
    "claimed": Look(kind="info", icon="cpu", word=marked("A runner took it up")),
    "attempt_begun": Look(kind="info", icon="zap", word=marked("The provider was called")),
    "attempt_ended": Look(kind="info", icon="zap", word=marked("The provider answered")),
    "attempt_failed": Look(kind="warn", icon="circle-alert", word=marked("The attempt failed")),
    "parked": Look(kind="idle", icon="clock", word=marked("It waits for its next try")),
    "accepted": Look(kind="info", icon="clock", word=marked("The provider put it into its queue")),
    "asked": Look(kind="info", icon="refresh-cw", word=marked("The provider was asked whether it is ready")),
    "fell_back": Look(kind="warn", icon="refresh-cw", word=marked("The fallback took over")),
    "released": Look(kind="warn", icon="refresh-cw", word=marked("Given back to the queue")),
    "finished": Look(kind="ok", icon="circle-check", word=marked("The result was saved")),
    "failed": Look(kind="danger", icon="circle-x", word=marked("It failed")),
    "expired": Look(kind="warn", icon="clock", word=marked("The deadline passed")),
    "sent": Look(kind="ok", icon="check", word=marked("The picture went out to the booth")),
    "refused": Look(kind="warn", icon="circle-alert", word=marked("The error went out to the booth")),
    "booth_gone": Look(kind="warn", icon="wifi-off", word=marked("The booth had hung up before its answer")),
    "deadline": Look(kind="idle", icon="timer", word=marked("Deadline")),
    "result_expires": Look(kind="idle", icon="hourglass", word=marked("The result goes")),
    "job_replayed": Look(kind="idle", icon="refresh-cw", word=marked("Run again")),
    "slot_tested": Look(kind="idle", icon="flask-conical", word=marked("A test run")),
    "result_deleted": Look(kind="idle", icon="trash-2", word=marked("The result was deleted")),
}
UNKNOWN = Look(kind="idle", icon="circle-dashed", word="")
"""For an event of another release: its own name is the word."""
