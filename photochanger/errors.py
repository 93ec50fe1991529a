"""Every deliberate failure: its code, its HTTP status, its sentence.

    PhotoChangerError
    ├── Refusal             a request or a job that gets a clear error (`failure` says which)
    ├── ConfigurationError  a process that must not start; its text is for the person at the console
    └── PictureError        a file that is not the picture it should be

`Failure` holds the codes of the contract. A job keeps the code in `failure_reason`, the API answers with its status.
"""

import enum
from collections.abc import Mapping
from typing import Any


class Failure(enum.Enum):
    """One way to fail: `code` as clients and rows see it, `status` as HTTP sees it, `sentence` for people."""

    INVALID_REQUEST = ("invalid_request", 400, "The request is not a complete form.")
    HASH_MISMATCH = ("hash_mismatch", 400, "The hash is not that of the file.")
    INVALID_IMAGE = ("invalid_image", 400, "The picture cannot be decoded.")
    LOGIN_REQUIRED = ("login_required", 401, "Log in first.")
    INVALID_CREDENTIALS = ("invalid_credentials", 401, "Name or password is wrong.")
    INVALID_PASSWORD = ("invalid_password", 401, "The password is wrong.")
    FORBIDDEN = ("forbidden", 403, "The request does not come from a page of ours.")
    SLOT_NOT_FOUND = ("slot_not_found", 404, "There is no such slot.")
    SLOT_DISABLED = ("slot_disabled", 404, "The slot is switched off.")
    JOB_NOT_FOUND = ("job_not_found", 404, "There is no such job.")
    RESULT_NOT_FOUND = ("result_not_found", 404, "There is no such result.")
    MEDIA_NOT_FOUND = ("media_not_found", 404, "There is no such picture.")
    NOT_FOUND = ("not_found", 404, "There is nothing at this address.")
    METHOD_NOT_ALLOWED = ("method_not_allowed", 405, "This address does not take that method.")
    UPLOAD_STALLED = ("upload_stalled", 408, "The upload stalled.")
    IDEMPOTENCY_CONFLICT = ("idempotency_conflict", 409, "The idempotency key was used for another file.")
    JOB_OPEN = ("job_open", 409, "The job is still in work.")
    VERSION_CONFLICT = ("version_conflict", 409, "Somebody else has saved it meanwhile.")
    TEMPLATE_IN_USE = ("template_in_use", 409, "A slot uses this template.")
    PHOTO_GONE = ("photo_gone", 410, "The photo of this job is gone.")
    RESULT_EXPIRED = ("result_expired", 410, "The result has expired.")
    MEDIA_EXPIRED = ("media_expired", 410, "The link to this picture has expired.")
    PAYLOAD_TOO_LARGE = ("payload_too_large", 413, "The picture is too large.")
    UNSUPPORTED_MEDIA_TYPE = ("unsupported_media_type", 415, "The file is not a JPEG, PNG or WEBP picture.")
    VALIDATION_FAILED = ("validation_failed", 422, "Some fields cannot be taken like this.")
    TOO_MANY_ATTEMPTS = ("too_many_attempts", 429, "Too many attempts failed.")
    RATE_LIMITED = ("rate_limited", 429, "Too many at once.")
    INTERNAL_ERROR = ("internal_error", 500, "Something went wrong on our side.")
    MEDIA_LOST = ("media_lost", 500, "The file of this result is missing.")
    BAD_RESPONSE = ("bad_response", 502, "The provider's answer could not be used.")
    CONTENT_BLOCKED = ("content_blocked", 502, "The provider refused this picture for its content.")
    NO_IMAGE = ("no_image", 502, "The provider answered without a picture.")
    PROVIDER_4XX = ("provider_4xx", 502, "The provider refused the request.")
    PROVIDER_UNAVAILABLE = ("provider_unavailable", 503, "The provider is not available.")
    QUOTA = ("quota", 503, "The provider's quota is used up.")
    NETWORK = ("network", 503, "The provider could not be reached.")
    PROVIDER_AUTH = ("provider_auth", 503, "The provider did not accept our key.")
    INTERRUPTED = ("interrupted", 503, "The work was interrupted and may already have been paid for.")
    STORAGE_FULL = ("storage_full", 503, "There is no room to store the picture.")
    DATABASE_UNAVAILABLE = ("database_unavailable", 503, "The database is not available.")
    TIMEOUT = ("timeout", 504, "The picture was not ready in time.")

    def __init__(self, code: str, status: int, sentence: str) -> None:
        self.code = code
        self.status = status
        self.sentence = sentence

    @classmethod
    def of(cls, code: str) -> "Failure":
        """The failure with this code. Raises `KeyError` for an unknown one."""
        return _BY_CODE[code]


_BY_CODE = {failure.code: failure for failure in Failure}
PROVIDER_ERRORS = frozenset(
    failure.code
    for failure in (
        Failure.BAD_RESPONSE,
        Failure.CONTENT_BLOCKED,
        Failure.NO_IMAGE,
        Failure.PROVIDER_4XX,
        Failure.PROVIDER_UNAVAILABLE,
        Failure.QUOTA,
        Failure.NETWORK,
        Failure.PROVIDER_AUTH,
    )
)
"""The failure reasons of jobs that are the provider's doing, in all figures."""


class PhotoChangerError(Exception):
    """The root of everything this project raises on purpose."""


class Refusal(PhotoChangerError):
    """A request or a job that is refused. `details` is public: never a secret, never a traceback."""

    def __init__(
        self,
        failure: Failure,
        details: str | None = None,
        *,
        job_id: str | None = None,
        retry_after_seconds: int | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.failure = failure
        self.details = details or failure.sentence
        self.job_id = job_id
        self.retry_after_seconds = retry_after_seconds
        self.facts = facts or {}
        """What else the body says: `fields` (a sentence each), who has saved what meanwhile."""
        super().__init__(f"{failure.code}: {self.details}")

    def body(self) -> dict[str, Any]:
        """The JSON answer: `status`, `failure_reason`, `details`, and `job_id` and `retry_after` where known."""
        body: dict[str, Any] = {
            "status": "timeout" if self.failure is Failure.TIMEOUT else "error",
            "failure_reason": self.failure.code,
            "details": self.details,
        }
        if self.job_id is not None:
            body["job_id"] = self.job_id
        if self.retry_after_seconds is not None:
            body["retry_after"] = self.retry_after_seconds
        return {**body, **self.facts}

    def headers(self) -> dict[str, str]:
        """The answer's headers: never cached; `Retry-After` and `X-Job-Id` where known."""
        headers = {"Cache-Control": "no-store"}
        if self.job_id is not None:
            headers["X-Job-Id"] = self.job_id
        if self.retry_after_seconds is not None:
            headers["Retry-After"] = str(self.retry_after_seconds)
        return headers


class ConfigurationError(PhotoChangerError):
    """A process must not start like this. The text names every mistake, a line each."""

    def __init__(self, mistakes: list[str]) -> None:
        self.mistakes = mistakes
        super().__init__("\n".join(mistakes))


class PictureError(PhotoChangerError):
    """A file is not the picture it should be. The text says what is wrong with it, for people."""
