"""The contract, `api/openapi.yaml`, as the API serves it."""

from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from starlette.requests import Request
from starlette.responses import JSONResponse


@cache
def document() -> dict[str, Any]:
    """The contract as data. Read once: it travels with the package."""
    text = files("api").joinpath("openapi.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


async def openapi(_request: Request) -> JSONResponse:
    """`GET /api/openapi.json`."""
    return JSONResponse(document())
