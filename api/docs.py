"""`GET /api/docs`: the contract as a page to read, made here from `api/openapi.yaml`.

It fetches nothing from elsewhere.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from api.contract import document
from api.pages.assets import release

Item = dict[str, Any]
BETWEEN_BACKTICKS = re.compile(r"`([^`]*)`")
METHODS = ("get", "put", "post", "patch", "delete")


async def docs(_request: Request) -> HTMLResponse:
    """Tables of operations, parameters, answers and schemas."""
    return HTMLResponse(_page())


@cache
def _page() -> str:
    environment = Environment(
        loader=PackageLoader("api"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["prose"] = _prose
    contract = document()
    operations = list(_operations(contract))
    groups = [
        {**tag, "operations": [one for one in operations if tag["name"] in one["tags"]]} for tag in contract["tags"]
    ]
    schemas = [_schema(name, schema) for name, schema in sorted(contract["components"]["schemas"].items())]
    return environment.get_template("docs.html").render(
        info=contract["info"], groups=groups, schemas=schemas, asset=release().url
    )


def _prose(text: str) -> Markup:
    """A text of the contract; what stands between backticks is code."""
    return Markup(BETWEEN_BACKTICKS.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - it is escaped just here


def _operations(contract: Item) -> Iterator[Item]:
    for path, item in contract["paths"].items():
        for method in METHODS:
            if method not in item:
                continue
            operation = item[method]
            yield {
                "method": method.upper(),
                "path": path,
                "anchor": operation["operationId"],
                "summary": operation["summary"],
                "description": operation.get("description", ""),
                "tags": operation["tags"],
                "closed": bool(operation.get("security", contract.get("security"))),
                "parameters": [
                    {**parameter, "type": type_of(parameter.get("schema", {}))}
                    for parameter in map(_resolved, [*item.get("parameters", []), *operation.get("parameters", [])])
                ],
                "bodies": _contents(_resolved(operation.get("requestBody", {}))),
                "answers": [
                    {"status": status, "description": answer.get("description", ""), "bodies": _contents(answer)}
                    for status, answer in ((status, _resolved(told)) for status, told in operation["responses"].items())
                ],
            }


def _contents(told: Item) -> list[Item]:
    """What a body may be: its media type and its schema, with the fields of one that has no name."""
    return [
        {"media_type": name, **_schema("", content.get("schema", {}))}
        for name, content in told.get("content", {}).items()
    ]


def _schema(name: str, schema: Item) -> Item:
    required = schema.get("required", [])
    fields = [
        {
            "name": field,
            "type": type_of(told),
            "named": _named(told),
            "required": field in required,
            "description": _resolved(told).get("description", ""),
        }
        for field, told in schema.get("properties", {}).items()
    ]
    return {
        "name": name,
        "type": type_of(schema),
        "named": _named(schema),
        "description": schema.get("description", ""),
        "fields": fields,
    }


def _named(schema: Item) -> str:
    """The schema of the contract that it is, or is a list of; empty for one without a name."""
    reference: str = (schema if "$ref" in schema else schema.get("items", {})).get("$ref", "")
    return reference.rpartition("/")[2]


def _resolved(told: Item) -> Item:
    """What a `$ref` stands for."""
    while "$ref" in told:
        found: Any = document()
        for step in told["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        told = found
    return told


def type_of(schema: Item) -> str:
    """A schema in a few words: `text`, `Id`, `one of a, b`, `list of Job`, `integer or null, 1 to 60`."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return f"always {schema['const']}"
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(type_of(one) for one in schema[several])
    kinds = schema.get("type", "anything")
    words = " or ".join([kinds] if isinstance(kinds, str) else kinds)
    if words == "array":
        words = f"list of {type_of(schema.get('items', {}))}"
    if "format" in schema:
        words += f" ({schema['format']})"
    if "pattern" in schema:
        words += f", {schema['pattern']}"
    low, high = schema.get("minimum", schema.get("minLength")), schema.get("maximum", schema.get("maxLength"))
    if low is not None or high is not None:
        words += f", {'' if low is None else low} to {'' if high is None else high}"
    return words
