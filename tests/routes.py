"""Every route of the API with its methods, for tests that hold whatever is added later to the same rules.

They are driven by `api.app.ROUTES`; what a parameter of a path may be is read from the contract.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from starlette.routing import Route

from api.app import ROUTES
from api.contract import document

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}

OPEN = {
    "/ingest/{slot_id}",  # the booths' password
    "/api/ingest/{slot_id}",
    "/api/jobs/{job_id}",  # the id is the secret
    "/public/slots/{slot_id}",  # what hangs in the booth's window anyway
    "/public/results/{job_id}",
    "/public/results/{job_id}/preview",
    "/public/provider-media/{media_id}",
    "/api/login",
    "/login",
    "/api/openapi.json",
    "/api/docs",
    "/livez",
    "/healthz",
    "/metrics",  # by network or token, see api/observers.py: loopback may
}
"""The routes that anybody may call. Whoever adds one says why."""


@dataclass(frozen=True)
class Operation:
    """A route with one of its methods. `path` is as in the contract, `url` can be asked for."""

    method: str
    path: str
    url: str
    closed: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def operations() -> list[Operation]:
    """All of them, HEAD too."""
    return [
        Operation(method, path, filled(path), path not in OPEN)
        for route in ROUTES
        if isinstance(route, Route)  # what lies under a mount is files
        for path in [route.path.replace(":path}", "}")]
        for method in sorted(route.methods or ())
    ]


def filled(path: str) -> str:
    """The path with something in the place of its parameters: a slot that exists, ids that do not."""
    return re.sub(r"\{(\w+)\}", lambda found: _value(found[1]), path)


def _value(parameter: str) -> str:
    return "slot-001" if parameter == "slot_id" else "gemini" if parameter == "provider" else "0" * 32


def described() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The operations of the contract: method, path, and what it says of them."""
    for path, item in document()["paths"].items():
        for method, operation in item.items():
            if method.upper() in METHODS:
                yield method.upper(), path, operation


def resolved(told: dict[str, Any]) -> dict[str, Any]:
    """What a `$ref` of the contract stands for."""
    while "$ref" in told:
        found: Any = document()
        for step in told["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        told = found
    return told
