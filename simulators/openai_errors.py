"""OpenAI's errors: one envelope, and the failures a scenario can ask for.

Codes and sentences as seen in the wild: openai-node#1468, go-openai#1012, and the error reference of the API.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from simulators.noting import NoSuccess
from simulators.stage import mask

JSON_TYPE = "application/json"


class ApiError(NoSuccess):
    """An answer that is no success. `violation`: the request was malformed, which is a mistake of whoever sent it."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        violation: bool = False,
    ) -> None:
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.headers = headers or {}
        super().__init__(message, violation=violation)

    def response(self) -> web.Response:
        """The envelope as an answer."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return json_response({"error": error}, status=self.status, headers=self.headers)


def json_response(document: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer of OpenAI's own, with the id it goes by."""
    told = {"Content-Type": JSON_TYPE, **own_headers(), **(headers or {})}
    return web.Response(body=json.dumps(document, indent=2).encode(), status=status, headers=told)


def own_headers() -> dict[str, str]:
    """What no proxy adds."""
    return {
        "x-request-id": f"req_{secrets.token_hex(16)}",
        "openai-version": "2020-10-01",
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "499",
        "x-ratelimit-reset-requests": "120ms",
    }


def invalid(message: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> ApiError:
    """A malformed request."""
    return ApiError(status, message, code=code, param=param, violation=True)


def no_key() -> ApiError:
    """401: there was no key."""
    return ApiError(401, "You didn't provide an API key in an Authorization header using Bearer auth.")


def invalid_key(key: str) -> ApiError:
    """401: an unknown key, of which the answer shows a part."""
    return ApiError(401, f"Incorrect API key provided: {mask(key)}.", code="invalid_api_key")


def model_not_found(model: str) -> ApiError:
    """404 for an unknown or retired model."""
    message = f"The model '{model}' does not exist or you do not have access to it."
    return ApiError(404, message, code="model_not_found", param="model")


Parameters = Mapping[str, Any]


def _moderation_blocked(parameters: Parameters, _model: str, _key: str) -> ApiError:
    message = (
        "Your request was rejected by the safety system. If you believe this is an error, contact us at "
        f"help.openai.com and include the request ID req_0. safety_violations=[{parameters['violations']}]."
    )
    return ApiError(400, message, kind=parameters["type"], code="moderation_blocked")


def _rate_limited(parameters: Parameters, model: str, _key: str) -> ApiError:
    headers = {}
    if (whole := parameters["retry_after_seconds"]) is not None:
        headers["retry-after"] = f"{whole:.9g}"
    if (exact := parameters["retry_after_ms"]) is not None:
        headers["retry-after-ms"] = str(exact)
    message = f"Rate limit reached for {model} in organization org-0 on images per min: Limit 5, Used 5, Requested 1."
    return ApiError(429, message, kind="input-images", code="rate_limit_exceeded", headers=headers)


def _quota(parameters: Parameters, _model: str, _key: str) -> ApiError:
    message = "You exceeded your current quota, please check your plan and billing details."
    headers = {"retry-after": "1"} if parameters["with_hint"] else None
    return ApiError(429, message, kind="insufficient_quota", code="insufficient_quota", headers=headers)


def _hard_limit(parameters: Parameters, _model: str, _key: str) -> ApiError:
    message = "Billing hard limit has been reached."
    return ApiError(parameters["status"], message, kind="billing_limit_user_error", code="billing_hard_limit_reached")


def _server_error(parameters: Parameters, _model: str, _key: str) -> ApiError:
    headers = {} if parameters["should_retry"] == "unsaid" else {"x-should-retry": parameters["should_retry"]}
    message = "The server had an error while processing your request. Sorry about that!"
    return ApiError(parameters["status"], message, kind="server_error", headers=headers)


def _plain(status: int, message: str, **given: Any) -> Callable[[Parameters, str, str], ApiError]:
    return lambda _parameters, model, key: ApiError(status, message.format(model=model, key=key), **given)


FAILURES: Mapping[str, Callable[[Parameters, str, str], ApiError]] = {
    "moderation_blocked": _moderation_blocked,
    "content_policy_violation": _plain(
        400, "Your request was rejected as a result of our safety system.", code="content_policy_violation"
    ),
    "user_error": _plain(400, "The picture could not be made from this request.", kind="image_generation_user_error"),
    "rate_limited": _rate_limited,
    "insufficient_quota": _quota,
    "billing_hard_limit": _hard_limit,
    "server_error": _server_error,
    "overloaded": _plain(503, "The engine is currently overloaded, please try again later.", kind="overloaded_error"),
    "echo_key_error": _plain(500, "Upstream refused Authorization: Bearer {key}.", kind="server_error"),
    "key_revoked": _plain(401, "Incorrect API key provided: {key}.", code="invalid_api_key"),
    "not_verified": _plain(403, "Your organization must be verified to use the model '{model}'."),
    "region_not_allowed": _plain(
        403, "Country, region, or territory not supported", kind="request_forbidden", code="unsupported_country"
    ),
}
"""Parameters, model and key → the error, by the behaviour's name."""
