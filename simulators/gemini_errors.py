"""Gemini's errors: one envelope, google.rpc details, and the failures a scenario can ask for."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from simulators.noting import NoSuccess
from simulators.proto_json import FieldMistake

JSON_TYPE = "application/json; charset=UTF-8"
RPC = "type.googleapis.com/google.rpc."
SERVICE = "generativelanguage.googleapis.com"
Details = Sequence[Mapping[str, Any]]


class ApiError(NoSuccess):
    """An answer that is no success. `violation`: the request was malformed, which is a mistake of whoever sent it."""

    def __init__(self, code: int, status: str, message: str, *, details: Details = (), violation: bool = False) -> None:
        self.code = code
        self.status = status
        self.details = details
        super().__init__(message, violation=violation)

    def body(self) -> dict[str, Any]:
        """The envelope."""
        error: dict[str, Any] = {"code": self.code, "message": self.message, "status": self.status}
        if self.details:
            error["details"] = list(self.details)
        return {"error": error}

    def response(self) -> web.Response:
        """The envelope as an answer."""
        return json_response(self.body(), status=self.code)


def json_response(document: Any, *, status: int = 200) -> web.Response:
    """An answer as Google lays it out."""
    return web.Response(
        body=json.dumps(document, indent=2).encode(), status=status, headers={"Content-Type": JSON_TYPE}
    )


def invalid(message: str, *, field: str | None = None) -> ApiError:
    """400 for a malformed request."""
    violations = [{"field": field or "", "description": message}]
    details = [] if field is None else [{"@type": f"{RPC}BadRequest", "fieldViolations": violations}]
    return ApiError(400, "INVALID_ARGUMENT", message, details=details, violation=True)


def of_field(mistake: FieldMistake) -> ApiError:
    """400 for a field."""
    return invalid(str(mistake), field=mistake.field)


def no_key() -> ApiError:
    """403: the API wants a key, and there was none."""
    return ApiError(
        403,
        "PERMISSION_DENIED",
        "Method doesn't allow unregistered callers (callers without established identity). "
        "Please use API Key or other form of API consumer identity to call this API.",
    )


def invalid_key() -> ApiError:
    """400, not 401: Gemini takes an unknown key for an invalid argument."""
    info = {
        "@type": f"{RPC}ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": SERVICE},
    }
    message = "API key not valid. Please pass a valid API key."
    return ApiError(400, "INVALID_ARGUMENT", message, details=[info])


def model_not_found(model: str, *, version: str) -> ApiError:
    """404 for an unknown or retired model."""
    return ApiError(
        404,
        "NOT_FOUND",
        f"models/{model} is not found for API version {version}, or is not supported for generateContent. "
        "Call ListModels to see the list of available models and their supported methods.",
    )


def _exhausted(message: str, *, quota: str, value: str | None, model: str, retry: float | None) -> ApiError:
    violation = {
        "quotaMetric": f"{SERVICE}/generate_content_requests",
        "quotaId": quota,
        "quotaDimensions": {"model": model, "location": "global"},
    }
    if value is not None:
        violation["quotaValue"] = value
    links = [
        {
            "description": "Learn more about Gemini API quotas",
            "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
        }
    ]
    details: list[Mapping[str, Any]] = [
        {"@type": f"{RPC}QuotaFailure", "violations": [violation]},
        {"@type": f"{RPC}Help", "links": links},
    ]
    if retry is not None:
        details.append({"@type": f"{RPC}RetryInfo", "retryDelay": f"{retry:.9g}s"})
    return ApiError(429, "RESOURCE_EXHAUSTED", message, details=details)


def _rate_limited(parameters: Mapping[str, Any], model: str, _key: str) -> ApiError:
    retry = parameters["retry_delay_seconds"]
    if retry is None:
        return ApiError(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).")
    return _exhausted(
        f"You exceeded your current quota. Please retry in {retry:.9g}s.",
        quota="GenerateRequestsPerMinutePerProjectPerModel",
        value="20",
        model=model,
        retry=retry,
    )


def _quota_per_day(parameters: Mapping[str, Any], model: str, _key: str) -> ApiError:
    return _exhausted(
        "You exceeded your current quota, please check your plan and billing details.",
        quota="GenerateRequestsPerDayPerProjectPerModel",
        value="250",
        model=model,
        retry=parameters["retry_delay_seconds"],
    )


def _quota_zero(parameters: Mapping[str, Any], model: str, _key: str) -> ApiError:
    return _exhausted(
        f"You exceeded your current quota, please check your plan and billing details. Quota exceeded for metric: "
        f"{SERVICE}/generate_content_free_tier_requests, limit: 0, model: {model}",
        quota="GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
        value=None,  # a zero is not written in Google's JSON
        model=model,
        retry=parameters["retry_delay_seconds"],
    )


def _plain(code: int, status: str, message: str) -> Callable[[Mapping[str, Any], str, str], ApiError]:
    return lambda _parameters, model, key: ApiError(code, status, message.format(model=model, key=key))


FAILURES: Mapping[str, Callable[[Mapping[str, Any], str, str], ApiError]] = {
    "rate_limited": _rate_limited,
    "quota_per_day": _quota_per_day,
    "quota_zero": _quota_zero,
    "internal": _plain(500, "INTERNAL", "An internal error has occurred. Please retry."),
    "unavailable": _plain(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "deadline_exceeded": _plain(504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
    "permission_denied": _plain(403, "PERMISSION_DENIED", "The caller does not have permission."),
    "key_leaked": _plain(
        403, "PERMISSION_DENIED", "Your API key {key} was reported as leaked. Please use another API key."
    ),
    "echo_key_error": _plain(500, "INTERNAL", "Upstream call models/{model}:generateContent?key={key} failed."),
    "region_not_allowed": _plain(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
}
"""Parameters, model and key → the error, by the behaviour's name."""
