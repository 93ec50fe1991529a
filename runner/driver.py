"""What a driver gets and gives: the whole contract between the runner and `runner/drivers/<name>.py`.

A driver is a module with one or two functions:

    async def submit(call: Call, http: ClientSession) -> Image | Accepted
    async def poll(exchange: Exchange, reference: str, http: ClientSession) -> Image | Pending

the second one only where the provider has a queue of its own.

It speaks one provider's protocol and nothing else: it keeps no state, opens no session, writes no row, never repeats a
call by itself. The caller cuts it off at `call.deadline`. Everything that can go wrong is raised as `ProviderFailed`.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from photochanger.errors import Failure, PhotoChangerError
from photochanger.images import PreparedPicture
from photochanger.providers import Model


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """What any exchange with a provider needs."""

    job_id: str
    operation: str
    settings: Mapping[str, Any]
    """The slot's settings, as its snapshot has them and the operation's schema allows them."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The operation's options in providers.json: what the provider calls it."""
    model: Model
    """Never a retired one: the caller has already put in its replacement."""
    base_url: str
    """Without a slash at its end."""
    key: str | None = field(repr=False)
    deadline: float
    """By the event loop's clock (`loop.time()`), in seconds."""


@dataclass(frozen=True, kw_only=True)
class Call(Exchange):
    """One call that is to change a photo."""

    photo: PreparedPicture
    templates: Mapping[str, PreparedPicture] = field(default_factory=dict)
    """The slot's template pictures by role (`style`, `face`, …), prepared like the photo."""
    links: Mapping[str, str] = field(default_factory=dict)
    """For providers that fetch their inputs: a public link to each picture, by role; `photo` is the photo's."""


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What a provider said about a call, good or bad: for the attempt's row."""

    model: str | None = None
    http_status: int | None = None
    request_id: str | None = None
    usage: Mapping[str, Any] | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, kw_only=True)
class Image:
    """The changed picture as the provider sent it: its bytes are not yet checked, its type not yet believed."""

    data: bytes = field(repr=False)
    receipt: Receipt


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The provider has put the photo into its own queue."""

    reference: str
    poll_after_seconds: float
    receipt: Receipt


@dataclass(frozen=True, kw_only=True)
class Pending:
    """The provider is still at it."""

    poll_after_seconds: float


class Outcome(enum.StrEnum):
    """How an attempt ended. The classes of every provider's answers; the caller decides on repeats by them."""

    OK = "ok"
    CONTENT_BLOCKED = "content_blocked"
    NO_IMAGE = "no_image"
    INVALID_REQUEST = "invalid_request"
    MODEL_RETIRED = "model_retired"
    AUTH = "auth"
    QUOTA_EXHAUSTED = "quota_exhausted"
    RATE_LIMITED = "rate_limited"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    NETWORK = "network"
    AMBIGUOUS = "ambiguous"
    """Nobody knows whether the call was carried out: it is repeated only if the slot allows to pay twice."""
    TIMEOUT = "timeout"
    BAD_RESPONSE = "bad_response"
    INTERRUPTED = "interrupted"
    NOT_KEPT = "not_kept"
    """The picture came, and was paid for; but its job was over, or there was no room for it."""


FAILURE_OF: Mapping[Outcome, Failure] = {
    Outcome.CONTENT_BLOCKED: Failure.CONTENT_BLOCKED,
    Outcome.NO_IMAGE: Failure.NO_IMAGE,
    Outcome.INVALID_REQUEST: Failure.PROVIDER_4XX,
    Outcome.MODEL_RETIRED: Failure.PROVIDER_4XX,
    Outcome.AUTH: Failure.PROVIDER_AUTH,
    Outcome.QUOTA_EXHAUSTED: Failure.QUOTA,
    Outcome.RATE_LIMITED: Failure.QUOTA,
    Outcome.PROVIDER_UNAVAILABLE: Failure.PROVIDER_UNAVAILABLE,
    Outcome.NETWORK: Failure.NETWORK,
    Outcome.AMBIGUOUS: Failure.INTERRUPTED,
    Outcome.TIMEOUT: Failure.TIMEOUT,
    Outcome.BAD_RESPONSE: Failure.BAD_RESPONSE,
    Outcome.INTERRUPTED: Failure.INTERRUPTED,
}
"""What the booth is told when an attempt with this outcome was the last one."""


class ProviderFailed(PhotoChangerError):
    """A call that brought no picture.

    `repeatable`: whether the same call may be made again (the caller still asks the deadline and the slot).
    `retry_after_seconds`: the provider's own hint, where it gave one.
    `reason`: at most 300 characters for the attempt's row; the driver leaves keys, signed URLs and pictures out of it.
    `public`: a sentence for the booth instead of its failure's own, where the cause is one of ours.
    """

    def __init__(
        self,
        outcome: Outcome,
        reason: str,
        *,
        repeatable: bool = False,
        retry_after_seconds: float | None = None,
        receipt: Receipt | None = None,
        public: str | None = None,
    ) -> None:
        self.outcome = outcome
        self.reason = reason[:300]
        self.repeatable = repeatable
        self.retry_after_seconds = retry_after_seconds
        self.receipt = receipt or Receipt()
        self.public = public
        super().__init__(f"{outcome}: {self.reason}")


def usable_key(key: str | None) -> str:
    """The key, where it can stand in a header. Raises `ProviderFailed` (`auth`)."""
    if not key:
        raise ProviderFailed(Outcome.AUTH, "there is no API key")
    if not key.isascii() or not key.isprintable():
        raise ProviderFailed(Outcome.AUTH, "the API key is not one line of plain characters")
    return key
